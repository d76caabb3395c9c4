"""Class folders and lists, in order; the official resizing; and one clear error for each kind of bad input."""

import random
import shutil

import numpy as np
import pytest
import torch
from hrtoolkit.tasks.classification.datasets import ImageFolder, ImageList
from hrtoolkit.tasks.classification.metric import ClassificationMetric
from hrtoolkit.tasks.classification.transforms import RandomResizedCrop, ResizeCenterCrop
from mmengine.evaluator import Evaluator
from PIL import Image
from torchvision import transforms

from hrtoolkit.data.doctor import examine
from hrtoolkit.data.loading import Draw, build_dataloader
from hrtoolkit.errors import DataError

TEST = ResizeCenterCrop((32, 32))


def test_classes_are_the_sorted_folders_and_images_come_in_order(class_folder):
    (class_folder / "train" / "red" / "deeper").mkdir()
    (class_folder / "train" / "red" / "0.png").rename(class_folder / "train" / "red" / "deeper" / "z.PNG")
    (class_folder / "train" / ".hidden").mkdir()
    dataset = ImageFolder(TEST, str(class_folder), "train")
    assert dataset.class_names == ("blue", "green", "red") and dataset.num_classes == 3
    assert dataset.labels.tolist() == [0] * 4 + [1] * 3 + [2] * 4
    files = [file.decode() for file in dataset.files]
    assert files == sorted(files) and "red/deeper/z.PNG" in files
    sample = dataset[4]
    assert sample["meta"] == {"index": 4, "image_id": "green/0.png", "label": 1}
    assert sample["image"].shape == (32, 32, 3) and sample["image"].dtype == np.uint8
    assert sample["image"].mean((0, 1)).argmax() == 1  # green in RGB
    chosen = ImageFolder(TEST, str(class_folder), "train", class_names=["red", "blue"])
    assert chosen.class_names == ("red", "blue") and len(chosen) == 8


def test_what_is_no_image_is_told(class_folder):
    (class_folder / "train" / "red" / "notes.txt").write_text("")
    dataset = ImageFolder(TEST, str(class_folder), "train")
    assert len(dataset) == 11
    (finding,) = dataset.findings
    assert (finding.level, finding.what, finding.ids) == ("warning", "files that are no images", ("red/notes.txt",))


def test_the_official_layout_with_images_in_between_is_found(class_folder):
    (class_folder / "images").mkdir()
    (class_folder / "train").rename(class_folder / "images" / "train")
    assert len(ImageFolder(TEST, str(class_folder), "train")) == 11


@pytest.mark.parametrize("separator", ["\t", " ", "   "])
def test_imagenets_flat_validation_folder_with_its_map(separator, class_folder):
    lines = [f"ILSVRC2012_val_{i:08d}.JPEG{separator}{label}" for i, label in enumerate((65, 970, 230), start=1)]
    (class_folder / "val_map.txt").write_text("\n".join(lines) + "\n\n")
    dataset = ImageList(TEST, str(class_folder), "val_map.txt", "val", num_classes=1000)
    assert dataset.labels.tolist() == [65, 970, 230] and dataset.class_names is None
    assert dataset.files[1] == b"ILSVRC2012_val_00000002.JPEG"
    assert dataset.head_arguments() == {"num_classes": 1000, "class_names": None}
    assert ImageList(TEST, str(class_folder), "val_map.txt", "val").num_classes == 971


def test_lists_may_name_their_classes(class_folder):
    rows = ["path,label", '"blue/0.png",sky blue', "red/1.png,red"]
    (class_folder / "list.csv").write_text("\n".join(rows))
    dataset = ImageList(TEST, str(class_folder), "list.csv", "train")
    assert dataset.class_names == ("red", "sky blue") and dataset.labels.tolist() == [1, 0]
    assert dataset[1]["image"].mean((0, 1)).argmax() == 0
    with pytest.raises(
        DataError, match=r"list.csv: images whose class is not one of blue, red: 1 \(line 2: 'sky blue' of blue/0.png\)"
    ):
        ImageList(TEST, str(class_folder), "list.csv", "train", class_names=["blue", "red"])


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (
            "a.jpg 1000\nb.jpg 3",
            {"num_classes": 1000},
            r"class is not a number from 0 to 999: 1 \(line 1: '1000' of a.jpg\)",
        ),
        ("a.jpg 0\nb.jpg -1", {}, r"not a number from 0 to 0: 1 \(line 2: '-1' of b.jpg\)"),
        ("a.jpg 0\nb.jpg", {}, r"line 2: expected an image and its class, got \['b.jpg'\]"),
        ("a.jpg rde", {"class_names": ["red"]}, r"not one of red: 1 \(line 1: 'rde' of a.jpg\).*did you mean 'red'\?"),
        ("\n", {}, "lists no images"),
    ],
)
def test_a_bad_line_is_named(text, options, message, class_folder):
    (class_folder / "list.txt").write_text(text)
    with pytest.raises(DataError, match="list.txt.*" + message):
        ImageList(TEST, str(class_folder), "list.txt", **options)


