"""Terms of use are told once: of public sets that are trained on, and of published weights that are fetched."""

import copy
import hashlib
import json
import logging

import pytest

from hrtoolkit import terms, weights
from hrtoolkit.engine import train
from hrtoolkit.engine.assembly import Run
from hrtoolkit.engine.check_config import check_config
from hrtoolkit.schemes.layouts import LAYOUTS
from hrtoolkit.terms import tell_terms_of_data
from hrtoolkit.weights import find_weights
from hrtoolkit.zoo import WEIGHT_TERMS

from ..hub import serve
from ..test_downloads import Server


@pytest.fixture(autouse=True)
def fresh_process():
    terms._tell.cache_clear()


@pytest.fixture
def mixed(make_config):
    """A config of one branch with two sources, both of people with COCO's keypoints."""
    config = make_config(keep=["pose"])
    config.model.branches.pose.head.scheme = None
    sources = config.train_dataloader.sources
    sources.other = copy.deepcopy(sources.crops)
    return config


def told(caplog):
    return [record.getMessage() for record in caplog.records if record.name == "hrtoolkit.terms"]


def told_of(config, caplog):
    caplog.clear()
    with caplog.at_level(logging.INFO):
        tell_terms_of_data(Run.build(config, check_config(config), ("train",)).stated_schemes())
    return told(caplog)


def test_training_tells_the_terms_of_its_set_once(make_config, tmp_path, capsys):
    config = make_config(keep=["pose"])
    config.model.branches.pose.head.scheme = "humanart"  # which has COCO's keypoints
    for again in ("first", "second"):
        train(copy.deepcopy(config), tmp_path / again)
    line = f"terms of use of Human-Art: {LAYOUTS['humanart'].terms} ("
    assert capsys.readouterr().out.count(line) == 1
    assert line in (tmp_path / "first/train.log").read_text()


def test_a_mixed_training_tells_those_of_every_set(mixed, caplog):
    sources = mixed.train_dataloader.sources
    sources.crops.datasets.pose.scheme = "humanart"
    sources.other.datasets.pose.scheme = "coco_wholebody"  # of which the file has some keypoints
    assert [line.partition(":")[0] for line in told_of(mixed, caplog)] == [
        "terms of use of Human-Art",
        "terms of use of COCO-WholeBody",
    ]


def test_drawn_people_have_no_terms(mixed, make_config, caplog):
    assert told_of(make_config(keep=["pose"]), caplog) == told_of(mixed, caplog) == []


def test_keypoints_that_only_the_file_names_are_somebody_s_own(mixed, toy, tmp_path, caplog):
    content = json.loads((toy / "annotations/person_keypoints_train2017.json").read_text())
    content["categories"][0].update(keypoints=LAYOUTS["jhmdb"].names, skeleton=[])
    for one in content["annotations"]:
        one.update(keypoints=one["keypoints"][:45], num_keypoints=9)
    (tmp_path / "own.json").write_text(json.dumps(content))
    sources = mixed.train_dataloader.sources
    sources.pop("other")
    sources.crops.datasets.pose.ann_file = str(tmp_path / "own.json")
    assert told_of(mixed, caplog) == []
    sources.crops.datasets.pose.scheme = "jhmdb"
    (line,) = told_of(mixed, caplog)
    assert LAYOUTS["jhmdb"].terms in line


@pytest.fixture
def fetch(tmp_path, monkeypatch):
    """Fetch weights from a server of copies, whatever their hash."""
    content = b"weights"
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(weights, "expected_hash", lambda _: hashlib.sha256(content).hexdigest()[:8])
    with serve(type("Handler", (Server,), {"asked": [], "content": content})) as address:
        monkeypatch.setenv("HRTOOLKIT_WEIGHTS", address)
        yield find_weights


def test_fetching_weights_tells_their_terms_and_those_of_their_data_once(fetch, caplog):
    with caplog.at_level(logging.INFO):
        for name in ("pose/hrnet_w32_ap10k", "pose/hrnet_w32_ap10k", "pose/hrnet_w48_ap10k"):
            fetch(f"{name}@openmmlab")
    (line,) = told(caplog)
    data = f"AP-10K, whose terms may reach them: {LAYOUTS['ap10k'].terms}"
    assert WEIGHT_TERMS["openmmlab"] in line and line.endswith(data)


def test_an_address_of_published_weights_is_known_and_one_of_others_is_not(fetch, caplog):
    hand = "https://download.openmmlab.com/mmpose/hand/hrnetv2/hrnetv2_w18_onehand10k_256x256-30bc9c6b_20210330.pth"
    with caplog.at_level(logging.INFO):
        fetch("https://download.openmmlab.com/somebody-0123abcd.pth")
        assert told(caplog) == []
        fetch(hand)
        assert "they were trained on OneHand10K" in told(caplog)[0]


def test_weights_that_are_there_already_are_not_fetched(fetch, tmp_path, caplog):
    place = tmp_path / "torch/hub/checkpoints"
    place.mkdir(parents=True)
    (place / "hrnet_w32_ap10k_256x256-18aac840_20211029.pth").write_bytes(b"weights")
    with caplog.at_level(logging.INFO):
        fetch("pose/hrnet_w32_ap10k@openmmlab")
    assert told(caplog) == []
