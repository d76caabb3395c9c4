"""The table of shipped configs is current, and agrees with what is published."""

import ast
import subprocess
import sys

import pytest

from hrtoolkit.files import list_shipped
from hrtoolkit.published import WEIGHTS, read_published
from hrtoolkit.zoo import DATA, WEIGHT_TERMS, measure, read_zoo, write_markdown

from .conftest import REPOSITORY

ROWS = {row["name"]: row for row in read_zoo()["configs"]}
AGAIN = "run python tools/make_model_zoo.py"


def test_the_table_is_that_of_the_configs():
    shipped = {name: path for name, path in list_shipped().items() if not name.startswith("_")}
    assert list(ROWS) == list(shipped), AGAIN
    assert read_zoo()["weights"] == WEIGHT_TERMS, AGAIN
    assert {key: (one["name"], one["terms"]) for key, one in read_zoo()["data"].items()} == DATA, AGAIN
    for name, path in shipped.items():
        assert ROWS[name]["published"] == read_published(path), AGAIN
        assert ROWS[name]["title"] == ast.get_docstring(ast.parse(path.read_bytes())).partition("\n")[0], AGAIN
    assert (REPOSITORY / "docs/model_zoo.md").read_text() == write_markdown(read_zoo()), AGAIN


@pytest.mark.parametrize("task", ["pose", "face", "detection", "segmentation", "classification"])
def test_every_task_has_rows_with_numbers_and_weights(task):
    rows = [row for name, row in ROWS.items() if name.startswith(f"{task}/")]
    assert len(rows) > 8 and sum("file" in entry for row in rows for entry in row["published"].values()) >= 6
    for row in rows:
        assert not row["published"] or row["data"] in DATA, row["name"]
        assert all(source in WEIGHT_TERMS for source, entry in row["published"].items() if "file" in entry)
    assert set(WEIGHT_TERMS) == set(WEIGHTS)


@pytest.mark.parametrize(
    "name",
    [
        *("pose/hrnet_toy", "face/hrnetv2_toy", "detection/faster_rcnn_toy", "segmentation/hrnetv2_toy"),
        *("classification/hrnet_toy", "pose/hrnet_w18_small_v2_custom"),
    ],
)
def test_size_and_cost_are_current(name):
    row = ROWS[name]
    assert measure(name) == (row["parameters"], row["macs"], row["input_hw"]), AGAIN


def test_size_and_cost_agree_with_the_published_ones():
    """Multiply-adds of the official tables are divided by 2^30; those of detectors by 10^9 (mmdetection's models)."""
    for name, parameters, macs in (
        *(("pose/hrnet_w32_coco", 28.5, 7.1), ("pose/hrnet_w32_coco_384x288", 28.5, 16.0)),
        *(("pose/hrnet_w48_coco", 63.6, 14.6), ("pose/hrnet_w48_coco_384x288", 63.6, 32.9)),
        *(
            ("classification/hrnet_w18_small_v1_imagenet", 13.2, 1.49),
            ("classification/hrnet_w18_imagenet", 21.3, 3.99),
        ),
        *(("classification/hrnet_w30_imagenet", 37.7, 7.55), ("classification/hrnet_w32_imagenet", 41.2, 8.31)),
        *(("classification/hrnet_w48_imagenet", 77.5, 16.1), ("classification/hrnet_w64_imagenet", 128.1, 26.9)),
        *(("segmentation/hrnetv2_w48_ocr_cityscapes", 70.4, 1206.3 / 4),),  # for a quarter of the pixels
    ):
        row = ROWS[name]
        assert row["parameters"] / 1e6 == pytest.approx(parameters, abs=0.06), name
        assert row["macs"] / 2**30 == pytest.approx(macs, rel=0.005), name
    for width, parameters, macs in ((18, 27.483, 195.2), (32, 47.280, 297.6), (40, 63.526, 380.1), (48, 83.361, 480.1)):
        row = ROWS[f"detection/faster_rcnn_hrnetv2p_w{width}_coco"]
        assert row["parameters"] / 1e6 == pytest.approx(parameters, abs=0.005)  # boxes of the background are more
        assert row["macs"] / 1e9 == pytest.approx(macs, abs=0.06)
    for name, parameters, macs in (("w32_coco_512", 28.645331, 46.203), ("w48_coco_640", 63.827139, 149.469)):
        row = ROWS[f"pose/higher_hrnet_{name}"]  # as the official network counts, a transposed convolution once
        assert (row["parameters"] / 1e6, row["macs"] / 1e9) == pytest.approx((parameters, macs), abs=5e-4)
    for name, parameters, macs in (
        ("face/hrnetv2_w18_wflw", 9.6625, 4.694),
        ("segmentation/hrnetv2_w48_cityscapes", 65.9, 186.9),
    ):
        row = ROWS[name]
        assert row["parameters"] / 1e6 == pytest.approx(parameters, abs=0.05)
        # Convolved before it is enlarged: the same result for less.
        assert 0.9 < row["macs"] / 1e9 / macs < 0.95


def test_listing_needs_no_torch():
    code = "import sys; from hrtoolkit.commands import main\ntry: main(['configs', 'w48'])\n"
    code += "except SystemExit: assert 'torch' not in sys.modules and 'mmengine' not in sys.modules"
    printed = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert "AP 75.1 [official], AP 75.6 [openmmlab]" in printed.stdout
