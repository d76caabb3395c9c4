"""Reading faces: each release as it comes, and one clear error for each thing that can be wrong."""

import csv
import json
import pickle

import cv2
import numpy as np
import pytest
import torch
from scipy.io import savemat

from hrtoolkit.data.doctor import Subject, check_before_run, examine
from hrtoolkit.data.pts import read_pts
from hrtoolkit.data.seeding import SampleKey
from hrtoolkit.errors import DataError, UserError
from hrtoolkit.keypoints.codecs import DarkHeatmap
from hrtoolkit.keypoints.head import keypoint_targets
from hrtoolkit.keypoints.views import TopDown
from hrtoolkit.metric import score_subsets
from hrtoolkit.samples import Inputs
from hrtoolkit.schemes.faces import IBUG_68
from hrtoolkit.tasks.face.augmentation import FaceAugmentation
from hrtoolkit.tasks.face.checks import keypoint_boxes
from hrtoolkit.tasks.face.codec import TruncatedHeatmap
from hrtoolkit.tasks.face.datasets import AFLW, COFW, WFLW, CocoFaces, Face300W, FaceCsv
from hrtoolkit.tasks.face.metric import NME

WFLW_LIST = "WFLW_annotations/list_98pt_rect_attr_train_test/list_98pt_rect_attr_test.txt"


def sound(samples):
    """A data set without faults that keep a run from starting."""
    samples.findings.raise_stops()
    return samples


def look(samples, **augmentation):
    """The inputs of a data set, with targets."""
    return Inputs(
        samples, TopDown(input_size=(256, 256)), samples.scheme, keypoint_targets, FaceAugmentation(**augmentation)
    )


def write_image(path, width=200, height=150):
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    cv2.imwrite(str(path), cv2.GaussianBlur(rng.integers(0, 256, (height, width, 3), dtype=np.uint8), (0, 0), 2))


def make_points(count, number=1):
    return np.random.default_rng(number).uniform((40, 30), (160, 120), (number, count, 2)).round(3)


def write_pts(path, points, suffix=".png"):
    write_image(path.with_suffix(suffix))
    body = "\n".join(f"{x} {y}" for x, y in points)
    path.write_text(f"version: 1\nn_points:  {len(points)}\n{{\n{body}\n}}\n")


# -------------------------------------------------------------------------------------------------------------- 300W

FOLDERS = ("afw", "helen/trainset", "lfpw/trainset", "helen/testset", "lfpw/testset", "ibug", "Test/01_Indoor")


@pytest.fixture
def release_300w(tmp_path):
    """A face in each folder of the release, two in ibug, of which one has a blank in its name."""
    points = make_points(68, 9)
    for i, folder in enumerate([*FOLDERS, "Test/02_Outdoor"]):
        write_pts(tmp_path / folder / "image_1.pts", points[i], ".jpg" if i % 2 else ".png")
    write_pts(tmp_path / "ibug" / "image_092 _01.pts", points[8], ".jpg")
    return tmp_path, points


@pytest.mark.parametrize(
    ("split", "faces", "subsets"),
    [
        ("train", 3, {}),
        ("common", 2, {}),
        ("challenge", 2, {}),
        ("full", 4, {"common": 2, "challenge": 2}),
        ("test", 2, {"indoor": 1, "outdoor": 1}),
    ],
)
def test_the_splits_of_300w(split, faces, subsets, release_300w):
    samples = sound(Face300W(data_root=release_300w[0], folders=split))
    assert len(samples) == faces
    assert {name: int(chosen.sum()) for name, chosen in samples.subsets.items()} == subsets
    assert all(look(samples)[i].pixels.any() for i in range(faces))


def test_pixels_of_300w_are_counted_from_one(release_300w):
    root, points = release_300w
    for options, expected in (({}, points[0] - 1), ({"first_pixel": 0}, points[0])):
        samples = sound(Face300W(data_root=root, folders="train", **options))
        np.testing.assert_allclose(samples.truth(0).points[0], expected, rtol=1e-6)
    np.testing.assert_allclose(read_pts(root / "afw/image_1.pts", 68), points[0])


