"""Pairing images and label maps, and what happens when files are not as they should be."""

import struct
import zlib

import numpy as np
import pytest
from hrtoolkit.tasks.segmentation.classes import voc_palette
from hrtoolkit.tasks.segmentation.datasets import SegmentationPairs, read_values
from hrtoolkit.tasks.segmentation.transforms import ScaleCropFlip, WholeImage
from PIL import Image

from hrtoolkit.data.loading import Draw, build_dataloader
from hrtoolkit.errors import DataError

from .conftest import CLASSES


def load(folder, transform=None, **options):
    options = {"image_dir": "images", "label_dir": "labels", **options}
    return SegmentationPairs(transform or ScaleCropFlip((24, 20), 40), folder, CLASSES, **options)


def test_images_meet_the_labels_of_their_name(label_folder):
    dataset = load(label_folder)
    assert dataset.image_ids.tolist() == ["a", "b", "c", "d"]
    sample = dataset[2]
    assert sample["image"].shape == (32, 40, 3) and "targets" not in sample
    meta = sample["meta"]
    assert meta["image_id"] == "c" and meta["index"] == 2 and meta["padding"] == (0, 0)
    assert meta["size_hw"] == meta["input_hw"] == (32, 40)
    label = np.asarray(Image.open(label_folder / "labels" / "c.png"))
    np.testing.assert_array_equal(meta["label"], np.where(label == 0, 255, label // 10 - 1))


def test_draws_are_crops_repeatable_and_the_same_with_workers(label_folder):
    dataset = load(label_folder)
    sample = dataset[Draw(1, 3, 0)]
    assert sample["image"].shape == (20, 24, 3) and sample["targets"]["label"].shape == (20, 24)
    np.testing.assert_array_equal(sample["image"], dataset[Draw(1, 3, 0)]["image"])
    batches = [next(iter(build_dataloader(dataset, 4, workers, training=True, seed=1))) for workers in (0, 1)]
    assert (batches[0]["images"] == batches[1]["images"]).all()
    assert (batches[0]["targets"]["label"] == batches[1]["targets"]["label"]).all()


def test_suffixes_and_inner_folders_as_in_cityscapes(tmp_path):
    for city in ("aachen", "ulm"):
        for kind in ("leftImg8bit", "gtFine"):
            (tmp_path / kind / "val" / city).mkdir(parents=True)
        Image.new("RGB", (8, 4)).save(tmp_path / "leftImg8bit" / "val" / city / f"{city}_0_leftImg8bit.png")
        Image.new("L", (8, 4), 7).save(tmp_path / "gtFine" / "val" / city / f"{city}_0_gtFine_labelIds.png")
        Image.new("L", (8, 4), 7).save(tmp_path / "gtFine" / "val" / city / f"{city}_0_gtFine_instanceIds.png")
    dataset = SegmentationPairs(
        WholeImage(),
        tmp_path,
        "cityscapes",
        image_dir="leftImg8bit/val",
        label_dir="gtFine/val",
        image_suffix="_leftImg8bit.png",
        label_suffix="_gtFine_labelIds.png",
    )
    assert dataset.image_ids.tolist() == ["aachen/aachen_0", "ulm/ulm_0"]
    assert (dataset[1]["meta"]["label"] == 0).all()


def test_a_list_names_pairs_and_may_have_more_columns(label_folder):
    lines = ["images/d.jpg labels/d.png labels/a.png x", "", "images/a.jpg\tlabels/a.png"]
    (label_folder / "train.lst").write_text("\n".join(lines))
    dataset = load(label_folder, image_dir=None, label_dir=None, list_file="train.lst")
    assert dataset.image_ids.tolist() == ["images/d", "images/a"]
    folders = load(label_folder)
    np.testing.assert_array_equal(dataset[1]["meta"]["label"], folders[0]["meta"]["label"])
    (label_folder / "test.lst").write_text("images/a.jpg\nimages/b.jpg\n")
    assert load(label_folder, image_dir=None, label_dir=None, list_file="test.lst")[1]["meta"]["label"] is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the list is empty"),
        ("images/a.jpg labels/a.png\nimages/b.jpg", r"'images/b\.jpg' stands alone"),
        ("images/a.jpg labels/z.png", r"train\.lst: labels that are not there: 1 \(.*labels/z\.png\)"),
        ("images/y.jpg labels/a.png", r"train\.lst: images that are not there: 1 \(.*images/y\.jpg\)"),
    ],
)
def test_bad_lists_have_one_clear_error(text, message, label_folder):
    (label_folder / "train.lst").write_text(text)
    with pytest.raises(DataError, match=message):
        load(label_folder, image_dir=None, label_dir=None, list_file="train.lst")


