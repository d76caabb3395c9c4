"""Class folders and lists, in order; the official resizing; and one clear error for each kind of bad input."""

import random
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from timm.data import create_transform
from torchvision import transforms

from hrtoolkit.data.doctor import examine
from hrtoolkit.data.loading import build_dataloader
from hrtoolkit.data.seeding import SampleKey, global_seed
from hrtoolkit.errors import DataError, OptionError
from hrtoolkit.metric import score_truth
from hrtoolkit.records import Category, join
from hrtoolkit.samples import Inputs
from hrtoolkit.schemes import ClassScheme
from hrtoolkit.tasks.classification.augmentation import RandomResizedCrop
from hrtoolkit.tasks.classification.datasets import ImageFolder, ImageList
from hrtoolkit.tasks.classification.head import PooledHead
from hrtoolkit.tasks.classification.metric import ClassificationMetric
from hrtoolkit.tasks.classification.reading import label_classes
from hrtoolkit.tasks.classification.views import ResizeCenterCrop
from hrtoolkit.views import replace_transform

TEST = ResizeCenterCrop(input_size=(32, 32))


def find(folder, split="train", **options):
    return ImageFolder(data_root=str(folder), image_dir=split, **options)


def read_list(folder, name, **options):
    return ImageList(data_root=str(folder), ann_file=name, **options)


def to_inputs(samples, augmentation=None, view=TEST):
    return Inputs(samples, view, samples.scheme, PooledHead.targets, augmentation)


def test_classes_are_the_sorted_folders_and_images_come_in_order(class_folder):
    (class_folder / "train" / "red" / "deeper").mkdir()
    (class_folder / "train" / "red" / "0.png").rename(class_folder / "train" / "red" / "deeper" / "z.PNG")
    (class_folder / "train" / ".hidden").mkdir()
    samples = find(class_folder)
    assert samples.scheme == ClassScheme(["blue", "green", "red"])
    assert [samples.truth(index).label for index in range(len(samples))] == [0] * 4 + [1] * 3 + [2] * 4
    files = samples.images.ids.tolist()
    assert files == sorted(files) and "red/deeper/z.PNG" in files
    assert samples.images.ids[4] == "green/0.png" and samples.truth(4) == Category(1)
    one = to_inputs(samples)[4]
    assert one.pixels.shape == (32, 32, 3) and one.pixels.dtype == np.uint8
    assert one.pixels.mean((0, 1)).argmax() == 1  # green in RGB
    chosen = find(class_folder, scheme=["red", "blue"])
    assert chosen.scheme.names == ("red", "blue") and len(chosen) == 8
    (finding,) = chosen.findings
    assert (finding.level, finding.what, finding.ids) == ("warning", "folders that are no class", ("green",))
    assert find(class_folder, scheme=3).scheme.names == ("blue", "green", "red")  # a number has no names


def test_what_is_no_image_is_told(class_folder):
    (class_folder / "train" / "red" / "notes.txt").write_text("")
    samples = find(class_folder)
    assert len(samples) == 11
    (finding,) = samples.findings
    assert (finding.level, finding.what, finding.ids) == ("warning", "files that are no images", ("red/notes.txt",))


def test_the_official_layout_with_images_in_between_is_found(class_folder):
    (class_folder / "images").mkdir()
    (class_folder / "train").rename(class_folder / "images" / "train")
    assert len(find(class_folder)) == 11


@pytest.mark.parametrize("separator", ["\t", " ", "   "])
def test_imagenets_flat_validation_folder_with_its_map(separator, class_folder):
    lines = [f"ILSVRC2012_val_{i:08d}.JPEG{separator}{label}" for i, label in enumerate((65, 970, 230), start=1)]
    (class_folder / "val_map.txt").write_text("\n".join(lines) + "\n\n")
    samples = read_list(class_folder, "val_map.txt", image_dir="val", scheme=1000)
    assert [samples.truth(index).label for index in range(3)] == [65, 970, 230]
    assert samples.images.ids[1] == "ILSVRC2012_val_00000002.JPEG"
    assert samples.scheme.numbered and len(samples.scheme.names) == 1000
    assert len(read_list(class_folder, "val_map.txt", image_dir="val").scheme.names) == 971