def test_boxes_are_the_rule_of_the_official_csv():
    # The first test face of WFLW, and the centres and scales that OpenMMLab's files have.
    points = np.array([[(182.212006, 263.212006), (338.227692, 387.049878)]])
    left, top, width, height = keypoint_boxes(points)[0]
    assert (left + width / 2, top + height / 2, max(width, height) / 200) == (260.5, 325.5, 0.785)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (lambda x: [*x[:10], *x[11:]], r"image_1.pts, line 71: the braces end after 67 landmarks, expected 68"),
        (lambda x: [x[0], "n_points: 66", *x[2:]], r"image_1.pts, line 2: 66 landmarks, expected 68"),
        (lambda x: [*x[:4], "12.5", *x[5:]], r"image_1.pts, line 5: expected x and y of a landmark, got '12.5'"),
        (lambda x: [*x[:4], "12.5 abc", *x[5:]], r"image_1.pts, line 5: could not convert string to float: 'abc'"),
        (lambda x: [*x[:4], "12.5 nan", *x[5:]], r"image_1.pts, line 5: a coordinate is not finite"),
        (lambda x: x[:50], r"image_1.pts: no landmarks in braces"),
        (lambda x: [], r"image_1.pts: the file is empty"),
        (lambda x: [*x[:3], *["50 60"] * 68, "}"], r"no extent: 1 \(.*afw/image_1.pts: 0x0 at \(49, 59\)\)"),
        (
            lambda x: [*x[:4], "500 20", *x[5:]],
            r"landmark outside the image: 1 \(.*afw/image_1.pts: landmark 2 at \(499, 19\), image 200x150\); correct",
        ),
    ],
)
def test_a_malformed_pts_file(lines, message, release_300w):
    path = release_300w[0] / "afw/image_1.pts"
    path.write_text("\n".join(lines(path.read_text().splitlines())))
    with pytest.raises(DataError, match=message):
        sound(Face300W(data_root=release_300w[0], folders="train"))


def test_files_that_macos_puts_beside_landmarks_are_left_out_and_said(release_300w):
    (release_300w[0] / "afw/._image_1.pts").write_bytes(bytes(40))
    before = Face300W(data_root=release_300w[0], folders=("afw",))
    (finding,) = (f for f in before.findings if "operating system" in f.what)
    assert finding.level == "note" and not [f for f in before.findings if f.level == "stop"]


def test_what_else_can_be_wrong_with_300w(release_300w):
    root, _ = release_300w
    (root / "afw/image_1.png").unlink()
    with pytest.raises(DataError, match=r"afw/image_1.pts: there is no image of this name beside it"):
        sound(Face300W(data_root=root, folders="train"))
    (root / "afw/image_1.png").write_text("no image")
    inputs = look(sound(Face300W(data_root=root, folders="train")))
    with pytest.raises(DataError, match=r"afw/image_1.png: not a readable image"):
        inputs[0]
    (root / "afw/image_1.pts").unlink()
    with pytest.raises(DataError, match=r"afw: holds no .pts files"):
        sound(Face300W(data_root=root, folders="train"))
    with pytest.raises(
        DataError, match=r"has no folder mine; it holds Test, afw, helen, ibug, lfpw. .*folders=trainset"
    ):
        sound(Face300W(data_root=root, folders="mine"))


def test_everything_that_cannot_be_read_is_told_at_once(release_300w):
    root, _ = release_300w
    (root / "afw/image_1.pts").write_text("nothing")
    (root / "helen/trainset/image_1.jpg").unlink()
    with pytest.raises(DataError, match=r"cannot be read: 2 \(.*afw/image_1.pts: no landmarks.*helen.*no image"):
        sound(Face300W(data_root=root, folders="train"))
    assert len(Face300W(data_root=root, folders="train")) == 1
    (root / "lfpw/trainset/image_1.pts").write_text("nothing")
    with pytest.raises(DataError, match=r"cannot be read: 3"):  # nothing is left
        Face300W(data_root=root, folders="train")


def test_a_folder_of_ones_own_may_be_called_like_a_split(tmp_path):
    write_pts(tmp_path / "train/1.pts", make_points(68)[0], ".JPG")
    assert len(sound(Face300W(data_root=tmp_path, folders="train"))) == 1
    assert look(Face300W(data_root=tmp_path, folders="train"))[0].pixels.any()


def test_landmarks_a_little_outside_are_kept_and_told(release_300w):
    path = release_300w[0] / "afw/image_1.pts"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:3], "-4 50", *lines[4:]]))
    samples = sound(Face300W(data_root=release_300w[0], folders="train"))
    assert samples.truth(0).points[0, 0].tolist() == [-5, 49]
    (finding,) = samples.findings
    assert finding.level == "warning"
    assert finding.ids[0].endswith("afw/image_1.pts: landmark 1 at (-5, 49), image 200x150")
    with pytest.raises(DataError, match=r"or use them as they are with a dataset's `max_outside` above 0.02"):
        sound(Face300W(data_root=release_300w[0], folders="train", max_outside=0.02))


def test_the_data_doctor_goes_on_without_faulty_faces(release_300w):
    path = release_300w[0] / "afw/image_1.pts"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:3], "-400 50", *lines[4:]]))
    samples = Face300W(data_root=release_300w[0], folders="train")
    assert len(samples) == 2
    (release_300w[0] / "helen/trainset/image_1.jpg").unlink()
    findings = examine({"val": samples}, {"val": NME()})
    assert [finding.level for finding in findings] == ["stop", "stop"]
    assert "faces with a landmark outside the image" in findings[0].what
    assert "images that are not there" in findings[1].what