def test_folders_that_do_not_match_have_one_clear_error(label_folder):
    with pytest.raises(ValueError, match=r"give image_dir .*or list_file"):
        load(label_folder, image_dir=None)
    with pytest.raises(DataError, match=r"nowhere: no image whose name ends in \.jpg or"):
        load(label_folder, image_dir="nowhere")
    (label_folder / "images" / "c.jpg").unlink()
    dataset = load(label_folder)
    assert len(dataset) == 3
    (finding,) = dataset.findings
    assert finding.level == "warning" and finding.what == "labels without an image" and "c.png" in finding.ids[0]
    (label_folder / "labels" / "b.png").unlink()
    with pytest.raises(DataError, match=r"images: labels that are not there: 1 \(.*labels/b\.png\)"):
        load(label_folder)
    assert load(label_folder, strict=False).image_ids.tolist() == ["a", "d"]


def test_images_without_labels_are_for_testing_alone(label_folder):
    dataset = load(label_folder, label_dir=None)
    assert dataset[0]["meta"]["label"] is None
    with pytest.raises(DataError, match="no label to train on"):
        dataset[Draw(0, 0, 0)]


@pytest.mark.parametrize("mode", ["L", "P", "I;16"])
def test_grey_palette_and_sixteen_bit_labels_give_their_values(mode, tmp_path):
    values = np.array([[10, 20], [30, 0]], np.uint16 if mode == "I;16" else np.uint8)
    image = Image.fromarray(values)
    if mode == "P":
        image.putpalette([value for color in voc_palette(256) for value in color])
    image.save(tmp_path / "label.png")
    assert Image.open(tmp_path / "label.png").mode == mode
    np.testing.assert_array_equal(read_values(tmp_path / "label.png"), values)


def colours(path):
    Image.open(path).convert("RGB").save(path)


def other_value(path):
    values = np.asarray(Image.open(path)).copy()
    values[5, 5], values[6, 6] = 12, 77
    Image.fromarray(values).save(path)


