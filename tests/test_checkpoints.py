"""Checkpoints of every known format, dangerous ones, and writing that survives a failure."""

import pickle
import zipfile

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer

from hrtoolkit import build_model, load_checkpoint
from hrtoolkit.backbones import HRNet
from hrtoolkit.checkpoints import read_checkpoint, write_checkpoint
from hrtoolkit.errors import CheckpointError
from hrtoolkit.schemes.people import COCO, MPII

TINY = dict(type="HRNet", width=4, modules=(1, 1, 1), blocks=1, layer1_blocks=1, layer1_planes=8)


def make_model(scheme="coco", num_outputs=1, **backbone):
    from mmengine import Config

    return build_model(
        Config(
            dict(
                custom_imports=dict(imports=["hrtoolkit.tasks.pose", "hrtoolkit.tasks.classification"]),
                model=dict(
                    backbone=dict(**{**TINY, **backbone}, num_outputs=num_outputs),
                    neck=dict(type="HighestResolution"),
                    head=dict(type="HeatmapHead", scheme=scheme),
                ),
            )
        )
    )


def randomise(state_dict):
    generator = torch.Generator().manual_seed(0)
    return {
        k: torch.rand(v.shape, generator=generator) if v.is_floating_point() else v + 3 for k, v in state_dict.items()
    }


@pytest.fixture
def official():
    """State dict of an official pose release of the tiny size: bare backbone names and `final_layer`."""
    return {k.split(".", 1)[1]: v for k, v in randomise(make_model().state_dict()).items()}


def assert_same_weights(model, official):
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, official[name.split(".", 1)[1]]), name


def rename(official, head):
    return {f"{head if k.startswith('final_layer') else 'backbone.'}{k}": v for k, v in official.items()}


FORMATS = {
    "official pose": lambda o: o,
    "official pose, DataParallel": lambda o: {"epoch": 3, "state_dict": {f"module.{k}": v for k, v in o.items()}},
    "OpenMMLab 0.x": lambda o: {"meta": {"epoch": 1}, "state_dict": rename(o, "keypoint_head.")},
    "OpenMMLab 1.x": lambda o: {
        "meta": {},
        "state_dict": {**rename(o, "head."), "data_preprocessor.mean": torch.zeros(3)},
    },
    "compiled": lambda o: {f"_orig_mod.{k}": v for k, v in rename(o, "head.").items()},
}


@pytest.mark.parametrize("name", FORMATS)
def test_every_pose_format_loads_completely(name, official, tmp_path):
    torch.save(FORMATS[name](official), tmp_path / "file.pth")
    model = make_model()
    report = load_checkpoint(model, tmp_path / "file.pth")
    assert report.ok, report.details()
    assert_same_weights(model, official)


def test_safetensors_load_too(official, tmp_path):
    from safetensors.torch import save_file

    save_file(official, tmp_path / "file.safetensors")
    model = make_model()
    assert load_checkpoint(model, tmp_path / "file.safetensors").ok
    assert_same_weights(model, official)


def test_a_url_is_fetched_once_and_a_broken_one_is_said(official, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "cache"))
    torch.save(official, tmp_path / "file.pth")
    url = (tmp_path / "file.pth").as_uri()
    assert load_checkpoint(make_model(), url).ok
    (tmp_path / "file.pth").unlink()
    assert load_checkpoint(make_model(), url).ok
    with pytest.raises(CheckpointError, match=r"other\.pth: could not be downloaded"):
        load_checkpoint(make_model(), (tmp_path / "other.pth").as_uri())


def test_a_classification_file_fills_the_backbone_and_tells_the_rest(official):
    v2 = randomise(HRNet(**{k: v for k, v in TINY.items() if k != "type"}).state_dict())
    file = {
        **v2,
        "incre_modules.0.0.conv1.weight": torch.rand(2, 2, 1, 1),
        "final_layer.0.weight": torch.rand(8, 4, 1, 1),
        "classifier.weight": torch.rand(10, 8),
    }
    model = make_model()
    report = load_checkpoint(model, file)
    assert report.kind == "official or timm classification"
    assert report.part_fits("backbone") and not report.fits
    assert report.missing == ["head.final_layer.weight", "head.final_layer.bias"]
    # The V1 form lacks what leads to the coarser maps of the last module.
    unused = {name.split(".")[1] for name in report.unexpected}
    assert unused == {"stage4", "incre_modules", "final_layer", "classifier"}
    assert "not used" in str(report) and "head.classifier.weight" in report.details()


def test_a_head_of_another_scheme_takes_over_channels_by_name(official):
    names = ["left_wrist", "tail", "nose"]
    model = make_model(scheme=dict(names=names))
    before = model.head.final_layer.weight.detach().clone()
    assert "give `scheme` to take over those of equal name" in str(load_checkpoint(model, official))
    assert torch.equal(model.head.final_layer.weight, before)  # nothing is guessed from a count
    report = load_checkpoint(model, official, scheme="coco")
    assert report.part_fits("backbone") and not report.ok
    assert report.adopted["head.final_layer.weight"] == ["left_wrist", "nose"]
    weight = model.head.final_layer.weight
    assert torch.equal(weight[0], official["final_layer.weight"][COCO.names.index("left_wrist")])
    assert torch.equal(weight[2], official["final_layer.weight"][COCO.names.index("nose")])
    assert torch.equal(weight[1], before[1])
    assert "2 channels taken over by name (left_wrist, nose)" in str(report)