# -------------------------------------------------------------------------------------------------------------- WFLW


def wflw_line(points, flags="000000", image="1--Parade/1.jpg", rectangle="40 30 160 120"):
    return " ".join([*map(str, points.ravel()), rectangle, *flags, image])


@pytest.fixture
def release_wflw(tmp_path):
    """Three faces; the first and the last one share an image."""
    points = make_points(98, 3)
    for name in ("1--Parade/1.jpg", "2--Riot/2.jpg"):
        write_image(tmp_path / "WFLW_images" / name)
    lines = [
        wflw_line(points[0], "100001"),
        wflw_line(points[1], "000001", "2--Riot/2.jpg"),
        wflw_line(points[2], "011110"),
    ]
    (tmp_path / WFLW_LIST).parent.mkdir(parents=True)
    (tmp_path / WFLW_LIST).write_text("\n".join(lines) + "\n")
    return tmp_path, points


def test_faces_of_wflw_stand_by_image_with_their_attributes(release_wflw):
    root, points = release_wflw
    samples = sound(WFLW(data_root=root, ann_file=WFLW_LIST))
    np.testing.assert_allclose(samples.people.points, points[[0, 2, 1]], rtol=1e-6)
    assert {name: chosen.tolist() for name, chosen in samples.subsets.items()} == {
        "pose": [True, False, False],
        "expression": [False, True, False],
        "illumination": [False, True, False],
        "makeup": [False, True, False],
        "occlusion": [False, True, False],
        "blur": [True, False, True],
    }
    sides = np.ceil(points.max(axis=1)) - np.floor(points.min(axis=1))
    np.testing.assert_allclose(samples.crops().windows_xywh[:, 2], sides.max(axis=1)[[0, 2, 1]])
    np.testing.assert_allclose([crop.size[0] for crop in look(samples).asks], 1.25 * sides.max(axis=1)[[0, 2, 1]])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (lambda x: " ".join(x.split()[1:]), "line 2: 206 columns, expected 207: 196 coordinates, 4 .* attributes pose"),
        (lambda x: " ".join([*x.split()[:200], *x.split()[201:]]), "line 2: 206 columns, expected 207"),
        (lambda x: " ".join([*x.split()[:200], x.split()[-1]]), "line 2: 201 columns, expected 207"),
        (
            lambda x: x.replace(" 0 0 0 0 0 1 ", " 0 0 2 0 0 1 "),
            "line 2: the attribute illumination is '2', expected 0 or 1",
        ),
        (lambda x: f"x{x}", "line 2: could not convert string to float: 'x"),
        (
            lambda x: " ".join(["-999", *x.split()[1:]]),
            r"outside the image: 1 \(.*line 2: landmark 1 at \(-999, .*image 200x150\)",
        ),
    ],
)
def test_a_malformed_line_of_wflw(line, message, release_wflw):
    root, _ = release_wflw
    first, second, third = (root / WFLW_LIST).read_text().splitlines()
    (root / WFLW_LIST).write_text("\n".join(["\ufeff" + first, line(second), third]))  # the mark does no harm
    with pytest.raises(DataError, match=message):
        sound(WFLW(data_root=root, ann_file=WFLW_LIST))


def test_a_missing_image_of_wflw(release_wflw):
    root, _ = release_wflw
    (root / "WFLW_images/2--Riot/2.jpg").unlink()
    samples = sound(WFLW(data_root=root, ann_file=WFLW_LIST))
    with pytest.raises(DataError, match=r"2.jpg: no such image; the annotations name it"):
        look(samples)[2]
    with pytest.raises(DataError, match=r"images that are not there: 1 \(.*2.jpg\)"):
        check_before_run(Subject({"train": samples}))


def test_a_missing_list(tmp_path):
    with pytest.raises(DataError, match=r"list_98pt_rect_attr_test.txt: no such file"):
        sound(WFLW(data_root=tmp_path, ann_file=WFLW_LIST))
    with pytest.raises(DataError, match=r": a folder, no file"):
        sound(WFLW(data_root=tmp_path, ann_file="."))


# -------------------------------------------------------------------------------------------------------------- COFW


@pytest.fixture
def release_cofw(tmp_path):
    """Two test faces as MATLAB 7.3 stores them, columns first: one in colour, one grey."""
    h5py = pytest.importorskip("h5py")
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, shape, dtype=np.uint8) for shape in ((150, 200, 3), (160, 210))]
    points = make_points(29, 2)
    rows = np.concatenate([points[..., 0], points[..., 1], np.zeros((2, 29))], axis=1)
    with h5py.File(tmp_path / "COFW_test_color.mat", "w", userblock_size=512) as file:
        references = file.create_dataset("IsT", (1, 2), dtype=h5py.ref_dtype)
        for i, image in enumerate(images):
            references[0, i] = file.create_dataset(f"#refs#/{i}", data=image.T).ref
        file["phisT"] = rows.T
        file["bboxesT"] = np.ones((4, 2))
    return tmp_path, images, points


