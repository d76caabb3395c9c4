"""Every config in the repository is valid and builds."""

from pathlib import Path

import pytest
import torch

from hrtoolkit import build_model
from hrtoolkit.config import load_config
from hrtoolkit.engine.check_config import check_config
from hrtoolkit.published import read_published
from hrtoolkit.schemes.known import KEYPOINTS

from .conftest import REPOSITORY

CONFIGS = sorted(p for p in (REPOSITORY / "configs").glob("*/*.py") if not p.parent.name.startswith("_"))
SINGLE = [path for path in CONFIGS if path.parent.name != "multitask"]  # of one task
FROM_THE_DATA = {"pose": "coco", "face": "300w", "detection": "coco", "segmentation": "camvid", "classification": 2}


def left_open(path) -> list[str]:
    """What configs for own data leave to the data."""
    own = path.stem.endswith(("_custom", "_finetune"))
    return [f"model.head.scheme={FROM_THE_DATA[path.parent.name]}"] if own else []


def name_of(path) -> str:
    return f"{path.parent.name}/{path.stem}"


def test_configs_were_found():
    names = {path.stem for path in CONFIGS}
    sizes = {
        f"hrnet_w{w}_coco{size}{kind}" for w in (32, 48) for size in ("", "_384x288") for kind in ("", "_dark", "_udp")
    }
    assert names >= sizes | {"hrnet_w32_mpii", "hrnet_w48_mpii", "hrnet_toy"}
    assert len([path for path in CONFIGS if path.parent.name == "classification"]) == 14
    faces = {f"hrnetv2_w18_{data}{kind}" for data in ("300w", "aflw", "wflw") for kind in ("", "_dark")}
    assert names >= faces | {"hrnetv2_w18_cofw", "hrnetv2_toy"}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_config_is_valid_builds_and_has_a_header(path):
    config = load_config(path, left_open(path))
    check_config(config, files=False)
    with torch.device("meta"):
        build_model(config)
    header = path.read_text().split('"""')[1]
    commands = (f"python tools/train.py configs/{path.parent.name}/{path.name}", f"hrtoolkit train {name_of(path)} ")
    assert any(command in header for command in commands)
    assert read_published(path) or "Published: no" in header or path.stem.endswith(("toy", "camvid"))


# What layouts say of their terms, and how headers put it.
TERMS = {
    "non-commercial": "non-commercial",
    "commercial use is prohibited": "commercial use is prohibited",
    "on request": "on request",
    "none stated": "No terms of the annotations are stated: treat them as research only",
    "not looked up here": "terms are on its own page",
}


def has_terms(path) -> bool:
    scheme = load_config(path).model.get("head", {}).get("scheme")
    return isinstance(scheme, str) and bool(getattr(KEYPOINTS.get(scheme), "terms", ""))


@pytest.mark.parametrize("path", [p for p in SINGLE if has_terms(p)], ids=lambda path: path.stem)
def test_headers_of_public_keypoint_sets_tell_their_files_and_terms(path):
    config = load_config(path)
    header = " ".join(path.read_text().split('"""')[1].split())
    for loader in (config.train_dataloader, config.val_dataloader):
        assert Path(loader.dataset.ann_file).name in header
    terms = KEYPOINTS[config.model.head.scheme].terms
    told = [told for said, told in TERMS.items() if said in terms]
    assert told and all(one in header for one in told)


@pytest.mark.parametrize("path", [p for p in CONFIGS if "recipes" in load_config(p)], ids=lambda path: path.stem)
def test_recipes_are_valid(path):
    recipes = load_config(path).recipes
    assert [one.up_to for one in recipes] == sorted(one.up_to for one in recipes)
    for recipe in recipes:
        config = load_config(path, left_open(path))
        config.merge_from_dict({name: value for name, value in recipe.items() if name != "up_to"})
        check_config(config, files=False)
        with torch.device("meta"):
            build_model(config)  # finds the names of what is frozen


CROPS = [p for p in CONFIGS if p.parent.name in ("pose", "face") and "input_size" in load_config(p).model.view]


@pytest.mark.parametrize("path", CROPS, ids=lambda path: path.stem)
def test_pose_and_face_configs_give_a_heatmap_a_keypoint(path):
    config = load_config(path, left_open(path))
    with torch.device("meta"):
        model = build_model(config)
    width, height = model.branch().view.input_size
    with torch.no_grad():
        output = model.eval()(torch.empty(1, 3, height, width, device="meta"))
    assert output.shape == (1, len(model.head.scheme.names), height // 4, width // 4)


def test_published_sizes_of_the_pose_models():
    for name, parameters in (
        ("hrnet_w32_coco", 28_536_113),
        ("hrnet_w48_coco", 63_595_745),
        ("hrnet_w32_mpii", 28_536_080),
    ):
        with torch.device("meta"):
            model = build_model(REPOSITORY / "configs" / "pose" / f"{name}.py")
        assert sum(p.numel() for p in model.parameters()) == parameters
        assert len(model.state_dict()) == 1754
