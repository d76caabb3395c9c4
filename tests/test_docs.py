"""Every code block of README.md and docs/ runs, and prints what the page shows; links lead somewhere.

Pages run in a folder like the one that they are written for: a clone with drawn data, a trained toy network, and files
of random weights under the names of the published ones.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import pytest
import torch

from hrtoolkit import toy

from .conftest import REPOSITORY
from .pages import add_programs, matches, read_blocks, run_page
from .world import add_data, add_weights

PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]


def name_of(page):
    return str(page.relative_to(REPOSITORY))


@pytest.fixture(scope="session")
def world(tmp_path_factory) -> Path:
    """What the pages find where they run."""
    folder = tmp_path_factory.mktemp("world")
    toy.write_coco(folder / "data/toy", 24, 8)
    shutil.copytree(folder / "data/toy", folder / "data/coco")
    add_data(folder)
    (folder / "photos").mkdir()
    for number, path in enumerate(sorted((folder / "data/toy/val2017").iterdir())[:3], start=1):
        shutil.copy(path, folder / "photos" / f"{number}.jpg")
    (folder / "boxes.json").write_text(json.dumps(boxes_of(folder / "data/toy")))
    (folder / "COCO_val2017_detections_AP_H_56_person.json").write_text(json.dumps(detections_of(folder / "data/toy")))
    add_weights(folder)
    environment = os.environ | surroundings(folder)
    command = "hrtoolkit train pose/hrnet_toy --epochs 1 --work-dir work --seed 0 && cp work/best.pth . && rm -r work"
    assert not os.spawnvpe(os.P_WAIT, "bash", ["bash", "-c", f"cd {folder} && {command} > train.txt 2>&1"], environment)
    return folder


def boxes_of(folder):
    """The people of the validation pictures, by file name."""
    content = json.loads((folder / "annotations/person_keypoints_val2017.json").read_text())
    names = {image["id"]: image["file_name"] for image in content["images"]}
    boxes: dict[str, list] = {name: [] for name in names.values()}
    for person in content["annotations"]:
        x, y, width, height = person["bbox"]
        boxes[names[person["image_id"]]].append([x, y, x + width, y + height])
    return boxes


def detections_of(folder):
    """The same in COCO's format of results, as a detector finds them."""
    content = json.loads((folder / "annotations/person_keypoints_val2017.json").read_text())
    keys = ("image_id", "category_id", "bbox")
    return [{key: one[key] for key in keys} | {"score": 0.9} for one in content["annotations"]]


def surroundings(folder):
    programs = add_programs(folder / "bin")
    return {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": str(REPOSITORY),
        "HF_HUB_OFFLINE": "1",
        "HRTOOLKIT_WEIGHTS": str(folder / "weights"),
        "OMP_NUM_THREADS": str(torch.get_num_threads()),
    }


@pytest.mark.parametrize("page", [page for page in PAGES if read_blocks(page)], ids=name_of)
def test_a_page_prints_what_it_shows(page, world, tmp_path):
    for entry in world.iterdir():
        if entry.name not in ("train.txt", "bin", "weights"):
            shutil.copytree(entry, tmp_path / entry.name) if entry.is_dir() else shutil.copy(entry, tmp_path)
    for name in ("configs", "tools"):
        (tmp_path / name).symlink_to(REPOSITORY / name)
    (tmp_path / "weights").symlink_to(world / "weights")
    (tmp_path / "mmpose.pth").symlink_to(world / "weights/mmpose.pth")
    assert "\n\n".join(run_page(page, tmp_path, surroundings(world))) == ""


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page):
    content = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", content):
        if "://" in target or target.startswith(("#", "mailto:")):
            continue
        path, _, heading = target.partition("#")
        there = page.parent / path
        assert there.exists(), f"{target}: no such file"
        if heading:
            headings = re.findall(r"^#+ (.*)$", there.read_text(encoding="utf-8"), re.M)
            slugs = {re.sub(r"[^\w\- ]", "", one.lower()).strip().replace(" ", "-") for one in headings}
            assert heading in slugs, f"{target}: no such heading"


def test_an_ellipsis_stands_for_anything_and_nothing_else_does():
    assert matches("a ... c", "a b d c") and matches("a\n...\nc", "a\nx 1\nb\nc\n") and matches("a (b)", "a\n  (b)")
    assert not matches("a b", "a c") and not matches("a", "a b") and not matches("x 1.5 s", "x 22.7 s")
    assert matches("x 1.5 s", "x 22.7 s", figures_vary=True)