def test_images_and_landmarks_of_cofw(release_cofw):
    root, images, points = release_cofw
    samples = sound(COFW(data_root=root, ann_file="COFW_test_color.mat"))
    check_before_run(Subject({"train": samples, "val": samples}, {"val": NME()}))  # its images are no files to compare
    np.testing.assert_allclose(samples.people.points, points - 1, rtol=1e-6)
    np.testing.assert_array_equal(samples.read(0), images[0])
    np.testing.assert_array_equal(samples.read(1), np.repeat(images[1][..., None], 3, axis=2))
    assert not any(samples.images.paths)  # the doctor has no files to look for
    # A loader's worker opens the file for itself.
    inputs = look(samples)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(inputs))[1].pixels, inputs[1].pixels)


def test_landmarks_of_cofw_are_checked(release_cofw):
    root, _, _ = release_cofw
    h5py = pytest.importorskip("h5py")
    with h5py.File(root / "COFW_test_color.mat", "r+") as file:
        file["phisT"][3, 0], file["phisT"][5, 1] = np.nan, 900
    with pytest.raises(DataError) as caught:
        sound(COFW(data_root=root, ann_file="COFW_test_color.mat"))
    assert "landmarks that are not finite: 1 " in str(caught.value) and "color.mat, image 1)" in str(caught.value)
    assert "color.mat, image 2: landmark 6 at (899, " in str(caught.value) and "image 210x160" in str(caught.value)


def test_images_of_cofw_that_are_none(release_cofw):
    root, images, _ = release_cofw
    h5py = pytest.importorskip("h5py")
    with h5py.File(root / "COFW_test_color.mat", "r+") as file:
        file["IsT"][0, 1] = file.create_dataset("floats", data=images[1].T / 255).ref
    with pytest.raises(DataError, match=r"color.mat, image 2: is float64 \[210, 160\], expected uint8"):
        sound(COFW(data_root=root, ann_file="COFW_test_color.mat"))
    with h5py.File(root / "COFW_test_color.mat", "r+") as file:
        file["IsT"][0, 1] = file.create_group("group").ref
    with pytest.raises(DataError, match=r"color.mat, image 2: cannot be found"):
        sound(COFW(data_root=root, ann_file="COFW_test_color.mat"))


def test_cofw_files_that_are_none(release_cofw):
    root, _, _ = release_cofw
    h5py = pytest.importorskip("h5py")
    with h5py.File(root / "other.mat", "w", userblock_size=512) as file:
        file["phisT"] = np.ones((87, 2))
    with pytest.raises(DataError, match=r"other.mat: holds phisT, expected images and landmarks as IsTr and phisTr"):
        sound(COFW(data_root=root, ann_file="other.mat"))
    with h5py.File(root / "COFW_test_color.mat", "r+") as file:
        del file["phisT"]
        file["phisT"] = np.ones((58, 2))
    with pytest.raises(DataError, match=r"phisT is \[2, 58\], expected \[2, 87\]"):
        sound(COFW(data_root=root, ann_file="COFW_test_color.mat"))


def test_a_cofw_file_that_is_not_hdf5(tmp_path):
    savemat(tmp_path / "COFW_test_color.mat", {"phisT": np.ones((2, 87))})
    with pytest.raises(DataError, match=r"COFW_test_color.mat: not HDF5, .* \(it begins with b'MATLAB 5.0 MAT-f'\)"):
        sound(COFW(data_root=tmp_path, ann_file="COFW_test_color.mat"))
    with pytest.raises(DataError, match=r"COFW_train_color.mat: cannot be read .No such file"):
        sound(COFW(data_root=tmp_path, ann_file="COFW_train_color.mat"))


def test_cofw_without_h5py_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "COFW_test_color.mat").write_bytes(b"MATLAB 7.3".ljust(512) + b"\x89HDF\r\n\x1a\n")
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    with pytest.raises(UserError, match=r"read by h5py, which is not installed: pip install"):
        sound(COFW(data_root=tmp_path, ann_file="COFW_test_color.mat"))


# -------------------------------------------------------------------------------------------------------------- AFLW