def test_equal_counts_in_another_order_are_matched_by_the_names_in_the_file():
    names = list(reversed(MPII.names))
    state = randomise(make_model(scheme="mpii").state_dict())
    model = make_model(scheme=dict(names=names))
    load_checkpoint(model, {"meta": {"output_names": list(MPII.names)}, "state_dict": state})
    assert torch.equal(model.head.final_layer.bias, state["head.final_layer.bias"].flip(0))


def test_another_width_is_reported_shape_by_shape(official):
    report = load_checkpoint(make_model(width=6), official)
    assert not report.fits
    assert report.mis_shaped["backbone.transition1.0.0.weight"] == ((4, 32, 3, 3), (6, 32, 3, 3))
    assert "more lines" in str(report)


def test_a_backbone_alone_loads_too(official):
    net = HRNet(**{k: v for k, v in TINY.items() if k != "type"}, num_outputs=1)
    report = load_checkpoint(net, official)
    assert report.fits
    assert report.unexpected == ["head.final_layer.weight", "head.final_layer.bias"]


def test_missing_batch_counters_are_accepted(official):
    old = {k: v for k, v in official.items() if not k.endswith("num_batches_tracked")}
    assert load_checkpoint(make_model(), old).ok


class Evil:
    def __reduce__(self):
        import os

        return os.system, ("touch evil_was_here",)


def test_numbers_and_histories_of_other_frameworks_are_read_along(official, tmp_path):
    history = HistoryBuffer()
    history.update(0.5)
    meta = {"perf": np.float64(0.74), "sigmas": np.float32([0.026]), "ids": np.arange(2), "known": np.array([True])}
    content = {
        "state_dict": official,
        "meta": {"dataset_meta": meta},
        "message_hub": {"log_scalars": {"loss": history}},
    }
    torch.save(content, tmp_path / "numpy2.pth")
    # NumPy 1 calls the same functions by another path.
    with zipfile.ZipFile(tmp_path / "numpy2.pth") as old, zipfile.ZipFile(tmp_path / "numpy1.pth", "w") as new:
        for item in old.infolist():
            new.writestr(item.filename, old.read(item).replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))
    for name in ("numpy1.pth", "numpy2.pth"):
        assert load_checkpoint(make_model(), tmp_path / name).ok
        read = read_checkpoint(tmp_path / name)["meta"]["dataset_meta"]
        assert read["perf"] == 0.74 and read["sigmas"][0] == np.float32(0.026) and read["known"][0]


def test_reading_leaves_torchs_list_of_safe_globals_alone(official, tmp_path):
    torch.save(official, tmp_path / "file.pth")
    before = set(torch.serialization.get_safe_globals())
    read_checkpoint(tmp_path / "file.pth")
    assert set(torch.serialization.get_safe_globals()) == before


def test_getattr_in_a_pickle_reaches_nothing(tmp_path):
    class Reach:
        def __reduce__(self):
            return getattr, (torch.Tensor, "__subclasses__")

    torch.save({"state_dict": {"a": torch.zeros(1)}, "x": Reach()}, tmp_path / "file.pth")
    assert read_checkpoint(tmp_path / "file.pth")["x"] is None


def test_tensors_beside_the_weights_do_not_hide_them(official):
    assert load_checkpoint(make_model(), {"epoch": torch.tensor(3), "state_dict": official}).ok


def test_files_of_one_name_at_two_addresses_are_two_files(official, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "cache"))
    for folder, value in (("a", 1.0), ("b", 2.0)):
        (tmp_path / folder).mkdir()
        torch.save({"x": torch.full((1,), value)}, tmp_path / folder / "model_best.pth")
    read = [read_checkpoint((tmp_path / folder / "model_best.pth").as_uri())["x"].item() for folder in "ab"]
    assert read == [1.0, 2.0]


def test_code_in_a_pickle_is_refused_and_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": {"a": torch.zeros(1)}, "meta": Evil()}, "evil.pth")
    (tmp_path / "raw.pth").write_bytes(pickle.dumps(Evil()))
    for name, reason in (("evil.pth", "it names posix.system"), ("raw.pth", "torch does not write such files")):
        with pytest.raises(CheckpointError, match=rf"{name}: refused, because it holds more than tensors.*{reason}"):
            read_checkpoint(name)
    assert not (tmp_path / "evil_was_here").exists()


@pytest.mark.parametrize("damage", ["missing", "empty", "truncated", "text", "no tensors", "a list"])
def test_unreadable_files_have_one_clear_error(damage, official, tmp_path):
    path = tmp_path / "file.pth"
    torch.save({"no tensors": {"epoch": 1}, "a list": [torch.zeros(1)]}.get(damage, official), path)
    if damage == "missing":
        path.unlink()
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "truncated":
        path.write_bytes(path.read_bytes()[:1000])
    elif damage == "text":
        path.write_text("not found")
    expected = {
        "missing": "no such checkpoint file",
        "no tensors": "no tensors found",
        "a list": "holds a list, not tensors by name",
    }.get(damage, "damaged|refused")
    with pytest.raises(CheckpointError, match=rf"file\.pth: .*({expected})"):
        load_checkpoint(make_model(), path)


def test_a_failed_write_leaves_the_previous_file_whole(tmp_path, monkeypatch):
    path = tmp_path / "last.pth"
    write_checkpoint({"state_dict": {"a": torch.ones(3)}}, path)

    def full_disk(_, file):
        file.write(b"half a")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full_disk)
    with pytest.raises(CheckpointError, match=r"last\.pth: could not be written .*No space left.* untouched"):
        write_checkpoint({"state_dict": {"a": torch.zeros(3)}}, path)
    assert zipfile.is_zipfile(path)
    assert read_checkpoint(path)["state_dict"]["a"].sum() == 3
    assert [p.name for p in tmp_path.iterdir()] == ["last.pth"]