def test_folders_that_cannot_be_classes_are_named(class_folder):
    (class_folder / "train" / "yellow").mkdir()
    with pytest.raises(
        DataError, match=r"train: class folders without an image: 1 \(yellow\); add some .* or remove the folder"
    ):
        ImageFolder(TEST, str(class_folder), "train")
    with pytest.raises(
        DataError, match=r"classes without a folder: 1 \(purple\); there are folders for blue, green, red"
    ):
        ImageFolder(TEST, str(class_folder), "val", class_names=["red", "purple"])
    with pytest.raises(DataError, match="blue: holds no folders"):
        ImageFolder(TEST, str(class_folder), "val/blue")
    with pytest.raises(DataError, match="nowhere: no such folder; put the images into"):
        ImageFolder(TEST, str(class_folder), "nowhere")


def examined(folder, other="train", split="val", **options):
    datasets = {
        "train": ImageFolder(TEST, str(folder), other, strict=False),
        "val": ImageFolder(TEST, str(folder), split, strict=False, **options),
    }
    return examine(datasets, {"val": Evaluator(ClassificationMetric())}, read_images=True)


def test_the_doctor_passes_clean_folders_and_names_what_is_wrong(class_folder):
    assert not [str(finding) for finding in examined(class_folder)]
    (class_folder / "val" / "yellow").mkdir()
    shutil.copy(class_folder / "train" / "red" / "0.png", class_folder / "val" / "red" / "again.png")
    (class_folder / "val" / "green" / "0.png").write_bytes(b"no image")
    said = {(finding.level, finding.what): str(finding) for finding in examined(class_folder)}
    assert "yellow" in said["stop", "class folders without an image"]
    assert "red/again.png" in said["warning", "images of the same content"]
    assert "green/0.png" in said["stop", "images that are missing or cannot be read"]
    assert len(said) == 3


def test_truth_is_perfect_to_the_metric(class_folder):
    dataset = ImageFolder(TEST, str(class_folder), "val")
    metric = ClassificationMetric()
    metric.dataset_meta = dataset.metainfo
    metric.process(None, list(dataset.truth()))
    assert metric.evaluate(len(dataset))["top1"] == metric.perfect == 1


@pytest.mark.parametrize("damage", ["cut short", "text", "empty", "gone"])
def test_an_unreadable_image_is_named(damage, class_folder):
    dataset = ImageFolder(TEST, str(class_folder), "val")
    path = class_folder / "val" / "green" / "1.png"
    data = path.read_bytes()
    path.write_bytes({"cut short": data[: len(data) // 2], "text": b"hello", "empty": b"", "gone": data}[damage])
    if damage == "gone":
        path.unlink()
    with pytest.raises(DataError, match=r"^\S*green/1.png: (not a readable image \(|no such image)"):
        list(build_dataloader(dataset, batch_size=4, num_workers=0, training=False))


@pytest.mark.parametrize(
    ("mode", "expected"), [("L", (90, 90, 90)), ("RGBA", (10, 20, 30)), ("CMYK", None), ("P", None)]
)
def test_every_kind_of_image_becomes_rgb(mode, expected, class_folder):
    color = {"L": 90, "RGBA": (10, 20, 30, 128), "CMYK": (0, 200, 0, 0), "P": 3}[mode]
    path = class_folder / "val" / "blue" / ("0.jpg" if mode == "CMYK" else "0.png")
    Image.new(mode, (40, 50), color).save(path)
    dataset = ImageFolder(TEST, str(class_folder), "val")
    image = np.asarray(dataset.read_image(0))
    assert image.shape == (50, 40, 3)
    assert expected is None or tuple(image[0, 0]) == expected


@pytest.mark.parametrize("size", [(90, 60), (60, 90), (20, 300), (37, 37)])
def test_testing_resizes_as_the_official_code_does(size):
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8))
    official = transforms.Compose([transforms.Resize(int(32 / 0.875)), transforms.CenterCrop(32)])
    np.testing.assert_array_equal(TEST(image), np.asarray(official(image)))


def test_augmentation_follows_from_seed_epoch_and_sample_alone(class_folder):
    transform = RandomResizedCrop((32, 32), auto_augment="rand-m9-mstd0.5-inc1", interpolation="random")
    dataset = ImageFolder(transform, str(class_folder), "train")
    first = dataset[Draw(5, 1, 0)]
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    again = dataset[Draw(5, 1, 0)]
    np.testing.assert_array_equal(first["image"], again["image"])
    assert first["meta"] == again["meta"]
    other = dataset[Draw(5, 2, 0)]
    assert (other["image"] != first["image"]).any() and other["meta"]["seed"] != first["meta"]["seed"]