@pytest.fixture
def release_aflw(tmp_path, monkeypatch):
    """Five faces, three of them for training, in the file's own order."""
    monkeypatch.setattr(AFLW, "TRAINING", 3)
    points = make_points(19, 5)
    names = np.array([f"0/image{i:05d}.jpg" for i in range(5)], dtype=object)[:, None]
    for name in names[:, 0]:
        write_image(tmp_path / "data/flickr" / name)
    mask = np.ones((5, 19))
    mask[4, 3] = 0
    content = {
        "nameList": names,
        "bbox": np.tile([50.0, 150.0, 20.0, 130.0], (5, 1)),
        "data": np.concatenate([points[..., 0], points[..., 1]], axis=1),
        "mask_new": mask,
        "ra": np.array([[4, 2, 1, 5, 3]]),
    }
    savemat(tmp_path / "AFLWinfo_release.mat", content)
    return tmp_path, points, content


def test_faces_of_aflw(release_aflw):
    root, points, _ = release_aflw
    train, test = sound(AFLW(data_root=root, split="train")), sound(AFLW(data_root=root, split="test"))
    np.testing.assert_allclose(train.people.points, points[[3, 1, 0]], rtol=1e-6)
    np.testing.assert_allclose(test.people.points, points[[4, 2]], rtol=1e-6)
    assert test.subsets["frontal"].tolist() == [False, True]
    assert test.people.sizes.tolist() == [110, 110]
    crop = look(test).crop(0)
    assert crop.center.tolist() == [100, 75] and crop.size.tolist() == [137.5, 137.5]
    assert look(test)[0].pixels.any()


def test_boxes_and_landmarks_of_aflw_are_checked(release_aflw):
    root, _, content = release_aflw
    content["bbox"][3] = 0
    content["data"][1, 4] = -200
    content["data"][0, 4] = np.nan
    savemat(root / "AFLWinfo_release.mat", content)
    with pytest.raises(DataError) as caught:
        sound(AFLW(data_root=root))
    assert "not finite: 1 (" in str(caught.value) and "AFLWinfo_release.mat, face 1)" in str(caught.value)
    assert "no extent: 1 (" in str(caught.value) and "face 4: 0x0 at (0, 0))" in str(caught.value)
    assert "outside the image: 1 (" in str(caught.value) and "face 2: landmark 5 at (-200, " in str(caught.value)
    savemat(root / "AFLWinfo_release.mat", {**content, "ra": np.array([[4, 2, 2, 5, 3]])})
    with pytest.raises(DataError, match="ra is no order of the 5 faces"):
        sound(AFLW(data_root=root))


def test_aflw_files_that_are_none(release_aflw):
    root, _, content = release_aflw
    savemat(root / "AFLWinfo_release.mat", {**content, "bbox": np.ones((5, 3))})
    with pytest.raises(DataError, match=r"AFLWinfo_release.mat: bbox is \[5, 3\], expected \[5, 4\]"):
        sound(AFLW(data_root=root))
    savemat(root / "AFLWinfo_release.mat", {"data": content["data"]})
    with pytest.raises(DataError, match=r"lacks bbox, mask_new, nameList, ra"):
        sound(AFLW(data_root=root))
    savemat(root / "AFLWinfo_release.mat", content, do_compression=True)
    whole = (root / "AFLWinfo_release.mat").read_bytes()
    for size in (100, len(whole) // 2):
        (root / "AFLWinfo_release.mat").write_bytes(whole[:size])
        with pytest.raises(DataError, match=r"AFLWinfo_release.mat: .*copy or download it again"):
            sound(AFLW(data_root=root))
    (root / "AFLWinfo_release.mat").write_text("nothing of the kind")
    with pytest.raises(DataError, match=r"AFLWinfo_release.mat: not a MATLAB file of version 5"):
        sound(AFLW(data_root=root))


# --------------------------------------------------------------------------------------------------- csv and COCO


def write_csv(path, layout_size, points, box=False):
    write_image(path.parent / "images/1.jpg")
    header = ["image_name", "scale", *(["box_size"] if box else []), "center_w", "center_h"]
    header += [f"original_{i}_{axis}" for i in range(layout_size) for axis in "xy"]
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        for face in points:
            writer.writerow(["1.jpg", 0.55, *([112] if box else []), 100.5, 75, *face.ravel()])


@pytest.mark.parametrize(("scheme", "count", "box"), [("300w", 68, False), ("aflw", 19, True)])
def test_csv_files_of_the_official_code(scheme, count, box, tmp_path):
    points = make_points(count, 2)
    write_csv(tmp_path / "faces.csv", count, points, box)
    with (tmp_path / "faces.csv").open("a") as file:
        file.write("\n")  # a blank line says nothing
    samples = sound(FaceCsv(data_root=tmp_path, ann_file="faces.csv", scheme=scheme))
    np.testing.assert_allclose(samples.people.points, points, rtol=1e-6)
    for crop in look(samples).asks:
        np.testing.assert_allclose(crop.center, (100.5, 75))
        np.testing.assert_allclose(crop.size, 1.25 * 110)  # `scale` makes the crop,
    if box:
        np.testing.assert_allclose(samples.people.sizes, 112)  # `box_size` the error
    else:
        eyes = points[:, 36] - points[:, 45]
        np.testing.assert_allclose(samples.people.sizes, np.linalg.norm(eyes, axis=1), rtol=1e-5)


def test_a_csv_without_boxes_is_scored_by_the_side_of_its_crops(tmp_path):
    write_csv(tmp_path / "faces.csv", 19, make_points(19, 2))
    samples = sound(FaceCsv(data_root=tmp_path, ann_file="faces.csv", scheme="aflw"))
    np.testing.assert_allclose(samples.people.sizes, 110)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda x: [x[0], x[1][:-4], x[2].rpartition(",")[0]],
            "line 3: 139 columns, expected 140: image_name, scale, ",
        ),
        (lambda x: x[1:], "line 1: begins with 1.jpg, 0.55, .*; expected the header of the official files: image_name"),
        (lambda x: [x[0].replace("center_w", "box"), *x[1:]], "line 1: begins with image_name, scale, box, center_h"),
        (lambda x: [x[0], x[1].replace("0.55", "0"), x[2]], r"has no extent: 1 \(.*line 2: 0x0 at \(100.5, 75\)\)"),
        (lambda x: [x[0], x[1].replace("0.55", "-1", 1), x[2]], r"line 2: -200x-200 at"),
        (lambda x: [x[0], "a" + x[1], "1.jpg,x" + x[2][6:]], r"cannot be read: 1 \(.*, line 3: could not convert"),
        (lambda x: [*x[:2], '"' + x[2]], r"cannot be read: 1 \(.*, line 3: unexpected end of data"),
        (lambda x: x[:1], "faces.csv: holds no faces"),
    ],
)
def test_a_malformed_csv(change, message, tmp_path):
    path = tmp_path / "faces.csv"
    write_csv(path, 68, make_points(68, 2))
    path.write_text("\n".join(change(path.read_text().splitlines())))
    with pytest.raises(DataError, match=message):
        sound(FaceCsv(data_root=tmp_path, ann_file="faces.csv", scheme="300w"))