def test_lists_may_name_their_classes(class_folder):
    rows = ["path,label", '"blue/0.png",sky blue', "red/1.png,red"]
    (class_folder / "list.csv").write_text("\n".join(rows))
    samples = read_list(class_folder, "list.csv", image_dir="train")
    assert samples.scheme.names == ("red", "sky blue")
    assert [samples.truth(index).label for index in range(2)] == [1, 0]
    assert to_inputs(samples)[1].pixels.mean((0, 1)).argmax() == 0
    samples = read_list(class_folder, "list.csv", image_dir="train", scheme=["blue", "red"])
    assert samples.images.ids.tolist() == ["red/1.png"]
    with pytest.raises(
        DataError, match=r"list.csv: images whose class is not one of blue, red: 1 \(line 2: 'sky blue' of blue/0.png\)"
    ):
        samples.findings.raise_stops()


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (
            "a.jpg 1000\nb.jpg 3",
            {"scheme": 1000},
            r"not a whole number from 0 to 999: 1 \(line 1: '1000' of a.jpg\)",
        ),
        ("a.jpg 0\nb.jpg -1", {}, r"not a whole number from 0 to 0: 1 \(line 2: '-1' of b.jpg\)"),
        ("a.jpg 0\nb.jpg", {}, r"lines without an image and its class: 1 \(line 2: 'b.jpg'\)"),
        ("a.jpg rde", {"scheme": ["red"]}, r"not one of red: 1 \(line 1: 'rde' of a.jpg\).*did you mean 'red'\?"),
        ("\n", {}, "the file is empty"),
        (b"caf\xe9.jpg 0", {}, "not a text file"),
    ],
)
def test_a_bad_line_is_named(text, options, message, class_folder):
    (class_folder / "list.txt").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DataError, match="list.txt.*" + message):
        read_list(class_folder, "list.txt", **options).findings.raise_stops()


NUMBERS = ClassScheme(list("0123"), numbered=True)
FROM_NAMES = ClassScheme(["0", "1", "10", "2"])  # as folders are sorted


@pytest.mark.parametrize(
    ("texts", "scheme", "labels", "names"),
    [
        (["0", "2", "1"], None, [0, 2, 1], "012"),
        (["0", "2", "1"], NUMBERS, [0, 2, 1], "0123"),
        (["0.0", "1.0"], None, [-1, -1], "0"),  # neither numbers nor names: another file may say 0 and 1
        (["0.0", "1.0"], NUMBERS, [-1, -1], "0123"),
        (["0", "1.0", "2"], None, [0, -1, 2], "012"),
        (["-1", "1", "4"], NUMBERS, [-1, 1, -1], "0123"),
        (["cat", "3", "dog"], None, [0, -1, 1], ["cat", "dog"]),
        (["3", "cat", "2"], None, [3, -1, 2], "0123"),
        (["10", "2", "0"], FROM_NAMES, [2, 3, 0], FROM_NAMES.names),  # names first: the folder 10, not the tenth
        (["3", "0"], FROM_NAMES, [-1, 0], FROM_NAMES.names),
        (["1", "0"], ClassScheme(["ant", "bee"]), [1, 0], ["ant", "bee"]),
        (["bee", "0"], ClassScheme(["ant", "bee"]), [1, -1], ["ant", "bee"]),
        (["1.0", "2.0"], ClassScheme(["2.0", "1.0"]), [1, 0], ["2.0", "1.0"]),  # said to be names
        (["99999999999999999999", "0"], None, [-1, 0], "0"),
    ],
)
def test_one_rule_says_what_is_a_number_and_what_is_a_name(texts, scheme, labels, names):
    found = label_classes(texts, scheme)
    assert found.labels == labels and found.scheme.names == tuple(names)