MISTAKES = {
    "colours": (colours, r"b\.png: a label file holds one class value a pixel .* but this one is RGB"),
    "other values": (
        other_value,
        r"b\.png: label values 12, 77 are neither classes \(10, 20, 30\) nor ignored \(0, 255\)",
    ),
    "another size": (
        lambda p: Image.new("L", (32, 40), 10).save(p),
        r"b\.png: the label is 32 x 40, its image .*b\.jpg is 40 x 32",
    ),
    "cut short": (
        lambda p: p.write_bytes(p.read_bytes()[:60]),
        r"b\.png: not a readable label image, or cut short \(60",
    ),
    "a JPEG": (lambda p: Image.open(p).save(p, format="JPEG"), r"b\.png: a JPEG does not keep class values"),
    "empty": (lambda p: p.write_bytes(b""), r"b\.png: not a readable label image, or cut short \(0"),
    "no image": (lambda p: p.write_text("hello"), r"b\.png: not a readable label image"),
    "gone": (lambda p: p.unlink(), r"b\.png: no such label file"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_bad_label_files_have_one_clear_error_that_names_them(name, label_folder):
    change, message = MISTAKES[name]
    dataset = load(label_folder)
    change(label_folder / "labels" / "b.png")
    with pytest.raises(DataError, match=rf"^[^\n]*{message}[^\n]*$"):
        dataset[1]


def test_errors_come_out_of_loader_processes_as_one_sentence(label_folder):
    dataset = load(label_folder)
    (label_folder / "labels" / "b.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"^[^\n]*b\.png: not a readable label image[^\n]*$"):
        list(build_dataloader(dataset, 1, 1, training=False))


def test_images_of_several_sizes_do_not_fit_in_one_batch(label_folder):
    Image.new("RGB", (50, 32)).save(label_folder / "images" / "a.jpg")
    Image.new("L", (50, 32), 10).save(label_folder / "labels" / "a.png")
    with pytest.raises(DataError, match=r"several sizes in one batch .*40 x 32, 50 x 32; set .*batch_size to 1"):
        next(iter(build_dataloader(load(label_folder), 2, 0, training=False)))


def test_the_picture_shows_truth_and_prediction_side_by_side(label_folder):
    import torch

    dataset = load(label_folder)
    labels = torch.from_numpy(dataset[0]["meta"]["label"])
    picture = dataset.draw([{"index": 0, "labels": labels}])
    assert picture.shape == (32, 80, 3)
    np.testing.assert_array_equal(picture[:, :40], picture[:, 40:])
    image = dataset.read_image(0)
    np.testing.assert_array_equal(picture[:2, :40], image[:2])  # ignored: the image itself
    assert (picture[2:, :40] != image[2:]).any(axis=2).mean() > 0.9


def test_samples_and_their_targets_can_be_looked_at(label_folder):
    from hrtoolkit.tasks.segmentation.head import SegmentationHead

    from hrtoolkit.data.doctor import examine
    from hrtoolkit.data.loading import collate

    dataset = load(label_folder)
    assert examine({"train": dataset}, {}, read_images=True) == []
    batch = collate([dataset[Draw(index, 0, 0)] for index in range(2)])
    pictures = SegmentationHead([4], [4], CLASSES).draw_targets(batch["images"], batch["targets"])
    ignored = (batch["targets"]["label"][1] == 255).numpy()
    assert pictures[1].shape == (20, 24, 3) and ignored.any() and not ignored.all()
    image = batch["images"][1].permute(1, 2, 0).numpy()
    assert (pictures[1][ignored] == image[ignored]).all() and (pictures[1][~ignored] != image[~ignored]).any()


def write_grey_png(path, rows, bits):
    """Write a PNG of few bits a pixel, which Pillow reads and does not write; a row is one byte."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 8 // bits, len(rows), bits, 0, 0, 0, 0)
    pixels = b"".join(bytes([0, row]) for row in rows)
    content = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + content)


@pytest.mark.parametrize(
    ("bits", "rows", "expected"),
    [
        (1, [0b10010000], [[1, 0, 0, 1, 0, 0, 0, 0]]),
        (2, [0b00011011], [[0, 1, 2, 3]]),
        (4, [0x1F, 0x20], [[1, 15], [2, 0]]),
    ],
)
def test_values_of_few_bits_are_read_as_they_are(bits, rows, expected, tmp_path):
    write_grey_png(tmp_path / "label.png", rows, bits)
    values = read_values(tmp_path / "label.png")
    assert values.dtype == np.uint8
    np.testing.assert_array_equal(values, expected)


def test_no_flipped_bit_of_a_label_goes_unnoticed(tmp_path):
    path = tmp_path / "label.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 30, (12, 16), dtype=np.uint8)).save(path)
    data, values = path.read_bytes(), read_values(path)
    noticed = 0
    for position in range(8, len(data)):
        path.write_bytes(data[:position] + bytes([data[position] ^ 4]) + data[position + 1 :])
        try:
            np.testing.assert_array_equal(read_values(path), values)
        except DataError:
            noticed += 1
    assert noticed > 0.9 * len(data)


def test_labels_beside_their_images_are_no_images(label_folder):
    for path in (label_folder / "labels").iterdir():
        path.rename(label_folder / "images" / path.name)
    dataset = load(label_folder, label_dir="images")
    assert [path.rsplit("/", 1)[1] for path in dataset.image_paths] == ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]


def test_the_doctor_opens_every_label(label_folder):
    from hrtoolkit.data.doctor import examine

    Image.new("L", (40, 32), 77).save(label_folder / "labels" / "a.png")
    Image.new("L", (30, 32), 10).save(label_folder / "labels" / "b.png")
    Image.new("RGB", (40, 32)).save(label_folder / "labels" / "c.png")
    (label_folder / "images" / "d.jpg").write_bytes(b"no image")
    found = {finding.what: str(finding) for finding in examine({"train": load(label_folder)}, {}, read_images=True)}
    assert len(found) == 2
    assert "images that are missing or cannot be read: 1" in found["images that are missing or cannot be read"]
    labels = found["labels that cannot be used"]
    for said in ("labels that cannot be used: 3", "label values 77", "the label is 30 x 32", "but this one is RGB"):
        assert said in labels