def test_the_image_with_a_blank_in_its_name(tmp_path):
    write_csv(tmp_path / "faces.csv", 68, make_points(68, 1))
    text = (tmp_path / "faces.csv").read_text()
    (tmp_path / "faces.csv").write_text(text.replace("1.jpg", "image_092_01.jpg"))
    write_image(tmp_path / "images/image_092 _01.jpg")
    assert look(FaceCsv(data_root=tmp_path, ann_file="faces.csv", scheme="300w"))[0].pixels.any()


def make_coco(points, names=("left_eye", "right_eye", "nose"), skeleton=((1, 3), (2, 3)), **extra):
    annotations = [
        {"id": i, "image_id": 7, "category_id": 1, "keypoints": [v for x, y in face for v in (x, y, 2)], **extra}
        for i, face in enumerate(points, start=1)
    ]
    annotations[0]["keypoints"][8] = 0  # the nose of the first face is not labelled
    annotations.append({"id": 99, "image_id": 7, "category_id": 1, "keypoints": [0] * 9})
    return {
        "images": [{"id": 7, "file_name": "1.jpg", "width": 200, "height": 150}],
        "annotations": annotations,
        "categories": [{"id": 1, "name": "face", "keypoints": list(names), "skeleton": skeleton}],
    }


def read_coco(folder, content, **options):
    write_image(folder / "images/1.jpg")
    (folder / "faces.json").write_text(json.dumps(content))
    return CocoFaces(data_root=folder, ann_file="faces.json", **options)


def test_landmark_files_in_cocos_format_bring_their_own_names(tmp_path):
    points = make_points(3, 2)
    samples = read_coco(tmp_path, make_coco(points), scheme=dict(nme_reference=("left_eye", "right_eye")))
    assert samples.scheme.names == ("left_eye", "right_eye", "nose")
    assert samples.scheme.flip_order() == [1, 0, 2]
    assert samples.scheme.nme_reference == ("left_eye", "right_eye")
    assert samples.people.visible.tolist() == [[1, 1, 0], [1, 1, 1]]
    low, high = np.floor(points[0, :2].min(axis=0)), np.ceil(points[0, :2].max(axis=0))
    np.testing.assert_allclose(samples.truth(0).boxes_xyxy[0], [*low, *high])  # the unlabelled nose does not count
    assert samples.images.ids.tolist() == [7, 7]
    (finding,) = samples.findings
    assert str(finding).endswith("annotations without a labelled landmark: 1 (99); they are left out")
    for scale in (0.4, [0.4, 0.3]):
        samples = read_coco(tmp_path, make_coco(points, center=[100, 70], scale=scale))
        np.testing.assert_allclose(samples.crops().windows_xywh[0], [60, 30, 80, 80], rtol=1e-6)
    assert score_truth(read_coco(tmp_path, make_coco(points), scheme=dict(nme_reference="box")))["NME"] == 0