def test_numbers_that_do_not_count_from_0_are_told_with_their_likely_cause(class_folder):
    (class_folder / "list.csv").write_text("filename,label\na.png,1\nb.png,2\nc.png,2\n")
    (finding,) = read_list(class_folder, "list.csv").check_labels("train", whole=False)
    assert str(finding) == (
        "warning: train data: classes that no image has: 1 (0); they are neither learned nor scored; "
        "the numbers count from 0: do these count from 1?"
    )
    (finding,) = read_list(class_folder, "list.csv", scheme=2).findings
    assert "do the numbers count from 1? They count from 0" in finding.remedy
    (class_folder / "floats.csv").write_text("filename,label\na.png,0.0\nb.png,1.0\n")
    with pytest.raises(DataError, match=r"2 \(line 2: '0\.0' of a\.png.*write whole numbers, 0 instead of 0\.0"):
        read_list(class_folder, "floats.csv")


def test_all_bad_lines_are_told_or_dropped_on_demand(class_folder):
    (class_folder / "list.csv").write_text("image_id,label\na.png,0\nb.png\nc.png,2.5\n,1\nd.png,1\nd.png,0\na.png,0\n")
    said = {finding.what: finding.count for finding in read_list(class_folder, "list.csv").findings}
    assert said == {
        "lines without an image and its class": 2,
        "images whose class is not a whole number from 0 to 1": 1,
        "images with several classes": 1,
        "images listed more than once": 1,
    }
    dropped = read_list(class_folder, "list.csv", faults="drop")
    assert dropped.images.ids.tolist() == ["a.png", "d.png", "d.png", "a.png"]
    assert {finding.level for finding in dropped.findings} == {"warning"}


def test_training_on_one_class_alone_is_refused(class_folder):
    (class_folder / "list.txt").write_text("red/0.png red\nred/1.png red\n")
    (finding,) = read_list(class_folder, "list.txt", image_dir="train").check_labels("train", whole=False)
    assert finding.level == "stop" and "alone leaves nothing to decide" in finding.what
    samples = read_list(class_folder, "list.txt", image_dir="train", scheme=["red", "blue"])
    assert [samples.check_labels(name, whole=False)[0].level for name in ("train", "val")] == ["stop", "warning"]
    with pytest.raises(OptionError, match="'red' alone leaves nothing to decide"):
        PooledHead([4], [4], scheme=["red"])


def test_some_of_imagenets_folders_keep_their_places_among_all(class_folder):
    wnids = {"blue": "n01443537", "green": "n01440764", "red": "n15075141"}  # goldfish, tench, toilet tissue
    for name, wnid in wnids.items():
        (class_folder / "val" / name).rename(class_folder / "val" / wnid)
    (class_folder / "val.txt").write_text("".join(f"{wnid}/0.png {wnid}\n" for wnid in wnids.values()))
    for samples in (find(class_folder, "val", scheme=1000), read_list(class_folder, "val.txt", scheme=1000)):
        assert len(samples.scheme.names) == 1000 and not samples.scheme.numbered and not samples.findings
        assert sorted(set(samples.labels.tolist())) == [0, 1, 999]
        (note,) = samples.check_labels("val", whole=False)
        assert (note.level, note.count) == ("note", 997)
    assert len(find(class_folder, "val").scheme.names) == 3  # of a network that takes its classes from the data
    assert len(find(class_folder, "train", scheme=1000).scheme.names) == 3  # no folders of ImageNet


def test_files_of_an_operating_system_are_no_images_and_no_classes(class_folder):
    for name in ("red/._0.png", "red/.DS_Store", "red/@eaDir/0.png", "__MACOSX/a.png"):
        path = class_folder / "train" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"\0\5\x16\7")
    samples = find(class_folder)
    assert len(samples) == 11 and samples.scheme.names == ("blue", "green", "red")
    assert {finding.level for finding in samples.findings} == {"note"}
    assert sum(finding.count for finding in samples.findings) == 4


