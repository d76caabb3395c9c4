"""Models as folders that can be shared: equal outputs, plain data, and what is refused."""

import json
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import hrtoolkit
from hrtoolkit import build_model
from hrtoolkit.checkpoint_files import write_checkpoint
from hrtoolkit.config import config_json, load_config
from hrtoolkit.errors import CheckpointError, OptionError, UserError
from hrtoolkit.predict import Predictor

from .hub import hub_of, serve

TOYS = ("pose/hrnet_toy", "face/hrnetv2_toy", "detection/faster_rcnn_toy", "segmentation/hrnetv2_toy")


def make(name):
    """A model with statistics as training leaves them."""
    torch.manual_seed(0)
    model = build_model(name).eval()
    for key, tensor in model.state_dict().items():
        if key.endswith(("running_mean", "running_var")):
            tensor.copy_(torch.rand(tensor.shape) + 0.5)
    return model


@pytest.fixture
def picture():
    return np.random.default_rng(0).integers(0, 256, (120, 90, 3), dtype=np.uint8)


def assert_equal(one, other):
    assert type(one) is type(other)
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", [*TOYS, "classification/hrnet_toy"])
def test_a_saved_folder_gives_equal_outputs_bit_for_bit(name, picture, tmp_path):
    model = make(name)
    predictor = Predictor(model)
    predictor.save_pretrained(tmp_path / "shared")
    assert sorted(path.name for path in (tmp_path / "shared").iterdir()) == [
        *("README.md", "config.json", "model.safetensors")
    ]
    boxes = {"boxes": "whole"} if predictor.sees_crops else {}
    expected = predictor.find(picture, **boxes)
    for read in (hrtoolkit.from_pretrained, hrtoolkit.load):
        other = read(tmp_path / "shared")
        assert_equal(other.find(picture, **boxes), expected)
        assert other.scheme == predictor.scheme and other.model.describe() == model.describe()


def test_the_folder_is_a_checkpoint_with_a_config_too(picture, tmp_path):
    predictor = Predictor(make("pose/hrnet_toy"))
    predictor.save_pretrained(tmp_path)
    other = hrtoolkit.load("pose/hrnet_toy", tmp_path)
    assert_equal(other.find(picture, boxes="whole"), predictor.find(picture, boxes="whole"))


def test_metric_scheme_view_and_licence_go_along(tmp_path):
    model = make("pose/hrnet_toy")
    config = load_config("pose/hrnet_toy")
    meta = {"hrtoolkit_version": "0.1.0", "config": config_json(config), "metrics": {"AP": 0.5125}, "epoch": 14}
    write_checkpoint({"meta": meta, "state_dict": model.state_dict()}, tmp_path / "best.pth")
    hrtoolkit.load(tmp_path / "best.pth").save_pretrained(tmp_path / "a", license="cc-by-4.0")
    hrtoolkit.load(tmp_path / "a").save_pretrained(tmp_path / "b", license="cc-by-4.0")  # known of a copy, too
    for folder in (tmp_path / "a", tmp_path / "b"):
        content = json.loads((folder / "config.json").read_text())
        assert content["metrics"] == {"AP": 0.5125} and content["epoch"] == 14 and content["license"] == "cc-by-4.0"
        assert content["output_names"][:2] == ["nose", "left_eye"] and content["view"]["input_size"] == [96, 128]
        assert content["config"].keys() == {"model", "custom_imports"}  # no paths of somebody's machine
        card = (folder / "README.md").read_text()
        assert card.startswith("---\nlibrary_name: hrtoolkit\nlicense: cc-by-4.0\npipeline_tag: keypoint-detection\n")
        assert "AP 0.5125, in epoch 14" in card and "17 keypoints: nose" in card and "input_size (96, 128)" in card


def test_names_that_came_from_the_data_are_written_out(tmp_path):
    model = build_model("pose/hrnet_w18_small_v2_custom", scheme=["tip", "base"])
    Predictor(model.eval()).save_pretrained(tmp_path)
    assert hrtoolkit.from_pretrained(tmp_path).scheme.names == ("tip", "base")


def test_a_card_that_is_there_stays_and_other_folders_are_left_alone(tmp_path):
    predictor = Predictor(make("pose/hrnet_toy"))
    (tmp_path / "README.md").write_text("mine")
    predictor.save_pretrained(tmp_path)
    assert (tmp_path / "README.md").read_text() == "mine"
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(OptionError, match=r"holds a config\.json of something else"):
        predictor.save_pretrained(tmp_path)


def test_what_is_no_longer_its_config_s_network_is_not_saved(tmp_path):
    predictor = Predictor(make("pose/hrnet_toy"))
    predictor.save_pretrained(tmp_path / "a")
    with pytest.raises(OptionError, match=r"no longer the one of its config .*folded"):
        hrtoolkit.load(tmp_path / "a", folded=True).save_pretrained(tmp_path / "b")
    with pytest.raises(OptionError, match=r"no longer the one of its config .*half"):
        hrtoolkit.load(tmp_path / "a", amp="bfloat16").save_pretrained(tmp_path / "b")
    predictor.model.config = None
    with pytest.raises(OptionError, match="not built from a config"):
        predictor.save_pretrained(tmp_path / "b")
    assert not (tmp_path / "b").exists()


