"""MATLAB label files of the releases, and what the configs read after they were converted."""

import io

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from hrtoolkit.config import load_config
from hrtoolkit.engine.assembly import build_samples
from hrtoolkit.engine.check_config import check_config
from hrtoolkit.errors import DataError, UserError
from hrtoolkit.schemes.classes import CLASSES, COCO_STUFF, COCO_STUFF_164K, PASCAL_CONTEXT_60
from hrtoolkit.tasks.segmentation.reading import read_label_file
from hrtoolkit.tasks.segmentation.releases import CONTEXT_IDS, convert_coco_stuff, convert_pascal_context

from ..conftest import REPOSITORY


def config_datasets(name, data_root):
    config = load_config(REPOSITORY / f"configs/segmentation/hrnetv2_w18_small_v2_{name}.py", data_root=data_root)
    return build_samples(check_config(config), ("train", "val")).values()


@pytest.fixture
def context(tmp_path):
    """VOC2010 with two images, and their label maps of 459 classes."""
    voc, labels = tmp_path / "VOC2010", tmp_path / "trainval"
    for folder in (voc / "JPEGImages", voc / "ImageSets" / "Main", labels):
        folder.mkdir(parents=True)
    for split, name, values in (("train", "2008_1", [[2, 9, 459], [458, 284, 1]]), ("val", "2008_2", [[454] * 3] * 2)):
        (voc / "ImageSets" / "Main" / f"{split}.txt").write_text(f"{name}\n")
        Image.new("RGB", (3, 2)).save(voc / "JPEGImages" / f"{name}.jpg")
        savemat(labels / f"{name}.mat", {"LabelMap": np.array(values, np.uint16)})
    return voc, labels


def test_pascal_context_is_read_by_its_config_once_converted(context):
    convert_pascal_context(*context)
    train, val = config_datasets("pascal_context", context[0])
    names = [[train.scheme.names[i] if i != 255 else None for i in row] for row in train.truth(0).label_map]
    assert names == [["aeroplane", "bag", None], ["wood", "person", None]]
    assert val.images.ids.tolist() == ["JPEGImages/2008_2"] and (val.truth(0).label_map == 57).all()
    background = PASCAL_CONTEXT_60.encode(read_label_file(context[0] / "context" / "2008_1.png").values)
    np.testing.assert_array_equal(background, [[1, 2, 0], [59, 37, 0]])


def test_the_ids_of_pascal_context_are_those_of_its_names():
    assert len(CONTEXT_IDS) == len(set(CONTEXT_IDS)) == 60 and list(CONTEXT_IDS) == sorted(CONTEXT_IDS)
    ids = dict(zip(PASCAL_CONTEXT_60.names, CONTEXT_IDS, strict=True))
    known = dict(background=0, bedclothes=19, cabinet=46, cat=65, floor=158, grass=187, mountain=259, sky=360, wood=458)
    assert {name: ids[name] for name in known} == known


def test_coco_stuff_is_read_by_its_config_once_converted(tmp_path):
    for folder in ("annotations", "images", "imageLists"):
        (tmp_path / folder).mkdir()
    for split, name in (("train", "COCO_train2014_000000000077"), ("test", "COCO_train2014_000000000092")):
        (tmp_path / "imageLists" / f"{split}.txt").write_text(f"{name}\r\n")
        Image.new("RGB", (3, 2)).save(tmp_path / "images" / f"{name}.jpg")
        savemat(tmp_path / "annotations" / f"{name}.mat", {"S": np.array([[0, 1, 13], [90, 92, 182]], np.uint8)})
    for _ in range(2):  # again: what is there stays
        convert_coco_stuff(tmp_path)
    for dataset in config_datasets("coco_stuff", tmp_path):
        assert dataset.read(0).shape == (2, 3, 3)
        np.testing.assert_array_equal(dataset.truth(0).label_map, [[255, 0, 11], [79, 80, 170]])


@pytest.mark.parametrize("name", ["../images/a", "/a"])
def test_a_listed_name_does_not_lead_out_of_the_release(name, tmp_path):
    for folder in ("annotations", "images", "imageLists"):
        (tmp_path / folder).mkdir()
    (tmp_path / "imageLists" / "train.txt").write_text(f"{name}\n")
    (tmp_path / "images" / "a.png").write_bytes(b"precious")
    with pytest.raises(UserError, match="leads out of"):
        convert_coco_stuff(tmp_path)
    assert (tmp_path / "images" / "a.png").read_bytes() == b"precious"


def test_both_releases_of_coco_stuff_have_the_same_classes():
    values = np.arange(1, 183)
    annotated = np.isin(values, COCO_STUFF.ids)
    assert annotated.sum() == 171 and CLASSES["coco_stuff_164k"].names == COCO_STUFF.names
    ours = COCO_STUFF.encode(values[annotated][None].astype(np.uint8))
    np.testing.assert_array_equal(COCO_STUFF_164K.encode(values[annotated][None].astype(np.uint8) - 1), ours)
    with pytest.raises(ValueError, match="label values 11 are neither"):
        COCO_STUFF_164K.encode(np.array([[0, 11, 255]], np.uint8))


def cut_off_file():
    whole = io.BytesIO()
    savemat(whole, {"LabelMap": np.arange(400).reshape(20, 20)}, do_compression=True)
    return whole.getvalue()[:-20]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"2008_1\.mat: no such label file; unpack the release"),
        (b"PNG", r"2008_1\.mat: not a MATLAB file of version 5"),
        (cut_off_file(), r"2008_1\.mat: not a MATLAB file of version 5"),
        ({"S": np.zeros((2, 3), np.uint8)}, r"2008_1\.mat: holds no label map 'LabelMap'"),
        ({"LabelMap": np.array([[460]])}, r"2008_1\.mat: LabelMap goes from 460 to 460, expected 0 to 459"),
    ],
)
def test_bad_releases_have_one_clear_error(content, message, context):
    path = context[1] / "2008_1.mat"
    path.unlink()
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        savemat(path, content)
    with pytest.raises(DataError, match=rf"^[^\n]*{message}[^\n]*$"):
        convert_pascal_context(*context)


def test_an_unconverted_release_is_answered_with_the_tool(context):
    with pytest.raises(DataError, match=r"2008_1\.mat: MATLAB .* made into PNGs first, see tools/convert_labels\.py"):
        read_label_file(context[1] / "2008_1.mat")
    with pytest.raises(DataError, match=r"imageLists/train\.txt: no such file"):
        convert_coco_stuff(context[0])
