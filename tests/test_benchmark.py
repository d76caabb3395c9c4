"""The plain pipeline gives what the toolkit gives, and the benchmark times both in turns, for every task."""

import json

import numpy as np
import pytest
import torch
from mmengine import Config

from benchmarks.benchmark import benchmark, build_pair, measure, open_run, training_memory
from benchmarks.reference import pose
from benchmarks.reference.images import look
from hrtoolkit.commands import run_verb
from hrtoolkit.config import load_config
from hrtoolkit.engine.evaluation import Evaluation
from hrtoolkit.frames import Warp
from hrtoolkit.keypoints.codecs import GaussianHeatmap
from hrtoolkit.keypoints.head import HeatmapHead
from hrtoolkit.keypoints.views import TopDown
from hrtoolkit.samples import Inputs
from hrtoolkit.schemes.people import COCO
from hrtoolkit.tasks.pose.finish import PoseFinish
from hrtoolkit.tasks.pose.metric import CocoKeypointMetric

CPU = torch.device("cpu")
TINY = [
    f"model.backbone.{option}"
    for option in ("width=16", "modules=(1,1,1)", "blocks=2", "layer1_blocks=1", "layer1_planes=32")
]
# One a task and kind of data set.
CONFIGS = {
    "pose/hrnet_w32_coco": (240, 12),
    "pose/hrnet_w32_mpii": (240, 12),
    "face/hrnetv2_w18_wflw": (96, 24),
    "face/hrnetv2_w18_custom": (96, 24),  # its data would have the names of its landmarks
    "detection/mask_rcnn_hrnetv2p_w18_coco": (12, 12),
    "classification/hrnet_w18_imagenet": (12, 12),
    "classification/hrnet_w18_finetune": (12, 12),
    "segmentation/hrnetv2_w18_small_v2_cityscapes": (12, 12),
    "segmentation/hrnetv2_w48_ocr_lip": (12, 12),
}


@pytest.fixture
def config() -> Config:
    return load_config("pose/hrnet_w32_coco", [*TINY, "model.view.input_size=(64,96)"], data_root="nowhere")


def call(*arguments) -> int:
    with pytest.raises(SystemExit) as leaving:
        run_verb("benchmark", arguments)
    return leaving.value.code


def test_made_up_data_give_the_plain_crops(config, tmp_path):
    run, description = open_run(config, tmp_path / "data")
    assert description == "made up (nowhere does not exist): 240 inputs of 12 images"
    files = list((tmp_path / "data" / "images").iterdir())
    # As large to read as COCO's images: 160 kB on average.
    assert 120_000 < np.mean([file.stat().st_size for file in files]) < 200_000
    inputs = run.inputs("val")
    mean, std = (torch.tensor(values)[:, None, None] for values in (inputs.view.mean, inputs.view.std))
    for index in (0, 19, 20, 239):
        ours = torch.from_numpy(inputs[index].pixels).permute(2, 0, 1)
        # Matrices of rounded corners move a sample by a small part of a pixel.
        assert (ours - (look(inputs, index) * std + mean)).abs().mean() < 0.5


def test_the_plain_loop_decodes_as_the_codec_does():
    head = HeatmapHead((32,), (4,), scheme="coco", codec=GaussianHeatmap())
    heatmaps = torch.randn(5, 17, 16, 12, generator=torch.Generator().manual_seed(0))
    heatmaps[0, 0] = -1.0
    frames = Warp.stack(
        [
            Warp((99, 99), (64, 48), False, np.array([[0.5, 0.0, i], [0.0, 0.5, 3.0]]), np.array([0.0, 0, i, i]))
            for i in range(5)
        ]
    )
    head.forward = lambda maps: heatmaps
    for ours, plain in zip(head.predict([heatmaps], frames), pose.decode(heatmaps, frames), strict=True):
        np.testing.assert_array_equal(ours.boxes_xyxy, plain.boxes_xyxy)
        np.testing.assert_allclose(ours.points, plain.points, atol=1e-3)
        np.testing.assert_array_equal(ours.point_scores, plain.point_scores)