def test_folders_that_cannot_be_classes_are_named(class_folder):
    (class_folder / "train" / "yellow").mkdir()
    with pytest.raises(
        DataError, match=r"train: class folders without an image: 1 \(yellow\); add some .* or remove the folder"
    ):
        find(class_folder).findings.raise_stops()
    with pytest.raises(
        DataError, match=r"classes without a folder: 1 \(purple\); there are folders for blue, green, red"
    ):
        find(class_folder, "val", scheme=["red", "purple"]).findings.raise_stops()
    with pytest.raises(DataError, match=r"classes without a folder: 1 \(purple\)"):  # nobody is left
        find(class_folder, "val", scheme=["purple"])
    with pytest.raises(DataError, match="blue: holds no folders"):
        find(class_folder, "val/blue")
    with pytest.raises(DataError, match="nowhere: no such folder; put the images into"):
        find(class_folder, "nowhere")


def examined(folder):
    samples = {split: find(folder, split) for split in ("train", "val")}
    return examine(samples, {"val": ClassificationMetric()}, read_images=True)


def test_the_doctor_passes_clean_folders_and_names_what_is_wrong(class_folder):
    assert not [str(finding) for finding in examined(class_folder)]
    (class_folder / "val" / "yellow").mkdir()
    shutil.copy(class_folder / "train" / "red" / "0.png", class_folder / "val" / "red" / "again.png")
    (class_folder / "val" / "green" / "0.png").write_bytes(b"no image")
    said = {(finding.level, finding.what): str(finding) for finding in examined(class_folder)}
    assert "yellow" in said["stop", "class folders without an image"]
    assert "red/again.png" in said["warning", "images in both"]
    assert "green/0.png" in said["stop", "images that cannot be read"]
    assert len(said) == 3


def test_truth_is_perfect_to_the_metric(class_folder):
    metric = ClassificationMetric()
    assert score_truth(metric, find(class_folder, "val"), join)[0] == metric.perfect == 1


