"""The plain pipeline that the benchmark compares with gives what the toolkit gives."""

import numpy as np
import pytest
import torch
from hrtoolkit.tasks.face.codec import TruncatedHeatmap
from hrtoolkit.tasks.face.head import FaceHead
from hrtoolkit.tasks.face.metric import NME

from hrtoolkit.config import load_config
from hrtoolkit.engine.benchmark import benchmark, open_dataset
from hrtoolkit.engine.run import build_model_for
from tests.reference import face

from ..conftest import REPOSITORY


@pytest.fixture
def config():
    config = load_config(REPOSITORY / "configs/face/hrnetv2_w18_wflw_dark.py")
    config.model.backbone.update(width=16, modules=(1, 1, 1), blocks=2, layer1_blocks=1, layer1_planes=32)
    config.val_dataloader.dataset.data_root = "nowhere"
    return config


def test_made_up_data_give_the_plain_crops(config, tmp_path):
    dataset, description = open_dataset(config, face, tmp_path)
    assert description.endswith("96 samples in 24 images")
    mean, std = torch.tensor([123.675, 116.28, 103.53]), torch.tensor([58.395, 57.12, 57.375])
    for index in (0, 50):
        ours = torch.from_numpy(dataset[index]["image"]).permute(2, 0, 1)
        plain = face.crop(dataset, index, mean.tolist(), std.tolist()) * std[:, None, None] + mean[:, None, None]
        # Matrices of rounded corners move a sample by a small part of a pixel.
        assert (ours - plain).abs().mean() < 0.5


@pytest.mark.parametrize("name", ["300w", "300w_dark", "aflw", "cofw"])
def test_every_benchmark_can_be_made_up(name, tmp_path):
    config = load_config(REPOSITORY / f"configs/face/hrnetv2_w18_{name}.py", data_root="nowhere")
    dataset, description = open_dataset(config, face, tmp_path)
    assert description.endswith("96 samples in 24 images")
    assert dataset.layout.names == build_model_for(config, dataset).head.layout.names
    assert dataset[95]["image"].any()


def test_the_plain_loop_decodes_as_the_official_codec_does():
    head = FaceHead((32,), (4,), layout="wflw", codec=TruncatedHeatmap(), integer_points=True)
    heatmaps = torch.randn(3, 98, 16, 12, generator=torch.Generator().manual_seed(0))
    heatmaps[0, 0] = -1.0
    meta = [{"index": i, "matrix": np.array([[0.5, 0.0, i], [0.0, 0.5, 3.0]])} for i in range(3)]
    head.forward = lambda maps: heatmaps
    for ours, plain in zip(head.predict([heatmaps], meta), face.decode(heatmaps, meta), strict=True):
        np.testing.assert_array_equal(ours["keypoints"], plain["keypoints"])
        np.testing.assert_array_equal(ours["scores"], plain["scores"])


def test_the_plain_loop_scores_as_the_metric_does(tmp_path):
    meta, results = face.make_results(tmp_path / "none", 50)
    metric = NME()
    metric.dataset_meta = meta
    metric.process({}, results)
    assert metric.evaluate(50)["NME"] == pytest.approx(face.evaluate(meta, results)["NME"], rel=1e-12)


def test_the_stages_run(config, monkeypatch):
    monkeypatch.setattr("hrtoolkit.engine.benchmark.compile_blocks", lambda net: None)
    stages = ("read", "crop", "network", "evaluate")
    report = benchmark(config, face, stages=stages, batches=(1,), rounds=1, evaluated=100)
    assert {timing["stage"] for timing in report["results"]} == set(stages)
    assert np.isfinite([timing["seconds"] for timing in report["results"]]).all()
