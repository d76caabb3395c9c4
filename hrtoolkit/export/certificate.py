"""What an export gives beside what PyTorch gives, on the same real images: the certificate that goes with it."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from numpy import ndarray
from torchvision.ops import box_iou

from hrtoolkit import runtime
from hrtoolkit.export.examples import Examples
from hrtoolkit.export.exported import build_exported, open_pt2
from hrtoolkit.export.extras import import_extra
from hrtoolkit.export.graph import IMAGES, Network
from hrtoolkit.files import write_atomically
from hrtoolkit.masks import Masks
from hrtoolkit.predict.predictor import Predictor
from hrtoolkit.records import Category, LabelMap, Objects, Record, ValueMap
from hrtoolkit.runtime.geometry import to_xywh
from hrtoolkit.runtime.network import model_files, open_network, read_settings
from hrtoolkit.samples import Input

RAW_INPUTS = 8  # whose raw outputs are compared
SPEED_SECONDS = 10.0  # that timing takes, a batch size
LEAST_SCORE = 0.1  # of points and objects that are compared: where those below lie is a matter of the last digit
SAME_SHIFT = 0.01  # pixels: a point or side that moves less has not moved
EXPORT_HASH = "SHA-256 of the export"
POINT = 100  # metrics are shares; budgets and losses are counted in hundredths, as people do
# What float32 has to hold: nothing but the order of sums differs.
RAW_LIMIT = 1e-4  # largest difference, of the largest value
MOVED_LIMIT = 0.001  # share of points, sides, pixels or classes that may differ: ties go either way
BUDGETS = {"fp32": 0.05, "fp16": 0.5, "bf16": 0.5, "int8": 0.5}  # points of the metric


@dataclass
class Certificate:
    """What was compared, and whether it holds; differences are those of the export from PyTorch.

    Args:
        format: of the model.
        precision: of it.
        images: how many were looked at.
        data: what they are.
        budget: points (hundredths) of the metric that may be lost.
        metric: name, its value by `pytorch` and by `export`, and the `loss` in points; None where no truth is known.
        raw: of each output the largest difference, and that as a share of the largest value.
        decoded: differences of the results, see `compare_records`.
        speed: by batch size: milliseconds of both, and their ratio; of the network alone.
        files: bytes of the model's files by name.
        kept: layers that int8 leaves in float32.
        calibration: how many inputs int8 was calibrated on.
        reasons: why it does not hold; none where it does.
        about: versions, machine, hashes.
    """

    format: str
    precision: str
    images: int
    data: str
    budget: float
    metric: dict[str, Any] | None = None
    raw: dict[str, dict[str, float]] = field(default_factory=dict)
    decoded: dict[str, float] = field(default_factory=dict)
    speed: dict[str, dict[str, float]] = field(default_factory=dict)
    files: dict[str, int] = field(default_factory=dict)
    kept: list[str] = field(default_factory=list)
    calibration: int = 0
    reasons: list[str] = field(default_factory=list)
    about: dict[str, Any] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        return not self.reasons

    def write(self, folder: Path) -> None:
        """Write `certificate.json` and `certificate.md`."""
        with write_atomically(folder / "certificate.json") as file:
            json.dump({"passed": self.passed, **asdict(self)}, file, indent=1)
        with write_atomically(folder / "certificate.md") as file:
            file.write(self.to_markdown())

    def to_markdown(self) -> str:
        """A page for people."""
        verdict = "holds" if self.passed else "DOES NOT HOLD"
        lines = [f"# Certificate: {self.format}, {self.precision}, {verdict}", "", *self.list_results()]
        lines += list_files(self.files)
        lines += ["", "| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in self.about.items()), ""]
        return "\n".join(lines)

    def list_results(self) -> list[str]:
        """Lines of a page: what was compared."""
        lines = [f"- **{reason}**" for reason in self.reasons] + [""] * bool(self.reasons)
        lines += [f"PyTorch and this export looked at the same images: {self.data}.", "", "| | PyTorch | export | |"]
        lines += ["|---|---|---|---|"]
        if self.metric is not None:
            name, loss = self.metric["name"], self.metric["loss"]
            values = f"{self.metric['pytorch']:.4f} | {self.metric['export']:.4f}"
            lines.append(f"| {name} | {values} | {loss:+.2f} points lost, budget {self.budget:g} |")
        lines += list_speed("network", self.speed)
        lines += ["", "| difference | |", "|---|---|"]
        for name, one in self.raw.items():
            lines.append(f"| `{name}`, largest | {one['largest']:.2e} ({one['relative']:.1e} of the largest value) |")
        lines += [f"| {name.replace('_', ' ')} | {value:.4g} |" for name, value in self.decoded.items()]
        if self.precision == "int8":
            kept = ", ".join(self.kept) or "nothing"
            lines += ["", f"Calibrated on {self.calibration} inputs; left in float32: {kept}."]
        return lines


@dataclass
class JointCertificate:
    """What was compared of several branches, and whether all of it holds.

    Args:
        views: the branches of each; they share a network.
        branches: the certificate of each, by name.
        speed: of each view's network, by view, see `Certificate`.
    """

    views: dict[str, list[str]]
    branches: dict[str, Certificate]
    speed: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)

    @property
    def reasons(self) -> list[str]:
        """Why it does not hold, with the names of branches."""
        return [f"{name}: {reason}" for name, one in self.branches.items() for reason in one.reasons]

    @property
    def passed(self) -> bool:
        return not self.reasons

    @property
    def files(self) -> dict[str, int]:
        """Bytes of the models' files, by view and name."""
        return {
            f"{view}/{file}": size
            for view, names in self.views.items()
            for file, size in self.branches[names[0]].files.items()
        }

    def write(self, folder: Path) -> None:
        """Write `certificate.json` and `certificate.md`."""
        told = {"passed": self.passed, "reasons": self.reasons, "files": self.files, **asdict(self)}
        with write_atomically(folder / "certificate.json") as file:
            json.dump(told, file, indent=1)
        with write_atomically(folder / "certificate.md") as file:
            file.write(self.to_markdown())

    def to_markdown(self) -> str:
        """A page for people."""
        first = next(iter(self.branches.values()))
        verdict = "holds" if self.passed else "DOES NOT HOLD"
        lines = [f"# Certificate: {first.format}, {first.precision}, {verdict}", ""]
        lines += [f"- **{reason}**" for reason in self.reasons] + [""] * bool(self.reasons)
        views = "; ".join(f"{view} ({', '.join(names)})" for view, names in self.views.items())
        lines += [f"The backbone exists once for each view: {views}.", *list_files(self.files)]
        if self.speed:
            lines += ["", "| | PyTorch | export | |", "|---|---|---|---|"]
            for view, speed in self.speed.items():
                lines += list_speed(f"network of {view}", speed)
        for name, one in self.branches.items():
            lines += ["", f"## {name}, {'holds' if one.passed else 'DOES NOT HOLD'}", "", *one.list_results()]
        about = {name: value for name, value in first.about.items() if name != EXPORT_HASH}
        about |= {
            f"{EXPORT_HASH}, {view}": self.branches[names[0]].about[EXPORT_HASH] for view, names in self.views.items()
        }
        lines += ["", "| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in about.items()), ""]
        return "\n".join(lines)


def list_files(files: Mapping[str, int]) -> list[str]:
    """Lines of a page: how large files are, in MiB, and all of them together."""
    rows = [*files.items(), *([("together", sum(files.values()))] if len(files) > 1 else [])]
    return ["", "| file | MiB |", "|---|---|", *(f"| {name} | {size / 2**20:.2f} |" for name, size in rows)]


def list_speed(what: str, speed: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Rows of a table: times of PyTorch and an export, by batch size."""
    lines = []
    for size, one in speed.items():
        times = f"{one['pytorch_ms']:.1f} ms | {one['export_ms']:.1f} ms"
        lines.append(f"| {what}, {size} | {times} | {one['ratio']:.2f} times as fast |")
    return lines


def certify(
    folder: Path,
    predictor: Predictor,
    examples: Examples,
    budget: float | None = None,
    timed: bool = True,
    mine: Sequence[Record] | None = None,
) -> Certificate:
    """Hold an exported folder against the model that it was made from.

    Results come from the folder's own runtime, with what stands in its files; of a pt2 file from hrtoolkit, because
    that needs PyTorch anyway.

    Args:
        folder: of the export; of one with several branches that of the predictor's view.
        predictor: the model in PyTorch.
        examples: what both look at.
        budget: points (hundredths) of the metric that may be lost; None takes `BUDGETS`.
        timed: also measure the speed.
        mine: the records of the predictor, where they are known already.
    """
    settings = read_settings(folder)
    precision = settings["precision"]
    certificate = Certificate(
        format=settings["format"],
        precision=precision,
        images=len(examples),
        data=examples.what,
        budget=BUDGETS[precision] if budget is None else budget,
    )
    mine = find_all(predictor, examples) if mine is None else mine
    theirs = find_all(open_folder(folder, predictor), examples)
    certificate.decoded = compare_records(mine, theirs)
    certificate.metric = compare_scores(examples, predictor, mine, theirs)
    inputs = network_inputs(predictor, examples, RAW_INPUTS, settings["input"])
    lead = f"{predictor.name}." if "branches" in settings else ""
    raw = next(name for name in settings["outputs"] if name.startswith(lead))
    certificate.raw = _compare_raw(*_networks(folder, predictor), raw, inputs)
    if timed:
        certificate.speed = compare_speed(folder, predictor, examples)
    certificate.files = {path.name: path.stat().st_size for path in model_files(folder, settings["model"])}
    certificate.reasons = _judge(certificate)
    certificate.about = _describe(predictor, settings)
    return certificate


def open_folder(folder: Path, predictor: Predictor) -> Any:
    """What predicts with an exported folder as a predictor does.

    Args:
        folder: of the export, or of the predictor's view in one.
        predictor: the model in PyTorch.
    """
    if read_settings(folder)["format"] == "pt2":
        assert predictor.model.config is not None, "it was built from one"
        return Predictor(build_exported(predictor.model.config, folder, "pt2"), branch=predictor.name)
    return runtime.load(folder, branch=predictor.name)


def find_all(predictor: Any, examples: Examples) -> list[Record]:
    """The records of all examples."""
    return [adopt(predictor.find(image, boxes)) for image, boxes in examples]


def adopt(record: Any) -> Record:
    """A record of the runtime as one of the toolkit."""
    kind = {one.__name__: one for one in (Objects, LabelMap, ValueMap, Category)}[type(record).__name__]
    values = record._asdict()
    if values.get("masks") is not None:
        values["masks"] = Masks(values["masks"].size_hw, values["masks"].run_lengths())
    return kind(**values)


def compare_scores(
    examples: Examples, predictor: Predictor, mine: Sequence[Record], theirs: Sequence[Record]
) -> dict[str, Any] | None:
    """The metric of both, and how many points the export loses."""
    metric = examples.metric
    scores = [examples.score(records, predictor.scheme) for records in (mine, theirs)]
    if metric is None or scores[0] is None or scores[1] is None:
        return None
    loss = (scores[1] - scores[0] if metric.best is min else scores[0] - scores[1]) * POINT
    # One image of 200 is half a point, and not 0.5000000000000004, which a budget of 0.5 would not allow.
    return {"name": metric.headline, "pytorch": scores[0], "export": scores[1], "loss": round(loss, 9)}


def compare_records(mine: Sequence[Record], theirs: Sequence[Record]) -> dict[str, float]:
    """How results differ.

    Returns:
        of points and boxes with a score of 0.1 at least how many were compared, the largest and the mean shift in
        pixels, the share that moved by more than 0.01 pixels, the share of people or objects that only one has found,
        and of masks the mean share of their pixels that changed; of label maps the share of pixels that changed; of
        numbers the largest and the mean change; of categories the share of images whose class changed, and the largest
        change of a score.
    """
    if isinstance(mine[0], LabelMap):
        changed = [(a.label_map != b.label_map).mean() for a, b in zip(mine, theirs, strict=True)]  # type: ignore[union-attr]
        return {"changed_pixels": float(np.mean(changed)), "changed_pixels_of_worst_image": float(max(changed))}
    if isinstance(mine[0], ValueMap):
        changes = [np.abs(a.values - b.values) for a, b in zip(mine, theirs, strict=True)]  # type: ignore[union-attr]
        largest, means = [one.max() for one in changes], [one.mean() for one in changes]
        return {"largest_change_of_a_number": float(max(largest)), "mean_change_of_a_number": float(np.mean(means))}
    if isinstance(mine[0], Category):
        changed = [a.label != b.label for a, b in zip(mine, theirs, strict=True)]  # type: ignore[union-attr]
        scores = [np.abs(a.class_scores - b.class_scores).max() for a, b in zip(mine, theirs, strict=True)]  # type: ignore
        return {"changed_classes": float(np.mean(changed)), "largest_change_of_a_score": float(max(scores))}
    shifts, scores, masks, missed, count = [np.zeros(0)], [np.zeros(0)], [np.zeros(0)], 0, 0
    for a, b in zip(mine, theirs, strict=True):
        assert isinstance(a, Objects) and isinstance(b, Objects) and a.scores is not None and b.scores is not None
        rows, others = _pair(a, b)
        alone = [*np.delete(a.scores, rows), *np.delete(b.scores, others)]
        missed += sum(score >= LEAST_SCORE for score in alone)
        a, b = a.select(rows), b.select(others)
        sure = np.asarray(a.scores) >= LEAST_SCORE
        a, b = a.select(sure), b.select(sure)
        count += len(a.labels)
        one, two = (
            (x.boxes_xyxy.reshape(-1, 2, 2), x.scores) if x.points is None else (x.points, x.point_scores)
            for x in (a, b)
        )
        shift = np.linalg.norm(one[0].astype(float) - two[0], axis=-1)
        shifts.append(shift.ravel() if a.point_scores is None else shift[a.point_scores >= LEAST_SCORE])
        scores.append(np.abs(np.asarray(one[1], float) - two[1]).ravel())
        if a.masks is not None and b.masks is not None:
            x, y = a.masks.draw() > 0, b.masks.draw() > 0
            masks.append((x ^ y).sum(axis=(1, 2)) / np.maximum((x | y).sum(axis=(1, 2)), 1))
    shift, score, mask = np.concatenate(shifts), np.concatenate(scores), np.concatenate(masks)
    none = not len(shift)
    return {
        "compared": len(shift),
        "largest_shift_px": 0.0 if none else float(shift.max()),
        "mean_shift_px": 0.0 if none else float(shift.mean()),
        "moved": 0.0 if none else float((shift > SAME_SHIFT).mean()),
        "found_by_one_alone": float(missed / max(count + missed, 1)),
        "largest_change_of_a_score": float(score.max(initial=0.0)),
        **({"changed_masks": float(mask.mean())} if len(mask) else {}),
    }


def _pair(a: Objects, b: Objects) -> tuple[ndarray, ndarray]:
    """Rows of the same person (of one crop, where there are crops) or object: of one class, nearest, by half at least.

    Those of the highest scores in `a` choose first.
    """
    overlaps = box_iou(torch.from_numpy(a.boxes_xyxy), torch.from_numpy(b.boxes_xyxy)).nan_to_num().numpy()
    overlaps = np.where(a.labels[:, None] == b.labels, overlaps, 0)
    pairs = []
    for row in np.argsort(-np.asarray(a.scores), kind="stable").tolist():
        if overlaps.shape[1] and overlaps[row].max() >= 0.5:
            other = int(overlaps[row].argmax())
            pairs.append((row, other))
            overlaps[:, other] = 0
    rows, others = np.array(pairs, int).reshape(-1, 2).T
    return rows, others


def network_inputs(
    predictor: Predictor, examples: Examples, most: int, taken: Mapping[str, Any]
) -> list[dict[str, ndarray]]:
    """Inputs of the network, one a time, as the examples are looked at.

    Args:
        predictor: has the view.
        examples: the images.
        most: how many inputs.
        taken: `input` of the export's settings: `dtype`, and whether it is told `sizes`.
    """
    looks = (one for image, boxes in examples for one in _look(predictor, image, boxes))
    found = []
    for one in islice(looks, most):
        batch = predictor.collate([one])
        images = batch["images"] if taken["dtype"] == "uint8" else predictor.model.data_preprocessor(batch)["images"]
        values = {IMAGES: np.ascontiguousarray(images.numpy())}
        if taken["sizes"]:
            values["sizes_hw"] = np.asarray(batch["frames"].input_hw, np.int64)
        found.append(values)
    return found


def _look(predictor: Predictor, image: ndarray, boxes: ndarray | None) -> list[Input]:
    if boxes is None:
        return [Input(0, *predictor.view(image))]
    crops = predictor.view.crops(to_xywh(boxes[:, :4]), boxes[:, :4], boxes[:, 4].astype(np.float32))
    return [Input(0, *predictor.view(image, crop)) for crop in crops]


Run = Callable[[Mapping[str, ndarray]], dict[str, ndarray]]  # a network: outputs of inputs, by name


def _networks(folder: Path, predictor: Predictor) -> tuple[Run, Run]:
    """The network in PyTorch, as it is loaded, and that of the folder: functions of inputs."""
    settings = read_settings(folder)
    names = settings.get("branches")
    network = Network(
        predictor.model, list(names or [predictor.name]), settings["input"]["dtype"] == "uint8", joint=bool(names)
    ).eval()

    @torch.inference_mode()
    def mine(inputs: Mapping[str, ndarray]) -> dict[str, ndarray]:
        found = network(**{name: torch.from_numpy(value) for name, value in inputs.items()})
        return {name: value.numpy() for name, value in found.items()}

    if settings["format"] == "pt2":
        exported = open_pt2(folder, settings)
    else:
        exported = open_network(folder, threads=torch.get_num_threads())

    def theirs(inputs: Mapping[str, ndarray]) -> dict[str, ndarray]:
        return exported.run(inputs[IMAGES], inputs.get("sizes_hw"))

    return mine, theirs


def _compare_raw(mine: Run, theirs: Run, name: str, inputs: Sequence[Mapping[str, ndarray]]) -> dict:
    largest = value = 0.0
    for one in inputs:
        a, b = mine(one)[name].astype(float), theirs(one)[name].astype(float)
        largest, value = max(largest, float(np.abs(a - b).max())), max(value, float(np.abs(a).max()))
    return {name: {"largest": largest, "relative": largest / max(value, 1e-12)}}


def compare_speed(folder: Path, predictor: Predictor, examples: Examples) -> dict[str, dict[str, float]]:
    """Milliseconds of the network in PyTorch and of an export, in turns, by batch size; see `certify`."""
    mine, theirs = _networks(folder, predictor)
    inputs = network_inputs(predictor, examples, RAW_INPUTS, read_settings(folder)["input"])
    found = {}
    alike = len({one[IMAGES].shape for one in inputs}) == 1 and inputs[0][IMAGES].shape[-1] <= 512
    for size in (1, 8) if alike else (1,):
        chosen = inputs if alike else inputs[:1]
        batch = {name: np.concatenate([one[name] for one in chosen] * size)[:size] for name in inputs[0]}
        times: dict[str, list[float]] = {"pytorch": [], "export": []}
        end = time.perf_counter() + SPEED_SECONDS
        while time.perf_counter() < end or len(times["export"]) < 4:
            for name, run in (("pytorch", mine), ("export", theirs)):  # in turns: a machine has slow moments
                started = time.perf_counter()
                run(batch)
                times[name].append(time.perf_counter() - started)
        slow, fast = (median(times[name][1:]) * 1000 for name in ("pytorch", "export"))
        found[f"batch {size}"] = {"pytorch_ms": slow, "export_ms": fast, "ratio": slow / fast}
    return found


def _judge(certificate: Certificate) -> list[str]:
    reasons = []
    metric, decoded = certificate.metric, certificate.decoded
    values = [*decoded.values(), *(one["relative"] for one in certificate.raw.values())]
    if not np.isfinite(values).all() or (metric is not None and not np.isfinite(metric["loss"])):
        reasons.append("outputs are not finite")
    if metric is not None and metric["loss"] > certificate.budget:
        name, loss = metric["name"], metric["loss"]
        reasons.append(f"{name} loses {loss:.2f} points, more than the budget of {certificate.budget:g}")
    if certificate.precision == "fp32":
        for name, one in certificate.raw.items():
            if one["relative"] > RAW_LIMIT:
                reasons.append(f"{name} differs by {one['relative']:.1e} of its largest value, more than {RAW_LIMIT:g}")
        for name in ("moved", "found_by_one_alone", "changed_masks", "changed_pixels", "changed_classes"):
            if decoded.get(name, 0.0) > MOVED_LIMIT:
                share = f"{decoded[name]:.2%}, more than {MOVED_LIMIT:.1%}"
                reasons.append(f"{name.replace('_', ' ')}: {share} of the results are not PyTorch's")
    return reasons


def _describe(predictor: Predictor, settings: Mapping[str, Any]) -> dict[str, Any]:
    packages = {"onnx": ("onnx", "onnxruntime"), "openvino": ("openvino", "nncf"), "pt2": ()}[settings["format"]]
    versions = {}
    for name in ("torch", *packages):
        with suppress(PackageNotFoundError):
            versions[name] = version(name)
    computed = {}
    if settings["format"] == "openvino" and (precision := settings["precision"]) in ("fp16", "bf16"):
        able = import_extra("openvino", "openvino").Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        fast = precision.upper() in able
        computed["computed in"] = precision if fast else f"fp32: this CPU has no instructions for {precision}"
    return {
        "hrtoolkit": settings["hrtoolkit"],
        **versions,
        **computed,
        "Python": platform.python_version(),
        "machine": f"{platform.machine()} with {torch.backends.cpu.get_cpu_capability()}",
        "threads": torch.get_num_threads(),
        "weights": str(predictor.settings.get("weights", "")),
        "SHA-256 of the weights": predictor.hash_weights(),
        EXPORT_HASH: settings["sha256"],
    }
