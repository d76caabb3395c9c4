"""The data commands as they are called: exit codes, the last line, the picture."""

import json

import cv2
import numpy as np
import pytest
import torch

from hrtoolkit.commands import run_verb
from hrtoolkit.keypoints.codecs import DarkHeatmap, GaussianHeatmap, UDPHeatmap
from hrtoolkit.keypoints.head import HeatmapHead

from ..conftest import edit_json


def call(verb, folder, *arguments) -> int:
    options = [
        f"{split}_dataloader.dataset.{key}={value}"
        for split in ("train", "val")
        for key, value in (("ann_file", "people.json"), ("image_dir", "images"))
    ]
    with pytest.raises(SystemExit) as leaving:
        run_verb(verb, ["pose/hrnet_toy", "--data-root", str(folder), "--set", *options, *arguments])
    return leaving.value.code


def test_clean_data_ends_with_0_and_a_summary(coco_folder, capsys):
    assert call("check", coco_folder) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "train: 3 samples in 2 images" in lines
    summary = json.loads(lines[-1])
    # Both splits are the same file here, which is a leak.
    assert (summary["stop"], summary["warning"], summary["note"]) == (0, 1, 1)
    assert {finding["where"] for finding in summary["findings"]} == {
        str(coco_folder / "people.json"),
        "train and val data",
    }


def test_faults_end_with_1_and_all_are_told(coco_folder, capsys):
    edit_json(coco_folder / "people.json", lambda c: c["annotations"][0].update(image_id=99))
    (coco_folder / "images" / "11.jpg").unlink()
    assert call("check", coco_folder) == 1
    output = capsys.readouterr().out
    assert "annotation 1 of image 99" in output and "images that are not there: 1 (11: " in output


def test_a_file_that_cannot_be_read_does_not_hide_the_rest(coco_folder, capsys):
    (coco_folder / "other.json").write_text("{")
    code = call("check", coco_folder, "val_dataloader.dataset.ann_file=other.json")
    output = capsys.readouterr().out
    assert code == 1 and "other.json: not valid json, line 1" in output and "train: 3 samples" in output


@pytest.mark.parametrize("split", ["train", "val"])
def test_the_sheet_shows_crops_beside_their_targets(coco_folder, split):
    out = coco_folder / "sheet.png"
    assert call("browse", coco_folder, "--split", split, "--count", "3", "--out", str(out)) == 0
    # Two columns and two rows of crop and target, 96 x 128 each, with a caption.
    assert cv2.imread(str(out)).shape == (2 * (128 + 18), 2 * 2 * 96, 3)


@pytest.mark.parametrize(
    ("codec", "cell"),
    # UDP's first and last cells lie on the first and last pixels of the input.
    [(GaussianHeatmap(), (4, 4)), (DarkHeatmap(), (4, 4)), (UDPHeatmap(), (191 / 47, 255 / 63))],
)
def test_drawn_targets_lie_on_their_keypoints(codec, cell):
    head = HeatmapHead([4], [4], scheme=dict(names=["a", "b"]), codec=codec)
    points = torch.tensor([[[10.0, 15.0], [35.0, 46.0]]]) * torch.tensor(cell)
    targets = {"keypoints": points, "visible": torch.ones(1, 2)}
    (picture,) = head.draw_targets(torch.zeros(1, 3, 256, 192, dtype=torch.uint8), targets, None)
    brightness = picture.astype(float).sum(axis=-1)
    upper_left, lower_right = (slice(0, 128), slice(0, 96)), (slice(128, 256), slice(96, 192))
    for part, point in ((upper_left, points[0, 0]), (lower_right, points[0, 1])):
        y, x = np.mgrid[part]
        weight = brightness[part] / brightness[part].sum()
        # A blob around the middle of a cell is round: its centre of mass is the keypoint.
        np.testing.assert_allclose(((weight * x).sum(), (weight * y).sum()), point, atol=0.2)
