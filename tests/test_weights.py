"""Words for published weights: understood wherever a checkpoint is named with a config, fetched, checked, kept."""

import hashlib
import json
from collections import Counter

import numpy as np
import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file

import hrtoolkit
from hrtoolkit import build_model, weights
from hrtoolkit.checkpoint_files import read_checkpoint
from hrtoolkit.commands import main
from hrtoolkit.config import ConfigError, load_config
from hrtoolkit.engine.check_config import check_config
from hrtoolkit.engine.run import start_from
from hrtoolkit.errors import CheckpointError
from hrtoolkit.files import list_shipped
from hrtoolkit.predict.boxes import use_detector
from hrtoolkit.published import TEXTS, WEIGHTS, name_weights, read_published
from hrtoolkit.weights import expected_hash, find_weights

from .hub import serve
from .test_downloads import Server

DATA = ("ann_file=people.json", "image_dir=images")
OFFICIAL = "pose/hrnet_w32_coco@official"
FILE = "pose_hrnet_w32_256x192.pth"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.delenv("HRTOOLKIT_WEIGHTS", raising=False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr(weights, "_find_in_hub_cache", lambda *_: None)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # where nobody answers
    return tmp_path / "torch" / "hub" / "checkpoints"


@pytest.fixture(scope="module")
def official(tmp_path_factory):
    """A file as the pose authors write them: bare names."""
    torch.manual_seed(0)
    model = build_model("pose/hrnet_w32_coco")
    tensors = {name.partition(".")[2]: tensor for name, tensor in model.state_dict().items()}
    path = tmp_path_factory.mktemp("official") / FILE
    torch.save(tensors, path)
    return path


def run(*arguments):
    with pytest.raises(SystemExit) as leaving:
        main(arguments)
    return leaving.value.code


@pytest.fixture
def server(monkeypatch):
    handler = type("Handler", (Server,), {"asked": []})
    with serve(handler) as address:
        monkeypatch.setenv("HRTOOLKIT_WEIGHTS", address)
        yield handler


def test_what_is_published_is_well_formed():
    published = {name: read_published(path) for name, path in list_shipped().items() if not name.startswith("_")}
    files = []
    for name, sources in published.items():
        for source, entry in sources.items():
            numbers = {key: value for key, value in entry.items() if key not in TEXTS}
            assert numbers or "file" in entry, name
            assert all(isinstance(value, float) and 0 < value < 100 for value in numbers.values()), name
            assert all(isinstance(entry[key], str) for key in TEXTS if key in entry), name
            if "file" in entry:
                assert source in WEIGHTS, name
                files.append(entry["file"])
            if source == "openmmlab" and "file" in entry:
                assert len(expected_hash(entry["file"])) == 8, name
    # Of two configs: 300W's data is in two formats, and HigherHRNet is tested at one scale and at several.
    shared = {"HR18-300W.pth", "pose_higher_hrnet_w32_512.pth", "higher_hrnet32_coco_512x512-8ae85183_20200713.pth"}
    own = [file.rpartition("/")[2] for file in files]
    assert len(files) > 70 and {name for name, count in Counter(own).items() if count > 1} == shared
    for task in ("pose", "face", "detection", "segmentation", "classification"):
        assert any(sources for name, sources in published.items() if name.startswith(task))


def test_hashes_are_told_by_names_of_hosts_that_put_them_there():
    host = "https://download.openmmlab.com/"
    assert expected_hash(f"{host}a/td-hm_hrnet-w32_8xb64-210e_coco-256x192-81c58e40_20220909.pth") == "81c58e40"
    assert expected_hash(f"{host}b/faster_rcnn_hrnetv2p_w18_2x_coco_20200702_085731-a4ec0611.pth") == "a4ec0611"
    assert expected_hash(f"{host}b/faster_rcnn_hrnetv2p_w18_1x_coco_20200130-56651a6d.pth") == "56651a6d"
    assert expected_hash(f"{host}c/dekr_hrnet-w32_8xb10-140e_coco-512x512_ac7c17bf-20221228.pth") == "ac7c17bf"
    assert expected_hash(f"{host}d/hrnetv2_w18-00eb2006.pth") == "00eb2006"
    assert expected_hash(f"{host}d/hrnetv2_w18_20190810.pth") == ""
    assert expected_hash("https://example.org/run-deadbeef.pth") == ""
    assert expected_hash(None) == ""


def test_a_word_is_written_out_and_goes_to_nothing_that_is_based_on_the_config(tmp_path):
    assert load_config("pose/hrnet_w32_coco", ["load_from=official"]).load_from == OFFICIAL
    config = load_config("classification/hrnet_w18_imagenet", ['load_from={"checkpoint": "timm"}'])
    assert config.load_from.checkpoint == "classification/hrnet_w18_imagenet@timm"
    assert "published" not in config
    with pytest.raises(ConfigError, match=r"load_from: pose/hrnet_w32_coco_dark has no weights called 'official'; it"):
        load_config("pose/hrnet_w32_coco_dark", ["load_from=official"])
    own = tmp_path / "own.py"
    own.write_text('_base_ = "pose/hrnet_w32_coco"\nload_from = "official"')
    with pytest.raises(ConfigError, match=r"own\.py has no weights called 'official'; name a file, or those of"):
        load_config(own)
    own.write_text(f'_base_ = "pose/hrnet_w32_coco"\nload_from = "{OFFICIAL}"')
    check_config(load_config(own), files=False)
    own.write_text('_base_ = "pose/hrnet_w32_coco"\npublished = {"official": {"file": "mine.pth"}}')
    assert name_weights("official", own) == f"{own}@official"
    for value in ("5", '{"official": "mine.pth"}', 'dict(official=dict(file="mine.pth"))'):
        own.write_text(f"seed = 1\npublished = {value}")
        with pytest.raises(CheckpointError, match=r"own\.py, line 2: published is no .* of plain values, in braces"):
            name_weights("official", own)


def test_a_file_put_by_hand_is_found_and_else_one_sentence_says_which_and_where(official, cache, monkeypatch, tmp_path):
    sentence = (
        rf"{OFFICIAL} is not here; fetch {FILE} from https://github\.com/leoxiaobin/.* put it here: {cache}/{FILE}"
    )
    with pytest.raises(CheckpointError, match=sentence) as refused:
        hrtoolkit.load("pose/hrnet_w32_coco", "official")
    assert "\n" not in str(refused.value)
    cache.mkdir(parents=True)
    (cache / FILE).write_bytes(official.read_bytes())
    expected = read_checkpoint(official)
    report = hrtoolkit.load_checkpoint(build_model("pose/hrnet_w32_coco"), OFFICIAL)
    assert report.ok and report.source == OFFICIAL and len(report.loaded) == len(expected)
    (cache / FILE).unlink()
    monkeypatch.setenv("HRTOOLKIT_WEIGHTS", str(official.parent))
    assert find_weights(OFFICIAL) == official
    monkeypatch.setenv("HRTOOLKIT_WEIGHTS", str(tmp_path / "empty"))
    with pytest.raises(CheckpointError, match=f"put it here: {tmp_path}/empty/{FILE}"):
        find_weights(OFFICIAL)


def test_a_server_with_copies_serves_what_has_no_address(official, server, cache):
    server.content = official.read_bytes()
    image = np.zeros((256, 192, 3), np.uint8)
    first = hrtoolkit.load("pose/hrnet_w32_coco", "official")
    again = hrtoolkit.load("pose/hrnet_w32_coco", OFFICIAL)
    np.testing.assert_array_equal(first.find(image, boxes="whole").points, again.find(image, boxes="whole").points)
    assert server.asked == [None] and (cache / FILE).read_bytes() == server.content


@pytest.mark.parametrize("kind", ["another network", "a picture", "a text", "half of it"])
def test_what_turns_out_to_be_something_else_is_told_and_not_kept(kind, official, server, cache, tmp_path):
    if kind == "another network":
        torch.save(build_model("pose/hrnet_toy").state_dict(), tmp_path / "other.pth")
        server.content, sentence = (tmp_path / "other.pth").read_bytes(), "does not fit the model"
    elif kind == "half of it":
        server.content, sentence = official.read_bytes()[:100_000], "cut off or damaged"
    else:
        content = {"a picture": b"\x89PNG\r\n\x1a\n" + bytes(100), "a text": b"moved to another place, ask the authors"}
        server.content, sentence = content[kind], kind
    with pytest.raises(CheckpointError, match=sentence) as refused:
        hrtoolkit.load("pose/hrnet_w32_coco", "official")
    assert not (cache / FILE).exists() and OFFICIAL in str(refused.value)
    server.content = official.read_bytes()
    hrtoolkit.load("pose/hrnet_w32_coco", "official")


def test_training_starts_from_them_and_never_from_nothing(official, server):
    config = load_config("pose/hrnet_w32_custom", [f"load_from={OFFICIAL}"])
    model = build_model(config, scheme=["nose", "left_eye"])
    server.do_GET = lambda self: self.send_error(404)
    with pytest.raises(CheckpointError, match=f"{OFFICIAL} is not here; .*the server says 404"):
        start_from(model, config.load_from)
    server.do_GET, server.content = Server.do_GET, official.read_bytes()
    del server.do_GET
    report = start_from(model, config.load_from)
    assert report.part_fits("backbone")


def test_openmmlab_s_hash_is_checked_wherever_the_file_comes_from(server, cache, monkeypatch):
    server.content = b"another file"
    name = "face/hrnetv2_w18_wflw_dark@openmmlab"
    with pytest.raises(CheckpointError, match=r"sent another file: its SHA-256 .*published one with 3f8e0c2c"):
        find_weights(name)
    file = cache / "hrnetv2_w18_wflw_256x256_dark-3f8e0c2c_20210125.pth"
    assert not file.exists()
    file.write_bytes(b"put by hand")
    with pytest.raises(CheckpointError, match=rf"{file.name}: not {name}, whose SHA-256 begins with 3f8e0c2c; remove"):
        find_weights(name)
    file.write_bytes(b"right")
    digest = hashlib.sha256(b"right").hexdigest()
    monkeypatch.setattr(weights, "expected_hash", lambda _: digest[:8])
    assert find_weights(name) == file


def test_timm_s_weights_come_by_its_names(server, cache, tmp_path):
    network = timm.create_model("hrnet_w18_small")
    save_file({name: tensor.contiguous() for name, tensor in network.state_dict().items()}, tmp_path / "x")
    server.content = (tmp_path / "x").read_bytes()
    read = read_checkpoint("classification/hrnet_w18_small_v1_imagenet@timm")
    assert (cache / "hrnet_w18_small.ms_in1k.safetensors").is_file()
    for name, tensor in network.state_dict().items():
        assert torch.equal(read["state_dict"][name], tensor)
    assert read["args"]["crop_pct"] == 0.875
    assert hrtoolkit.load_checkpoint(build_model("classification/hrnet_w18_small_v1_imagenet"), read).ok
    with pytest.raises(CheckpointError, match=r"timm/hrnet_w32\.ms_in1k: not the weights of this network"):
        read_checkpoint("timm/hrnet_w32.ms_in1k")  # the server gives the same file for all names
    assert not (cache / "hrnet_w32.ms_in1k.safetensors").exists()


def test_torchvision_s_detectors_come_the_same_way(server, cache, monkeypatch, tmp_path):
    name = "fasterrcnn_mobilenet_v3_large_320_fpn"
    known = torchvision.models.get_model_weights(name).DEFAULT.url
    with pytest.raises(CheckpointError, match=r"sent another file: its SHA-256"):
        use_detector(name, torch.device("cpu"))
    network = torchvision.models.get_model(name, weights=None, weights_backbone=None)
    torch.save(network.state_dict(), tmp_path / known.rpartition("/")[2])
    monkeypatch.setattr(weights, "expected_hash", lambda _: weights.hash_file(tmp_path / known.rpartition("/")[2])[:8])
    monkeypatch.setenv("HRTOOLKIT_WEIGHTS", str(tmp_path))
    use_detector(name, torch.device("cpu"))
    assert (cache / known.rpartition("/")[2]).is_file()


def test_the_same_file_is_one_by_its_word_and_by_its_address(cache):
    cache.mkdir(parents=True)
    entry = read_published(list_shipped()["pose/hrnet_w32_coco"])["openmmlab"]
    (cache / entry["file"].rpartition("/")[2]).write_bytes(b"not it")
    for name in ("pose/hrnet_w32_coco@openmmlab", entry["file"]):
        with pytest.raises(CheckpointError, match=r"81c58e40_20220909\.pth: not .*SHA-256 begins with 81c58e40"):
            find_weights(name)


def test_what_is_published_is_in_the_card_of_a_model(official, cache, tmp_path):
    cache.mkdir(parents=True)
    (cache / FILE).symlink_to(official)
    hrtoolkit.load("pose/hrnet_w32_coco", "official").save_pretrained(tmp_path / "a", license="mit")
    hrtoolkit.load(tmp_path / "a").save_pretrained(tmp_path / "b", license="mit")
    for folder in (tmp_path / "a", tmp_path / "b"):
        card = (folder / "README.md").read_text()
        assert "AP 74.4 (published)" in card and f"| made from | {OFFICIAL} |" in card


def test_the_commands_know_the_words(cache, coco_folder, tmp_path, capsys):
    """By a small config, which publishes a file of its own."""
    own = tmp_path / "own.py"
    own.write_text('_base_ = "pose/hrnet_toy"\npublished = {"official": {"file": "mine.pth"}}')
    cache.mkdir(parents=True)
    torch.save(build_model("pose/hrnet_toy").state_dict(), cache / "mine.pth")
    data = ["--data-root", str(coco_folder), "--set"]
    data += [f"{part}_dataloader.dataset.{key}" for part in ("train", "val") for key in DATA]
    data += ["train_dataloader.num_workers=0", "val_dataloader.num_workers=0", "val_dataloader.batch_size=1"]
    assert run("test", str(own), "official", "--pictures", str(tmp_path / "drawn"), *data) == 0
    assert "AP" in json.loads(capsys.readouterr().out.splitlines()[-1])
    predict = ["predict", str(own), str(coco_folder / "images"), "--boxes", "whole", "--out", str(tmp_path / "found")]
    assert run(*predict, "--weights", "official") == 0
    assert run(*predict, "--weights", "timm") == 1
    assert "own.py has no weights called 'timm'; it has official" in capsys.readouterr().err
    training = [*data, "train_cfg.max_epochs=1", "train_dataloader.batch_size=2"]
    assert run("train", str(own), "--weights", "official", "--work-dir", str(tmp_path / "work"), *training) == 0
    assert f"load_from = '{own}@official'" in (tmp_path / "work" / "config.py").read_text()
    wrong = ["pose/hrnet_w32_custom", "--set", "load_from=face/hrnetv2_w18_cofw@timm"]
    assert run("check", "--config-only", "--no-files", *wrong) == 1
    assert "face/hrnetv2_w18_cofw@timm: this config has no weights called 'timm'" in "".join(capsys.readouterr())


def test_timm_without_a_network_is_one_quick_sentence(cache, monkeypatch):
    with pytest.raises(
        CheckpointError, match=r"timm/hrnet_w18\.ms_in1k is not here; .*refused.*put it here: "
    ) as error:
        read_checkpoint("timm/hrnet_w18.ms_in1k")
    assert "\n" not in str(error.value)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(
        CheckpointError, match=r"is not here; fetch hrnet_w18\.ms_in1k\.safetensors from .*OFFLINE is set"
    ):
        read_checkpoint("timm/hrnet_w18.ms_in1k")
    with pytest.raises(CheckpointError, match=r"timm has no such weights .*did you mean .*hrnet_w18\.ms_in1k"):
        read_checkpoint("timm/hrnet_w18.ms_in")
    with pytest.raises(CheckpointError, match="timm has no such weights"):
        read_checkpoint("timm/nothing_of_the_kind")
