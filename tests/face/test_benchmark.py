"""The plain pipeline that the benchmark compares with gives what the toolkit gives."""

import numpy as np
import pytest
import torch

from benchmarks.benchmark import benchmark, open_run
from benchmarks.reference import face
from benchmarks.reference.images import look
from hrtoolkit.config import load_config
from hrtoolkit.engine.evaluation import Evaluation
from hrtoolkit.frames import Warp
from hrtoolkit.keypoints.views import TopDown
from hrtoolkit.records import join
from hrtoolkit.samples import Inputs
from hrtoolkit.schemes.faces import AFLW_19, WFLW_98
from hrtoolkit.tasks.face.codec import TruncatedHeatmap
from hrtoolkit.tasks.face.head import FaceHead
from hrtoolkit.tasks.face.metric import NME


@pytest.fixture
def config():
    config = load_config("face/hrnetv2_w18_wflw_dark", data_root="nowhere")
    config.model.backbone.update(width=16, modules=(1, 1, 1), blocks=2, layer1_blocks=1, layer1_planes=32)
    return config


def test_made_up_data_give_the_plain_crops(config, tmp_path):
    run, description = open_run(config, tmp_path / "data")
    assert description.endswith("96 inputs of 24 images")
    inputs = run.inputs("val")
    mean, std = (torch.tensor(values)[:, None, None] for values in (inputs.view.mean, inputs.view.std))
    for index in (0, 50):
        ours = torch.from_numpy(inputs[index].pixels).permute(2, 0, 1)
        # Matrices of rounded corners move a sample by a small part of a pixel.
        assert (ours - (look(inputs, index) * std + mean)).abs().mean() < 0.5


@pytest.mark.parametrize("name", ["300w", "300w_dark", "aflw", "cofw"])
def test_every_benchmark_can_be_made_up(name, tmp_path):
    config = load_config(f"face/hrnetv2_w18_{name}", data_root="nowhere")
    config.model.backbone.update(width=16, modules=(1, 1, 1), blocks=2, layer1_blocks=1, layer1_planes=32)
    run, description = open_run(config, tmp_path / "data")
    assert description.endswith("96 inputs of 24 images")
    assert run.samples["val"].scheme.names == run.model.head.scheme.names
    assert run.inputs("val")[95].pixels.any()


def test_the_plain_loop_decodes_as_the_official_codec_does():
    head = FaceHead((32,), (4,), scheme="wflw", codec=TruncatedHeatmap(), integer_points=True)
    heatmaps = torch.randn(3, 98, 16, 12, generator=torch.Generator().manual_seed(0))
    heatmaps[0, 0] = -1.0
    frames = Warp.stack(
        [
            Warp((99, 99), (64, 48), False, np.array([[0.5, 0.0, i], [0.0, 0.5, 3.0]]), np.array([0.0, 0, i, i]))
            for i in range(3)
        ]
    )
    head.forward = lambda maps: heatmaps
    for ours, plain in zip(head.predict([heatmaps], frames), face.decode(heatmaps, frames), strict=True):
        np.testing.assert_array_equal(ours.points, plain.points)
        np.testing.assert_array_equal(ours.point_scores, plain.point_scores)


@pytest.mark.parametrize("scheme", [WFLW_98, AFLW_19], ids=["eyes", "box"])
def test_the_plain_loop_scores_as_the_metric_does(scheme, tmp_path):
    samples, records = face.make_results(scheme, tmp_path, 50)
    evaluation = Evaluation(Inputs(samples, TopDown(), scheme), [NME()], join)
    evaluation.add(range(50), records)
    evaluation.finish_samples(range(50))
    numbers = evaluation.score()
    assert numbers["NME"] == pytest.approx(face.evaluate(samples, records)["NME"], rel=1e-12)
    assert numbers["NME pose"] > 0


def test_the_stages_run(config, monkeypatch):
    monkeypatch.setattr("benchmarks.benchmark.compile_blocks", lambda net: None)
    stages = ("read", "crop", "network", "evaluate")
    report = benchmark(config, stages=stages, batches=(1,), rounds=1, evaluated=100)
    assert {timing["stage"] for timing in report["results"]} == set(stages)
    assert np.isfinite([timing["seconds"] for timing in report["results"]]).all()
