"""A program of a user who has types checked strictly: `make lint` reads it with everything else, and nobody runs it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy import ndarray
from torch import Tensor, nn
from typing_extensions import assert_type

import hrtoolkit
from hrtoolkit.backbones.hrnet import HRNet
from hrtoolkit.findings import Findings
from hrtoolkit.frames import Frame
from hrtoolkit.keypoints.head import HeatmapHead
from hrtoolkit.keypoints.views import TopDown
from hrtoolkit.metric import BaseMetric, Metric
from hrtoolkit.model import Branch, Model
from hrtoolkit.parts import BaseBackbone, BaseHead, Stacked
from hrtoolkit.predict import Picture, Prediction, Predictor, open_source
from hrtoolkit.predict.boxes import use_boxes
from hrtoolkit.records import Category, LabelMap, Objects, Record, ValueMap
from hrtoolkit.samples import BaseSamples, Images, Inputs
from hrtoolkit.schemes import ClassScheme, Scheme, resolve_scheme
from hrtoolkit.tasks.classification.augmentation import RandomResizedCrop
from hrtoolkit.tasks.classification.metric import ClassificationMetric, Ranking
from hrtoolkit.tasks.classification.views import ResizeCenterCrop
from hrtoolkit.tasks.pose.finish import PoseFinish


def predict(folder: Path, frame: ndarray) -> list[float]:
    predictor = hrtoolkit.load("best.pth", device="cpu", detector=lambda image: np.zeros((1, 4)), batch_size="auto")
    assert_type(predictor, Predictor)
    assert_type(hrtoolkit.from_pretrained("owner/model", flip=True), Predictor)
    scores: list[float] = []
    for prediction in predictor([folder / "a.jpg", frame], boxes={"a.jpg": [[0.0, 0.0, 10.0, 10.0]]}, order="bgr"):
        assert_type(prediction, Prediction)
        record = prediction.record
        assert_type(record, Record)
        if isinstance(record, Objects):
            assert_type(record.select(record.labels == 0), Objects)
        elif isinstance(record, LabelMap):
            assert_type(record.label_map, ndarray)
        elif isinstance(record, ValueMap):
            assert_type(record.values, ndarray)
        else:
            assert_type(record, Category)
        for thing in prediction.to_dict()["objects"]:
            scores.append(thing["score"])
    summary = predictor.run(folder, "found", boxes="whole", save=["csv"])
    assert_type(summary.files, list[Path])
    assert_type(predictor.find(frame, boxes=np.zeros((1, 4))), Record)
    for picture in open_source("photos/*.jpg"):
        assert_type(picture, Picture)
        assert_type(use_boxes("whole")(0, picture).scores, ndarray)
    return scores


def load_weights() -> None:
    model = hrtoolkit.build_model("pose/hrnet_w32_coco")
    assert_type(model.branch().head.scheme, Scheme)
    report = hrtoolkit.load_checkpoint(model, "weights.pth")
    assert_type(report.ok, bool)


def build_by_hand() -> Model:
    backbone = HRNet(width=18)
    head = HeatmapHead(backbone.out_channels, backbone.out_strides, scheme=["left", "right"])
    finish = PoseFinish(scheme=head.scheme)
    return Model(backbone, Branch(None, head, TopDown(input_size=(192, 256)), finish), flip_test=True)


class Average(BaseBackbone):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 8, 4, stride=4)
        self.out_channels, self.out_strides = [8], [4]

    def forward(self, images: Tensor) -> list[Tensor]:
        return [self.layer(images)]


def what_class(record: Category, frame: Frame) -> dict[str, ndarray]:
    return {"label": np.array(record.label)}


class Linear(BaseHead[Stacked]):
    targets = staticmethod(what_class)

    def __init__(self, in_channels: Sequence[int], in_strides: Sequence[int], scheme: Sequence[str]) -> None:
        super().__init__()
        self.scheme = resolve_scheme(list(scheme), ClassScheme)
        self.layer = nn.Linear(in_channels[-1], len(scheme))

    def forward(self, maps: list[Tensor]) -> Tensor:
        return torch.as_tensor(self.layer(maps[-1].mean((2, 3))))

    def loss(self, maps: list[Tensor], targets: Stacked, frames: Frame) -> dict[str, Tensor]:
        return {"loss_class": nn.functional.cross_entropy(self.forward(maps), targets["label"])}

    def predict(self, maps: list[Tensor], frames: Frame, flipped: list[Tensor] | None = None) -> list[Category]:
        return [Category(int(scores.argmax()), scores) for scores in self.forward(maps).numpy()]


class Grey(BaseSamples):
    def __init__(self) -> None:
        self.scheme = ClassScheme(("dark", "light"))
        self.findings = Findings("nowhere")
        self.images = Images(np.array([b""]), np.arange(1), np.zeros((1, 2)))

    def read(self, sample: int) -> ndarray:
        return np.zeros((8, 8, 3), np.uint8)

    def truth(self, sample: int) -> Category:
        return Category(0)


class Share(BaseMetric[bool]):
    headline = "right"

    def measure(self, prediction: Category | None, truth: Category, scheme: ClassScheme) -> bool:
        return prediction == truth

    def score(self, measures: list[bool], scheme: ClassScheme) -> dict[str, float]:
        return {"right": sum(measures) / len(measures)}


def own_parts() -> None:
    backbone, samples, view = Average(), Grey(), ResizeCenterCrop()
    head = Linear(backbone.out_channels, backbone.out_strides, samples.scheme.names)
    Model(backbone, {"shade": Branch(None, head, view)})
    Inputs(samples, view, head.scheme, head.targets, RandomResizedCrop())
    metric: Metric[Category, ClassScheme, bool] = Share()
    ours: Metric[Category, ClassScheme, Ranking | None] = ClassificationMetric()
    assert metric.headline != ours.headline
