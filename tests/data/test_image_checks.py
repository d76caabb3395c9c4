"""What the data check finds in image files: turned, dark, bright, moving, missing, and known from training."""

import os

import numpy as np
import pytest
from PIL import Image

from hrtoolkit.data.image_checks import check_contents, check_leaks, check_presence
from hrtoolkit.samples import Images

GREY = np.full((40, 60, 3), 100, np.uint8)


def save(path, pixels=GREY, orientation=1, **options):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, exif=exif, **options)


def images_of(folder, *names, size=(0, 0)):
    paths = np.array([os.fsencode(folder / name) for name in names])
    return Images(paths, np.arange(1, len(names) + 1), np.tile(size, (len(names), 1)))


def said(folder, *names, **options):
    return {f.what: f for f in check_contents("val", images_of(folder, *names, **options))[0]}


@pytest.mark.parametrize("orientation", range(2, 9))
def test_an_orientation_that_may_have_turned_the_annotations_is_found(tmp_path, orientation):
    save(tmp_path / "a.jpg", orientation=orientation)
    save(tmp_path / "square.png", np.full((40, 40, 3), 100, np.uint8), orientation)
    (finding,) = said(tmp_path, "a.jpg", "square.png").values()
    assert finding.level == "warning" and finding.count == 2 and f"orientation {orientation}" in str(finding)
    found = said(tmp_path, "a.jpg", size=(60, 40))  # as stored: then it was not turned by 90 degrees
    assert bool(found) == (orientation <= 4)
    (finding,) = said(tmp_path, "a.jpg", size=(40, 60)).values()  # as viewers show it, if that turns it by 90 degrees
    if orientation > 4:
        assert finding.level == "note" and "turn them too" in str(finding)
        assert f"a.jpg, orientation {orientation}" in str(finding)
    else:
        assert finding.level == "stop" and "60 x 40, annotated 40 x 60" in str(finding)


def test_sets_that_are_nearly_black_or_white_are_found(tmp_path):
    twelve = np.random.default_rng(0).integers(0, 4096, (40, 60), dtype=np.uint16)
    Image.fromarray(twelve).save(tmp_path / "a.png")
    save(tmp_path / "b.jpg")
    save(tmp_path / "c.jpg", np.full((40, 60, 3), 253, np.uint8))
    assert said(tmp_path, "a.png", "b.jpg")["images that are nearly black"].level == "note"
    assert said(tmp_path, "a.png")["images that are nearly black"].level == "warning"
    assert said(tmp_path, "c.jpg")["images that are nearly white"].level == "warning"
    assert not said(tmp_path, "b.jpg") and not said(tmp_path, "a.png", *["b.jpg"] * 10)


def test_animations_are_told(tmp_path):
    frame = Image.fromarray(GREY)
    frame.save(tmp_path / "a.gif", save_all=True, append_images=[frame.rotate(5), frame.rotate(90)])
    (finding,) = said(tmp_path, "a.gif").values()
    assert finding.level == "note" and "the first one is read" in str(finding)


def test_missing_images_are_told_by_path_with_the_near_name(tmp_path):
    save(tmp_path / "sub" / "a b.jpg")
    (tmp_path / "c.jpg").mkdir()
    asked = images_of(tmp_path, "sub/a b.jpg", "sub\\a b.jpg", "sub/a%20b.jpg", "c.jpg", "nowhere/d.jpg")
    findings, present = check_presence("val", asked)
    (finding,) = findings
    assert finding.level == "stop" and finding.count == 4 and present.ids.tolist() == [1]
    assert f"2: {tmp_path}/sub\\a b.jpg, but there is {tmp_path}/sub/a b.jpg" in str(finding)
    assert f"3: {tmp_path}/sub/a%20b.jpg, but there is {tmp_path}/sub/a b.jpg" in str(finding)
    assert f"5: {tmp_path}/nowhere/d.jpg)" in str(finding)


def test_a_folder_that_may_not_be_read_is_told(tmp_path, monkeypatch):
    save(tmp_path / "a.jpg")

    def refuse(_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", refuse)
    findings, _ = check_presence("val", images_of(tmp_path, "a.jpg"))
    assert f"{tmp_path}: Permission denied" in str(findings[0])


def test_names_that_are_not_utf_8_can_be_printed(tmp_path):
    path = os.fsencode(tmp_path) + b"/caf\xe9.jpg"
    findings, _ = check_presence("val", Images(np.array([path]), np.array([1]), np.zeros((1, 2))))
    str(findings[0]).encode()


def test_absolute_and_relative_paths_are_checked_together(tmp_path, monkeypatch):
    save(tmp_path / "a.jpg")
    monkeypatch.chdir(tmp_path)
    paths = np.array([b"a.jpg", os.fsencode(tmp_path / "a.jpg")])
    asked = Images(paths, np.arange(2), np.zeros((2, 2)))
    assert not check_presence("val", asked)[0] and not check_contents("val", asked)[0]


@pytest.mark.parametrize("reads", [False, True])
def test_the_same_pictures_are_those_of_the_same_contents(tmp_path, reads):
    for name, value in (("train/1.png", 10), ("train/2.png", 90), ("val/1.png", 40), ("val/2.png", 90)):
        save(tmp_path / name, np.full((40, 60, 3), value, np.uint8))
    train, val = (images_of(tmp_path / name, "1.png", "2.png", size=(60, 40)) for name in ("train", "val"))
    contents = [check_contents("a", images)[1] if reads else None for images in (train, val)]
    (finding,) = [f for f in check_leaks(train, val, *contents, "val") if f.level == "warning"]
    assert finding.ids == (f"2: {tmp_path}/val/2.png",)
    twice = images_of(tmp_path / "train", "../train/1.png")
    assert check_leaks(train, twice, None, None, "val")[0].what == "images in both"