def test_what_is_not_labelled_may_be_anything(tmp_path):
    content = make_coco(make_points(3, 2))
    content["annotations"][0]["keypoints"][6:9] = [float("nan"), float("inf"), 0]
    samples = read_coco(tmp_path, content, scheme=dict(nme_reference="box"))
    targets = look(samples)[SampleKey(0, 0, 0)].targets
    points, visible = (torch.from_numpy(targets[name])[None] for name in ("keypoints", "visible"))
    for codec in (TruncatedHeatmap(), DarkHeatmap()):
        maps, weights = codec.encode(points, visible, (64, 64), 4)
        assert maps.isfinite().all() and weights.tolist() == [[1, 1, 0]]
    assert score_truth(samples)["NME"] == 0


def test_faces_without_a_size_are_noted_and_cannot_be_scored(tmp_path):
    content = make_coco(make_points(3, 2))
    samples = sound(read_coco(tmp_path, content, scheme=dict(nme_reference=("left_eye", "nose"))))
    assert samples.people.sizes[0] == 0 < samples.people.sizes[1]
    assert "faces without a size to divide their error by" in samples.findings[-1].what
    assert samples.findings[-1].ids == (7,)
    with pytest.raises(DataError, match=r"1 faces have no size .*\(distance of left_eye and nose\)"):
        score_truth(samples)


def test_odd_faces_are_told(tmp_path):
    points = make_points(3, 2)
    content = make_coco(points, center=[100, 75], scale=50.0)  # pixels instead of units of 200
    content["annotations"].append({**content["annotations"][1], "id": 5})
    tiny, again = read_coco(tmp_path, content).findings[-2:]
    assert tiny.level == "warning" and tiny.what == "faces whose landmarks fill less than a tenth of their box"
    assert again.ids == ("annotation 5, as annotation 2",)


def test_other_formats_are_named(tmp_path):
    (tmp_path / "faces.txt").write_text("<dataset><images/></dataset>")
    for read, options in ((FaceCsv, {"scheme": "300w"}), (WFLW, {}), (CocoFaces, {})):
        with pytest.raises(DataError, match=r"faces\.txt: this is dlib's XML"):
            read(data_root=tmp_path, ann_file="faces.txt", **options)


def levels(samples):
    return {finding.what: finding.level for finding in samples.findings if finding.level != "note"}


def test_landmarks_at_the_origin_or_in_fractions_are_told(tmp_path):
    what = "annotations with labelled keypoints at exactly (0, 0)"
    content = make_coco(make_points(3, 5))
    content["annotations"][1]["keypoints"][:2] = [0, 0]
    assert levels(read_coco(tmp_path, content))[what] == "warning"
    for annotation in content["annotations"]:
        annotation["keypoints"][:2] = [0, 0]
    assert levels(read_coco(tmp_path, content))[what] == "stop"
    content = make_coco(make_points(3, 5) / 200)
    with pytest.raises(DataError, match="keypoints that look like fractions of the image"):
        read_coco(tmp_path, content)


FAULTY = {
    "a text": lambda a: a.update(keypoints=["9"] * 9),
    "an unlisted image": lambda a: a.update(image_id=8),
    "another number": lambda a: a.update(keypoints=[1, 2, 2]),
    "not finite": lambda a: a["keypoints"].__setitem__(0, None),
    "no extent": lambda a: a.update(keypoints=[9, 9, 2] + [0] * 6),
    "outside": lambda a: a.update(keypoints=[900, 20, 2, 40, 50, 2, 60, 70, 2]),
    "no object": lambda a: a.clear(),
}


@pytest.mark.parametrize("fault", FAULTY)
def test_faults_of_every_kind_can_be_dropped(tmp_path, fault):
    content = make_coco(make_points(3, 5))
    FAULTY[fault](content["annotations"][1])
    with pytest.raises(DataError):
        sound(read_coco(tmp_path, content))
    dropped = read_coco(tmp_path, content, faults="drop")
    assert len(dropped) == 4 and set(levels(dropped).values()) == {"warning"}