@pytest.mark.parametrize("damage", ["cut short", "text", "empty", "gone"])
def test_an_unreadable_image_is_named(damage, class_folder):
    samples = find(class_folder, "val")
    path = class_folder / "val" / "green" / "1.png"
    data = path.read_bytes()
    path.write_bytes({"cut short": data[: len(data) // 2], "text": b"hello", "empty": b"", "gone": data}[damage])
    if damage == "gone":
        path.unlink()
    with pytest.raises(DataError, match=r"^\S*green/1.png: (not a readable|no such image|the image is cut short)"):
        list(build_dataloader(to_inputs(samples), batch_size=4, num_workers=0, training=False))


@pytest.mark.parametrize("size", [(90, 60), (60, 90), (20, 300), (37, 37)])
def test_testing_resizes_as_the_official_code_does(size):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
    official = transforms.Compose([transforms.Resize(int(32 / 0.875)), transforms.CenterCrop(32)])
    np.testing.assert_array_equal(TEST(image)[0], np.asarray(official(Image.fromarray(image))))


@pytest.mark.parametrize("size", [(90, 60), (60, 90), (20, 300), (37, 37), (101, 33)])
@pytest.mark.parametrize(("input_size", "crop"), [((32, 32), 1.0), ((48, 32), 0.9), ((30, 40), 0.875)])
def test_inputs_of_any_shape_are_resized_as_timm_does(size, input_size, crop):
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    official = create_transform(input_size[::-1], crop_pct=crop, interpolation="bicubic", use_prefetcher=True)
    pixels = ResizeCenterCrop(input_size=input_size, crop=crop, interpolation="bicubic")(image)[0]
    np.testing.assert_array_equal(pixels, np.asarray(official(Image.fromarray(image))).transpose(1, 2, 0))


def test_a_pixel_of_an_input_lies_where_its_frame_says():
    ramp = np.stack([*np.meshgrid(np.arange(240.0), np.arange(180.0)), np.zeros((180, 240))], axis=2).astype(np.uint8)
    view, augmentation = ResizeCenterCrop(input_size=(100, 100)), RandomResizedCrop(scale=(0.2, 0.4))
    asks = [None]
    for seed in range(6):
        with global_seed(seed):
            asks.append(augmentation.ask(view, (180, 240), None, None, None, None))
    assert {ask.mirror for ask in asks[1:]} == {False, True}
    inputs = np.array([[10.0, 20.0], [53.0, 77.0]])
    for ask in asks:
        pixels, frame = view(ramp, ask)
        there = frame.points_to_image(inputs)
        np.testing.assert_allclose(frame.points_to_input(there), inputs, atol=1e-4)
        for (x, y), expected in zip(inputs.astype(int), there, strict=True):
            assert np.abs(pixels[y, x, :2] - expected).max() <= 0.6  # bytes are rounded


@pytest.mark.parametrize(
    "options",
    [
        dict(scale=(0.3, 1.0)),
        dict(interpolation="random", color_jitter=0.4, flip=0.0),
        dict(interpolation="bicubic", auto_augment="rand-m9-mstd0.5-inc1"),
        dict(auto_augment="augmix-m5-w3", ratio=(0.9, 1.1)),
    ],
    ids=["plain", "jitter", "rand", "augmix"],
)
def test_inputs_are_those_of_timms_whole_transform(options):
    rng = np.random.default_rng(0)
    view, augmentation = ResizeCenterCrop(input_size=(48, 40)), RandomResizedCrop(**options)
    theirs = {"hflip" if name == "flip" else name: value for name, value in options.items()}
    theirs = {"interpolation": "bilinear", "color_jitter": None, **theirs}
    whole = create_transform((40, 48), is_training=True, use_prefetcher=True, **theirs)
    for seed in range(10):
        image = rng.integers(0, 256, (*rng.integers(30, 90, 2), 3), dtype=np.uint8)
        with global_seed(seed):
            pixels, frame = view(image, augmentation.ask(view, image.shape[:2], None, None, None, None))
            pixels = augmentation.retouch(pixels, frame, None)
        with global_seed(seed):
            expected = np.asarray(whole(Image.fromarray(image))).transpose(1, 2, 0)
        np.testing.assert_array_equal(pixels, expected)


def test_augmentation_follows_from_seed_epoch_and_sample_alone(class_folder):
    augmentation = RandomResizedCrop(auto_augment="rand-m9-mstd0.5-inc1", interpolation="random")
    inputs = to_inputs(find(class_folder), augmentation)
    first = inputs[SampleKey(5, 1, 0)]
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    again = inputs[SampleKey(5, 1, 0)]
    np.testing.assert_array_equal(first.pixels, again.pixels)
    assert (first.seed, first.targets["label"]) == (again.seed, again.targets["label"])
    other = inputs[SampleKey(5, 2, 0)]
    assert (other.pixels != first.pixels).any() and other.seed != first.seed


def test_a_share_that_is_none_is_refused_and_earlier_transforms_are_answered():
    with pytest.raises(OptionError, match=r"share above 0 and up to 1, got 1\.2"):
        ResizeCenterCrop(crop=1.2)
    assert replace_transform(dict(type="RandomResizedCrop", input_size=(96, 96), flip=0.0)) == (
        "write model.view=dict(type='ResizeCenterCrop', input_size=(96, 96)) and train_dataloader.augmentation="
        "dict(type='RandomResizedCrop', flip=0.0)"
    )
    assert replace_transform(dict(type="ResizeCenterCrop", crop=1.0)) == (
        "write model.view=dict(type='ResizeCenterCrop', crop=1.0)"
    )
