"""Export trained models in every form, and make the table of docs/exports.md: accuracy, pixels, speed, size.

python -m benchmarks.exports pose=work_dirs/pose/hrnet_toy/best.pth=data/toy face=...

Each argument is a name, a checkpoint and its data. Times are of the network, in turns with PyTorch's, of one image; the
compiled form is that of `--compile`. The folders stay in --work; what is there already is not made again.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from statistics import median

import torch

from benchmarks.benchmark import describe_machine
from hrtoolkit.engine.runner import start_logging
from hrtoolkit.errors import UserError
from hrtoolkit.export.certificate import network_inputs
from hrtoolkit.export.data import load_with_data
from hrtoolkit.export.folder import MODEL_FILES, Format, Precision
from hrtoolkit.export.graph import Network
from hrtoolkit.export.run import CALIBRATION, export_model
from hrtoolkit.files import write_atomically
from hrtoolkit.predict.predictor import Predictor
from hrtoolkit.runtime.network import model_files
from hrtoolkit.speed import compile_blocks, fold

FORMS: list[tuple[Format, Precision]] = [
    ("onnx", "fp32"),
    ("openvino", "fp32"),
    ("pt2", "fp32"),
    ("openvino", "bf16"),
    ("pt2", "bf16"),
    ("onnx", "int8"),
    ("openvino", "int8"),
]
ROUNDS = 15


def main() -> None:
    """Parse the command line, export, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="NAME=CHECKPOINT=DATA")
    parser.add_argument("--work", type=Path, default=Path("work_dirs/exports"))
    parser.add_argument("--out", type=Path, default=Path("docs/exports.md"))
    parser.add_argument("--samples", type=int, default=200)
    args = parser.parse_args()
    start_logging()
    rows: list[dict] = []
    for one in args.models:
        name, checkpoint, data = one.split("=", 2)
        rows += rows_of_model(name, checkpoint, data, args.work, args.samples)
        with write_atomically(args.out) as file:
            file.write(to_markdown(rows))


def rows_of_model(task: str, checkpoint: str, data: str, work: Path, samples: int) -> list[dict]:
    """A row a form of one model."""
    predictor, examples, calibration = load_with_data(checkpoint, data_root=data, most=samples, calibration=CALIBRATION)
    taken = {"dtype": "float32", "sizes": predictor.branch.head.reads_sizes}
    inputs = network_inputs(predictor, examples, 1, taken)[0]
    compiled = None
    rows = []
    for form, precision in FORMS:
        if precision == "bf16" and not torch.cpu._is_avx512_bf16_supported():
            continue
        folder = work / task / f"{form}_{precision}"
        try:
            if not (folder / "certificate.json").exists():
                export_model(predictor, folder, examples, format=form, precision=precision, calibration=calibration)
        except UserError as error:
            print(f"{task}, {form}, {precision}: {error}")
            continue
        if compiled is None:
            compiled = time_compiled(predictor, inputs)
        told = json.loads((folder / "certificate.json").read_text(encoding="utf-8"))
        size = sum(file.stat().st_size for file in model_files(folder, MODEL_FILES[told["format"]]))
        rows.append({"task": task, "size": size / 1e6, "compiled": compiled, **told})
    return rows


@torch.inference_mode()
def time_compiled(predictor: Predictor, inputs: dict) -> float:
    """How many times as fast as PyTorch the compiled form is, in turns."""
    given = {name: torch.from_numpy(value) for name, value in inputs.items()}
    plain = Network(predictor.model, [predictor.name], normalise=False).eval()
    fast = fold(predictor.model)
    compile_blocks(fast.backbone)
    quick = Network(fast, [predictor.name], normalise=False).eval()
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS + 1):
        for run, taken in zip((plain, quick), times, strict=True):
            started = time.perf_counter()
            run(**given)
            taken.append(time.perf_counter() - started)
    return median(times[0][1:]) / median(times[1][1:])


def to_markdown(rows: list[dict]) -> str:
    """The page."""
    lines = [
        "# Exports in numbers",
        "",
        "Small models that were trained on what the toolkit draws itself, each exported in every form and held against",
        "PyTorch on held-out images by its [certificate](export.md). `python -m benchmarks.exports` makes this page.",
        "",
        f"Machine: {', '.join(f'{name} {value}' for name, value in describe_machine().items())}. Times are of the",
        "network, of one image; *eager* is PyTorch with the model as it is loaded, *compiled* the form of `--compile`.",
        "",
        "| task | form | metric | PyTorch | export | largest change | times eager | times compiled | MB |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        metric, speed = row["metric"], row["speed"]["batch 1"]["ratio"]
        cells = [
            row["task"],
            f"{row['format']} {row['precision']}" + ("" if row["passed"] else " (does not hold)"),
            metric["name"],
            f"{metric['pytorch']:.4f}",
            f"{metric['export']:.4f}",
            largest_change(row["decoded"]),
            f"{speed:.2f}",
            f"{speed / row['compiled']:.2f}",
            f"{row['size']:.1f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    kept = [f"{row['task']}, {row['format']}: {', '.join(row['kept'])}" for row in rows if row["kept"]]
    if kept:
        lines += ["", "Left in float32 by int8: " + "; ".join(kept) + "."]
    return "\n".join([*lines, ""])


def largest_change(decoded: dict) -> str:
    """What changed most, in the task's own terms."""
    if "largest_shift_px" in decoded:
        return f"{decoded['largest_shift_px']:.2g} px (mean {decoded['mean_shift_px']:.2g})"
    if "changed_pixels" in decoded:
        return f"{decoded['changed_pixels']:.2%} of the pixels"
    return f"{decoded['changed_classes']:.2%} of the classes"


if __name__ == "__main__":
    main()