def test_a_landmark_of_null_is_one_that_is_not_labelled(tmp_path):
    content = make_coco(make_points(3, 2))
    content["annotations"][0]["keypoints"][6:8] = [None, None]
    samples = sound(read_coco(tmp_path, content))
    assert samples.truth(0).visible.tolist() == [[1, 1, 0]] and not samples.truth(0).points[0, 2].any()


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (
            lambda c: c["categories"][0].update(keypoints=["a", "b"], skeleton=[]),
            {},
            r"without 2 keypoints of x, y and visibility: 3 \(annotation 1 has 3, ",
        ),
        (lambda c: c["categories"][0].update(keypoints=["a", "a", "b"]), {}, r"json: .* unique names"),
        (lambda c: c["annotations"][0].update(image_id=8), {}, r"does not list: 1 \(annotation 1 of image 8\)"),
        (lambda c: c["annotations"][0].update(keypoints=[900, 20, 2, 40, 50, 2, 60, 70, 2]), {}, r"at \(900, 20\)"),
        (
            lambda c: c["annotations"][0].update(keypoints=["a"] * 9),
            {},
            r"`keypoints` holds a text, .*annotations\[0\] with id 1: 'a'",
        ),
        (lambda c: c["annotations"][0].update(keypoints=[9, 9, 2] + [0] * 6), {}, r"extent: 1 \(annotation 1: 0x0 at"),
        (lambda c: c["annotations"][0].update(center=[9, 9], scale=0), {}, r"no extent: 1 \(annotation 1: 0x0"),
        (lambda c: c["annotations"][0].update(center=[9000, 9], scale=1), {}, r"box's crop: 1 \(annotation 1: 200x200"),
        (lambda c: c["annotations"][0].update(keypoints=[5.5, 5.5, 2] * 3), {}, r"no extent: 1 \(annotation 1: 1x1"),
        (lambda c: c["annotations"][0].pop("id"), {}, r"lack \['id'\]: 1 \(annotations\[0\]\)"),
        (lambda c: c["images"][0].pop("width"), {}, r"images that lack \['width'\]: 1"),
        (lambda c: [a.update(keypoints=None) for a in c["annotations"]], {}, "none of 3 annotations has a labelled"),
        (lambda c: c.pop("images"), {}, "faces.json: 'images' is missing or empty; expected COCO's format"),
        (
            lambda c: None,
            {"scheme": {"nme_ref": "box"}},
            "json: .*: no field is called nme_ref; there are names",
        ),
        (lambda c: None, {"scheme": {"nme_reference": ["a", "nose"]}}, r"names \['a'\], which are not among"),
        (lambda c: None, {"scheme": {"nme_reference": "nose"}}, "json: .* 'nose', expected two names, or 'box'"),
        (lambda c: None, {"scheme": "300w"}, r"without 68 keypoints .* name those 3 in the order"),
        (lambda c: None, {"category": "dog"}, "no category is called dog among face"),
    ],
)
def test_malformed_landmark_files(change, options, message, tmp_path):
    content = make_coco(make_points(3, 2))
    change(content)
    with pytest.raises(DataError, match=message):
        sound(read_coco(tmp_path, content, **options))


# ------------------------------------------------------------------------------------------------------- all of them


@pytest.mark.parametrize("seed", range(3))
def test_augmented_landmarks_follow_the_pixels(seed, tmp_path):
    points = np.full((68, 2), 60.0)
    points[:3] = (20, 10), (120, 90), (170, 140)
    write_pts(tmp_path / "faces/1.pts", points + 1)
    image = np.zeros((150, 200, 3), np.uint8)
    image[88:93, 118:123] = 255
    cv2.imwrite(str(tmp_path / "faces/1.png"), image)
    inputs = look(Face300W(data_root=tmp_path, folders="faces"), scale=0.25, rotation=30, flip=0.5)
    one = inputs[SampleKey(0, seed, 0)]
    at = IBUG_68.flip_order()[1] if one.frame.mirror else 1
    bright = np.argwhere(one.pixels[..., 0] > 150).mean(axis=0)[::-1]
    np.testing.assert_allclose(one.targets["keypoints"][at], bright, atol=1)


def score_truth(samples):
    metric = NME()
    truths = {i: samples.truth(i) for i in range(len(samples))}
    measures = {i: metric.measure(truth.as_prediction(), truth, samples.scheme) for i, truth in truths.items()}
    return score_subsets(metric, samples, measures)[0]


@pytest.mark.parametrize("folder", ["trainset", "testset"])
def test_real_faces_of_300w(folder, test_data):
    samples = sound(Face300W(data_root=test_data / "300w", folders=folder))
    assert len(samples) == {"trainset": 18, "testset": 30}[folder]
    assert all(look(samples)[i].pixels.any() for i in range(0, len(samples), 5))
    assert score_truth(samples)["NME"] == 0


def test_real_faces_of_wflw_with_subsets(test_data):
    samples = sound(WFLW(data_root=test_data / "wflw", ann_file=WFLW_LIST))
    assert len(samples) == 4 and len(np.unique(samples.images.paths)) == 2
    sides = np.sort(samples.crops().windows_xywh[:, 2] / 200)
    np.testing.assert_allclose(sides, [0.375, 0.425, 0.455, 0.56], rtol=1e-6)
    assert score_truth(samples)["NME"] == 0  # all attributes are 0 here: no subset has a face
    samples.subsets["blur"][1:] = True
    assert score_truth(samples)["NME blur"] == 0
