"""The plain pipeline gives what the toolkit gives, and the benchmark times both in turns."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hrtoolkit.tasks.pose.metric import CocoKeypointMetric
from mmengine import Config

from hrtoolkit.config import load_config
from hrtoolkit.engine.benchmark import benchmark, build_pair, measure, open_dataset, training_memory
from hrtoolkit.heatmap_head import HeatmapHead
from hrtoolkit.heatmaps import GaussianHeatmap
from tests.reference import pose

from .conftest import REPOSITORY

CPU = torch.device("cpu")


@pytest.fixture
def config() -> Config:
    config = load_config(REPOSITORY / "configs/pose/hrnet_w32_coco.py")
    config.model.backbone.update(width=16, modules=(1, 1, 1), blocks=2, layer1_blocks=1, layer1_planes=32)
    config.val_dataloader.dataset.transform.input_size = (64, 96)
    config.val_dataloader.dataset.data_root = "nowhere"
    return config


def test_made_up_data_give_the_plain_crops(config, tmp_path):
    dataset, description = open_dataset(config, pose, tmp_path)
    assert description == "made up (nowhere does not exist): 240 samples in 12 images"
    files = [Path(path.decode()) for path in dataset.image_paths]
    # As large to read as COCO's images: 160 kB on average.
    assert 120_000 < np.mean([file.stat().st_size for file in files]) < 200_000
    mean, std = torch.tensor([123.675, 116.28, 103.53]), torch.tensor([58.395, 57.12, 57.375])
    for index in (0, 19, 20, 239):
        ours = torch.from_numpy(dataset[index]["image"]).permute(2, 0, 1)
        plain = pose.crop(dataset, index, mean.tolist(), std.tolist()) * std[:, None, None] + mean[:, None, None]
        # Matrices of rounded corners move a sample by a small part of a pixel.
        assert (ours - plain).abs().mean() < 0.5


def test_the_plain_loop_decodes_as_the_codec_does():
    head = HeatmapHead((32,), (4,), layout="coco", codec=GaussianHeatmap())
    heatmaps = torch.randn(5, 17, 16, 12, generator=torch.Generator().manual_seed(0))
    heatmaps[0, 0] = -1.0
    meta = [{"index": i, "matrix": np.array([[0.5, 0.0, i], [0.0, 0.5, 3.0]])} for i in range(5)]
    head.forward = lambda maps: heatmaps
    for ours, plain in zip(head.predict([heatmaps], meta), pose.decode(heatmaps, meta), strict=True):
        assert ours["index"] == plain["index"]
        np.testing.assert_allclose(ours["keypoints"], plain["keypoints"], atol=1e-3)
        np.testing.assert_array_equal(ours["scores"], plain["scores"])


def test_the_plain_loop_scores_as_the_metric_does(tmp_path):
    meta, results = pose.make_results(tmp_path / "results.json", 400)
    metric = CocoKeypointMetric()
    metric.dataset_meta = meta
    metric.process({}, results)
    ap = metric.evaluate(400)["AP"]
    assert 0.05 < ap < 0.95
    assert pose.evaluate(meta, results)["AP"] == pytest.approx(ap, abs=1e-6)


def test_forms_take_turns():
    calls = []
    measured = measure({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, 3, CPU, "")
    assert [len(times) for _, times in measured.values()] == [3, 3]
    order = [name for i, name in enumerate(calls) if i == 0 or name != calls[i - 1]]
    assert order == ["a", "b"] * 4


def test_training_memory_is_what_the_backward_pass_needs():
    x = torch.ones(2**20, requires_grad=True)
    # exp keeps its result, once for both of its readers; the product keeps both factors.
    assert training_memory(lambda: (y := x.exp()).mul(y).sum().backward(), CPU) == 4.0


def test_timm_gets_the_same_weights_and_does_the_same_work(config, tmp_path):
    config.model.backbone.update(layer1_planes=32)
    dataset, _ = open_dataset(config, pose, tmp_path)
    model, theirs = build_pair(config, dataset, CPU)
    assert theirs is not None and model.backbone.out_channels == (16, 32, 64, 128)
    images = torch.randn(1, 3, 96, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        for a, b in zip(model.eval().backbone(images), theirs.eval()(images), strict=True):
            assert torch.equal(a, b)
    config.model.backbone.update(width=20)
    assert build_pair(config, dataset, CPU)[1] is None


def test_every_uncompiled_stage_runs_and_reports(config, monkeypatch, capsys):
    monkeypatch.setattr("hrtoolkit.engine.benchmark.compile_blocks", lambda net: None)
    monkeypatch.setattr("hrtoolkit.engine.benchmark.half_precisions", lambda device: ("bfloat16",))
    report = benchmark(config, pose, batches=(1, 2), rounds=1, decoded=4, evaluated=100)
    stages = {(timing["stage"], timing["items"]) for timing in report["results"]}
    assert stages == {
        *(("read", 12), ("crop", 96), ("forward", 1), ("forward", 2), ("network", 1), ("network", 2)),
        *(("train", 2), ("decode", 4), ("evaluate", 100)),
    }
    for timing in report["results"]:
        assert timing["seconds"] > 0 and timing["ratio"] > 0
        assert (timing["memory_mib"] is not None) == (timing["stage"] == "train")
    first = {timing["stage"]: timing for timing in reversed(report["results"])}
    assert all(timing["ratio"] == 1 for timing in first.values())
    assert report["machine"]["torch"] == torch.__version__
    assert json.loads(json.dumps(report)) == report
    assert "float32, folded, compiled" in capsys.readouterr().out