def test_damage_and_mixed_folders_are_told(tmp_path):
    Predictor(make("pose/hrnet_toy")).save_pretrained(tmp_path)
    weights, config = tmp_path / "model.safetensors", tmp_path / "config.json"
    sound = weights.read_bytes()
    weights.write_bytes(sound[:-1] + bytes([sound[-1] ^ 1]))
    with pytest.raises(CheckpointError, match=r"model\.safetensors: damaged, or of another model than .*config\.json"):
        hrtoolkit.load(tmp_path)
    weights.write_bytes(sound[:-1000])
    with pytest.raises(CheckpointError, match=r"model\.safetensors: "):
        hrtoolkit.load(tmp_path)
    weights.unlink()
    with pytest.raises(CheckpointError, match=r"no such checkpoint file"):
        hrtoolkit.load(tmp_path)
    weights.write_bytes(sound)
    for text in ("", "[]", "{}", '{"config": 1'):
        config.write_text(text)
        with pytest.raises(CheckpointError, match=r"config\.json: not the config of a model that hrtoolkit wrote"):
            hrtoolkit.load(tmp_path)


def test_weights_that_were_changed_on_purpose_load_without_the_hash(tmp_path):
    Predictor(make("pose/hrnet_toy")).save_pretrained(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    save_file({name: tensor * 2 for name, tensor in tensors.items()}, tmp_path / "model.safetensors")
    content = json.loads((tmp_path / "config.json").read_text())
    del content["sha256"]
    (tmp_path / "config.json").write_text(json.dumps(content))
    hrtoolkit.load(tmp_path)


@pytest.mark.parametrize(
    "part",
    [
        {"type": "os.system", "command": "touch evil_was_here"},
        {"type": "hrtoolkit.checkpoint_files.os.system", "command": "touch evil_was_here"},
        {"type": "evil_module"},
    ],
)
@pytest.mark.parametrize("place", ["backbone", "codec"])
def test_a_type_that_is_not_registered_is_neither_imported_nor_called(part, place, tmp_path, monkeypatch):
    """mmengine looks for such names among all that Python can import."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "evil_module.py").write_text("open('evil_was_here', 'w')")
    config = json.loads(config_json(load_config("pose/hrnet_toy")))
    (config["model"] if place == "backbone" else config["model"]["head"])[place] = part
    config["val_dataloader"]["dataset"] = part
    meta = {"hrtoolkit_version": "0.1.0", "config": json.dumps(config)}
    write_checkpoint({"meta": meta, "state_dict": {"a": torch.zeros(1)}}, "evil.pth")
    with pytest.raises(CheckpointError, match=f"evil.pth needs the part {part['type']!r}, which is not registered"):
        hrtoolkit.load("evil.pth")
    assert not (tmp_path / "evil_was_here").exists()


def test_what_is_neither_folder_nor_config_nor_name_is_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="no such folder, and no name of a model"):
        hrtoolkit.from_pretrained("nothing here")
    with pytest.raises(UserError, match="did you mean 'pose/hrnet_w32_coco'"):
        hrtoolkit.load("hrnet_w32_coc")
    with pytest.raises(OptionError, match="give the checkpoint of this config as well"):
        hrtoolkit.load("pose/hrnet_w32_coco")
    (tmp_path / "run").mkdir()
    (tmp_path / "run/best.pth").touch()
    with pytest.raises(CheckpointError, match=r"run: a folder; name a checkpoint in it: best\.pth"):
        hrtoolkit.load("run")


@pytest.fixture
def use_hub(tmp_path, monkeypatch):
    """Lets huggingface_hub ask an address in place of the Hub, with a cache of its own."""
    constants = pytest.importorskip("huggingface_hub.constants")

    def use(address):
        monkeypatch.setattr(constants, "ENDPOINT", address)
        template = address + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))

    return use


def test_a_model_of_the_hub_comes_by_its_name_once(picture, tmp_path, use_hub):
    predictor = Predictor(make("pose/hrnet_toy"))
    predictor.save_pretrained(tmp_path / "shared")
    asked = []
    with serve(hub_of(tmp_path / "shared", asked)) as address:
        use_hub(address)
        found = hrtoolkit.load("owner/model").find(picture, boxes="whole")
        assert_equal(found, predictor.find(picture, boxes="whole"))
        with pytest.raises(CheckpointError, match="owner/other: no such folder, and the Hugging Face Hub did not give"):
            hrtoolkit.load("owner/other")
    again = hrtoolkit.from_pretrained("owner/model")  # the server is gone
    assert_equal(again.find(picture, boxes="whole"), found)
    assert "model.safetensors" in asked


def test_a_model_of_another_library_is_refused_before_its_weights_are_fetched(tmp_path, use_hub):
    (tmp_path / "other").mkdir()
    (tmp_path / "other/config.json").write_text('{"architecture": "hrnet_w18"}')
    (tmp_path / "other/model.safetensors").write_bytes(bytes(1000))
    asked = []
    with serve(hub_of(tmp_path / "other", asked)) as address:
        use_hub(address)
        with pytest.raises(CheckpointError, match=r"config\.json: not the config of a model that hrtoolkit wrote"):
            hrtoolkit.load("owner/model")
    assert "config.json" in asked and "model.safetensors" not in asked


def test_without_huggingface_hub_one_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(CheckpointError, match=r"owner/model: no such folder; .* pip install hrtoolkit\[hub\]"):
        hrtoolkit.from_pretrained("owner/model")


@pytest.mark.parametrize("name", ["x" * 5000, "~nobody_of_this_name/model/x", "a\0b", "", "."])
def test_odd_names_are_told_as_any_other(name):
    for read in (hrtoolkit.load, hrtoolkit.from_pretrained):
        with pytest.raises(UserError):
            read(name)
