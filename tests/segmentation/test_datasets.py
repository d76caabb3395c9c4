"""Pairing images and label maps, and what happens when files are not as they should be."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from hrtoolkit.data.doctor import examine
from hrtoolkit.data.loading import Collate, build_dataloader, stopping_workers
from hrtoolkit.data.seeding import SampleKey
from hrtoolkit.errors import DataError, OptionError
from hrtoolkit.runtime.drawing import draw
from hrtoolkit.samples import Inputs
from hrtoolkit.schemes import ClassScheme
from hrtoolkit.schemes.base import voc_palette
from hrtoolkit.tasks.segmentation.augmentation import ScaleCropFlip
from hrtoolkit.tasks.segmentation.datasets import SegmentationPairs
from hrtoolkit.tasks.segmentation.head import SegmentationHead
from hrtoolkit.tasks.segmentation.reading import read_label_file
from hrtoolkit.tasks.segmentation.views import WholeImage

from .conftest import SCHEME


def load(folder, **options):
    return SegmentationPairs(
        data_root=folder, scheme=SCHEME, **{"image_dir": "images", "label_dir": "labels", **options}
    )


def to_inputs(samples, training=False):
    head = SegmentationHead([4], [4], scheme=SCHEME)
    extras = dict(targets=head.targets, augmentation=ScaleCropFlip(crop_size=(24, 20), base_size=40))
    return Inputs(samples, WholeImage(), head.scheme, **(extras if training else {}))


def test_images_meet_the_labels_of_their_name(label_folder):
    samples = load(label_folder)
    assert samples.images.ids.tolist() == ["a", "b", "c", "d"]
    one = to_inputs(samples)[2]
    assert one.pixels.shape == (32, 40, 3) and one.targets is None and one.index == 2
    assert one.frame.image_hw == one.frame.input_hw == one.frame.content_hw == (32, 40)
    label = np.asarray(Image.open(label_folder / "labels" / "c.png"))
    np.testing.assert_array_equal(one.truth.label_map, np.where(label == 0, 255, label // 10 - 1))


def test_tiles_are_repeatable_and_the_same_with_workers(label_folder):
    inputs = to_inputs(load(label_folder), training=True)
    one = inputs[SampleKey(1, 3, 0)]
    assert one.pixels.shape == (20, 24, 3) and one.targets["label"].shape == (20, 24)
    np.testing.assert_array_equal(one.pixels, inputs[SampleKey(1, 3, 0)].pixels)
    loaders = [build_dataloader(inputs, 4, workers, training=True, seed=1) for workers in (0, 1)]
    with stopping_workers(*loaders):
        batches = [next(iter(loader)) for loader in loaders]
    assert (batches[0]["images"] == batches[1]["images"]).all()
    assert (batches[0]["targets"]["label"] == batches[1]["targets"]["label"]).all()


def test_suffixes_and_inner_folders_as_in_cityscapes(tmp_path):
    for city in ("aachen", "ulm"):
        for kind in ("leftImg8bit", "gtFine"):
            (tmp_path / kind / "val" / city).mkdir(parents=True)
        Image.new("RGB", (8, 4)).save(tmp_path / "leftImg8bit" / "val" / city / f"{city}_0_leftImg8bit.png")
        Image.new("L", (8, 4), 7).save(tmp_path / "gtFine" / "val" / city / f"{city}_0_gtFine_labelIds.png")
        Image.new("L", (8, 4), 7).save(tmp_path / "gtFine" / "val" / city / f"{city}_0_gtFine_instanceIds.png")
    samples = SegmentationPairs(
        data_root=tmp_path,
        scheme="cityscapes",
        image_dir="leftImg8bit/val",
        label_dir="gtFine/val",
        image_suffix="_leftImg8bit.png",
        label_suffix="_gtFine_labelIds.png",
    )
    assert samples.images.ids.tolist() == ["aachen/aachen_0", "ulm/ulm_0"]
    assert (samples.truth(1).label_map == 0).all()


def test_a_list_names_pairs_and_may_have_more_columns(label_folder):
    lines = ["images/d.jpg labels/d.png labels/a.png x", "", "images/a.jpg\tlabels/a.png"]
    (label_folder / "train.lst").write_text("\n".join(lines))
    samples = load(label_folder, image_dir=None, label_dir=None, list_file="train.lst")
    assert samples.images.ids.tolist() == ["images/d", "images/a"]
    np.testing.assert_array_equal(samples.truth(1).label_map, load(label_folder).truth(0).label_map)
    (label_folder / "test.lst").write_text("images/a.jpg\nimages/b.jpg\n")
    assert load(label_folder, image_dir=None, label_dir=None, list_file="test.lst").truth(1) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"train\.lst: the file is empty"),
        (b"images/\xe9.jpg labels/a.png", r"train\.lst: not a text file"),
        (
            "images/a.jpg labels/a.png\nimages/b.jpg",
            r"without a label, where others have one: 1 \(line 2: images/b\.jpg",
        ),
        ("images/a.jpg labels/z.png", r"train\.lst: labels that are not there: 1 \(.*labels/z\.png\)"),
        ("images/y.jpg labels/a.png", r"train\.lst: images that are not there: 1 \(.*images/y\.jpg\)"),
    ],
)
def test_bad_lists_have_one_clear_error(text, message, label_folder):
    (label_folder / "train.lst").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DataError, match=message):
        load(label_folder, image_dir=None, label_dir=None, list_file="train.lst").findings.raise_stops()


def test_folders_that_do_not_match_have_one_clear_error(label_folder):
    with pytest.raises(OptionError, match=r"give image_dir .*or list_file"):
        load(label_folder, image_dir=None)
    with pytest.raises(DataError, match=r"nowhere: the folder cannot be read"):
        load(label_folder, image_dir="nowhere")
    (label_folder / "images" / "c.jpg").unlink()
    samples = load(label_folder)
    assert len(samples) == 3
    (finding,) = samples.findings
    assert finding.level == "warning" and finding.what == "labels without an image" and "c.png" in finding.ids[0]
    (label_folder / "labels" / "b.png").unlink()
    samples = load(label_folder)
    assert samples.images.ids.tolist() == ["a", "d"]
    with pytest.raises(DataError, match=r"images: labels that are not there: 1 \(.*labels/b\.png\)"):
        samples.findings.raise_stops()
    for name in "ad":
        (label_folder / "labels" / f"{name}.png").unlink()
    with pytest.raises(DataError, match="labels that are not there: 3"):  # nobody is left
        load(label_folder)


def test_images_without_labels_are_for_testing_alone(label_folder):
    samples = load(label_folder, label_dir=None)
    assert samples.truth(0) is None and to_inputs(samples)[0].truth is None
    with pytest.raises(DataError, match="no label to train on"):
        to_inputs(samples, training=True)[SampleKey(0, 0, 0)]


def test_truth_of_other_classes_is_told_by_name(label_folder):
    samples = load(label_folder)
    head = ClassScheme(["right", "ground"])
    target = Inputs(samples, WholeImage(), head, targets=lambda truth, frame: {"label": truth.label_map})
    found, truth = target[SampleKey(0, 0, 0)].targets["label"], samples.truth(0).label_map
    np.testing.assert_array_equal(found, np.select([truth == 2, truth == 0], [0, 1], 255))


@pytest.mark.parametrize("mode", ["L", "P", "I;16"])
def test_grey_palette_and_sixteen_bit_labels_give_their_values(mode, tmp_path):
    values = np.array([[10, 20], [30, 0]], np.uint16 if mode == "I;16" else np.uint8)
    image = Image.fromarray(values)
    if mode == "P":
        image.putpalette([value for color in voc_palette(256) for value in color])
    image.save(tmp_path / "label.png")
    assert Image.open(tmp_path / "label.png").mode == mode
    np.testing.assert_array_equal(read_label_file(tmp_path / "label.png").values, values)


def colors(path):
    Image.open(path).convert("RGB").save(path)


def other_value(path):
    values = np.asarray(Image.open(path)).copy()
    values[5, 5], values[6, 6] = 12, 77
    Image.fromarray(values).save(path)


MISTAKES = {
    "colors": (colors, r"b\.png: a label file holds one class value a pixel .* but this one is RGB"),
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
    samples = load(label_folder)
    change(label_folder / "labels" / "b.png")
    for read in (to_inputs(samples).__getitem__, samples.truth):  # with its image, and alone
        with pytest.raises(DataError, match=rf"^[^\n]*{message}[^\n]*$"):
            read(1)


def test_an_image_is_opened_once_for_itself_and_the_size_of_its_label(label_folder, monkeypatch):
    inputs, opened = to_inputs(load(label_folder)), []
    open_image = Image.open
    monkeypatch.setattr(Image, "open", lambda file: opened.append(file) or open_image(file))
    assert inputs[1].truth is not None
    assert not any(isinstance(file, str) for file in opened)  # the bytes of the label alone


def test_errors_come_out_of_loader_processes_as_one_sentence(label_folder):
    inputs = to_inputs(load(label_folder))
    (label_folder / "labels" / "b.png").write_bytes(b"")
    loader = build_dataloader(inputs, 1, 1, training=False)
    with stopping_workers(loader), pytest.raises(DataError, match=r"^[^\n]*b\.png: not a readable label image[^\n]*$"):
        list(loader)


def test_images_of_several_sizes_do_not_fit_in_one_batch(label_folder):
    Image.new("RGB", (50, 32)).save(label_folder / "images" / "a.jpg")
    Image.new("L", (50, 32), 10).save(label_folder / "labels" / "a.png")
    with pytest.raises(DataError, match=r"several sizes in one batch .*40 x 32, 50 x 32; set .*batch_size to 1"):
        next(iter(build_dataloader(to_inputs(load(label_folder)), 2, 0, training=False)))


def test_label_maps_are_drawn_over_the_image_but_for_what_is_ignored(label_folder, monkeypatch):
    monkeypatch.setattr("hrtoolkit.runtime.drawing.LEGEND_SHARE", 2.0)  # names would cover some of it
    samples = load(label_folder)
    image, truth = samples.read(0), samples.truth(0)
    picture = draw(image, truth, samples.scheme)
    assert picture.shape == (32, 40, 3)
    np.testing.assert_array_equal(picture[:2], image[:2])  # ignored
    assert (picture[2:] != image[2:]).any(axis=2).mean() > 0.9


def test_inputs_and_their_targets_can_be_looked_at(label_folder, monkeypatch):
    monkeypatch.setattr("hrtoolkit.runtime.drawing.LEGEND_SHARE", 2.0)  # names would cover some of it
    samples = load(label_folder)
    assert examine({"train": samples}, {}, read_images=True) == []
    inputs = to_inputs(samples, training=True)
    batch = Collate()([inputs[SampleKey(index, 0, 0)] for index in range(2)])
    head = SegmentationHead([4], [4], scheme=SCHEME)
    pictures = head.draw_targets(batch["images"], batch["targets"], batch["frames"])
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
    values = read_label_file(tmp_path / "label.png").values
    assert values.dtype == np.uint8
    np.testing.assert_array_equal(values, expected)


def test_no_flipped_bit_of_a_label_goes_unnoticed(tmp_path):
    path = tmp_path / "label.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 30, (12, 16), dtype=np.uint8)).save(path)
    data, values = path.read_bytes(), read_label_file(path).values
    noticed = 0
    for position in range(8, len(data)):
        path.write_bytes(data[:position] + bytes([data[position] ^ 4]) + data[position + 1 :])
        try:
            np.testing.assert_array_equal(read_label_file(path).values, values)
        except DataError:
            noticed += 1
    assert noticed > 0.9 * len(data)


def test_labels_beside_their_images_are_no_images(label_folder):
    for path in (label_folder / "labels").iterdir():
        path.rename(label_folder / "images" / path.name)
    samples = load(label_folder, label_dir="images")
    names = [path.rsplit(b"/", 1)[1] for path in samples.images.paths.tolist()]
    assert names == [b"a.jpg", b"b.jpg", b"c.jpg", b"d.jpg"]


def test_the_doctor_opens_every_label(label_folder):
    Image.new("L", (40, 32), 77).save(label_folder / "labels" / "a.png")
    Image.new("L", (30, 32), 10).save(label_folder / "labels" / "b.png")
    Image.new("RGB", (40, 32)).save(label_folder / "labels" / "c.png")
    (label_folder / "images" / "d.jpg").write_bytes(b"no image")
    found = {finding.what: str(finding) for finding in examine({"train": load(label_folder)}, {}, read_images=True)}
    assert len(found) == 2
    assert "images that cannot be read: 1" in found["images that cannot be read"]
    labels = found["labels that cannot be used"]
    for said in ("labels that cannot be used: 3", "label values 77", "the label is 30 x 32", "but this one is RGB"):
        assert said in labels