def test_the_plain_loop_scores_as_the_metric_does(tmp_path):
    samples, records = pose.make_results(COCO, tmp_path, 400)
    assert (len(samples), len(records)) == (20, 400)
    evaluation = Evaluation(Inputs(samples, TopDown(), COCO), [CocoKeypointMetric()], PoseFinish(scheme=COCO))
    evaluation.add(range(400), records)
    evaluation.finish_samples(range(20))
    ap = evaluation.score()["AP"]
    assert 0.05 < ap < 0.95
    assert pose.evaluate(samples, records)["AP"] == pytest.approx(ap, abs=1e-6)


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


def test_timm_gets_the_same_weights_and_does_the_same_work(config):
    config.model.backbone.update(layer1_planes=32)
    model, theirs = build_pair(config, CPU)
    assert theirs is not None and model.backbone.out_channels == (16, 32, 64, 128)
    images = torch.randn(1, 3, 96, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        for a, b in zip(model.eval().backbone(images), theirs.eval()(images), strict=True):
            assert torch.equal(a, b)
    config.model.backbone.update(width=20)
    assert build_pair(config, CPU)[1] is None


def test_every_uncompiled_stage_runs_and_reports(config, monkeypatch, capsys):
    monkeypatch.setattr("benchmarks.benchmark.compile_blocks", lambda net: None)
    monkeypatch.setattr("benchmarks.benchmark.half_precisions", lambda device: ("bfloat16",))
    report = benchmark(config, batches=(1, 2), rounds=1, decoded=4, evaluated=100)
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


@pytest.mark.parametrize("name", CONFIGS)
def test_the_tool_reads_and_crops_for_every_task(name, capsys):
    arguments = (name, "--stages", "read", "crop", "--rounds", "1", "--set", *TINY)
    assert call(*arguments) == 0
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    inputs, images = CONFIGS[name]
    assert report["data"].endswith(f"does not exist): {inputs} inputs of {images} images")
    assert [(timing["stage"], timing["form"], timing["items"]) for timing in report["results"]] == [
        *(("read", form, min(images, 20)) for form in ("plain", "hrtoolkit")),
        *(("crop", form, min(inputs, 96)) for form in ("plain", "hrtoolkit")),
    ]


@pytest.mark.parametrize("name", ["detection/faster_rcnn_toy", "segmentation/hrnetv2_toy", "classification/hrnet_toy"])
def test_every_task_trains_and_runs_its_network(name, monkeypatch):
    monkeypatch.setattr("benchmarks.benchmark.compile_blocks", lambda net: None)
    config = load_config(name, TINY, data_root="nowhere")
    report = benchmark(config, batches=(2,), rounds=1, stages=("forward", "network", "train"))
    assert [timing["stage"] for timing in report["results"] if timing["ratio"] == 1] == ["forward", "network", "train"]
    assert np.isfinite([timing["seconds"] for timing in report["results"]]).all()


@pytest.mark.parametrize(
    ("name", "stage", "part"),
    [
        ("detection/faster_rcnn_toy", "decode", "FasterRCNNHead"),
        ("segmentation/hrnetv2_toy", "evaluate", "SegmentationMetric"),
        ("pose/hrnet_w32_mpii", "evaluate", "MpiiPckMetric"),
    ],
)
def test_a_stage_without_a_baseline_is_refused_at_once(name, stage, part, capsys):
    assert call(name, "--stages", "crop", stage) == 1
    message = f"error: there is no baseline yet for {stage} (of {part}); --stages may name read crop forward network"
    assert message in capsys.readouterr().err


def test_without_a_checkout_there_is_one_sentence(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("hrtoolkit.files.shipped_configs", lambda: tmp_path / "configs")
    assert call() == 1
    assert capsys.readouterr().err.strip().startswith("error: the benchmark needs a checkout")
