"""Predict with this exported model, without PyTorch.

    pip install numpy opencv-python-headless onnxruntime   # openvino instead, where there is a model.xml
    python predict.py photo.jpg --out drawings

A line of json a picture goes to the standard output; of a model with several branches it has what each found by its
name. Of use as a library, `load(folder)` gives a predictor, or `load_joint(folder)` one of several branches.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

import cv2
from hrtoolkit_runtime import JointPredictor, Prediction, Predictor, Source, load, load_joint
from hrtoolkit_runtime.errors import UserError
from hrtoolkit_runtime.network import read_views


def main() -> int:
    """Parse the command line, predict, and say by the exit code whether everything could be read."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", nargs="+", help="pictures, videos, folders, patterns; or the number of one camera")
    parser.add_argument("--out", type=Path, help="folder for drawings of what was found")
    parser.add_argument(
        "--boxes", help="where people or faces are: a json file {name: [[x1, y1, x2, y2], ...]}, or whole"
    )
    parser.add_argument(
        "--detector",
        help="what finds them: the folder of an exported detector, or YuNet's .onnx; of several branches one's name",
    )
    arguments = parser.parse_args()
    failed = []

    def tell(source: Source, error: UserError) -> None:
        failed.append(source)
        print(error, file=sys.stderr)

    try:
        folder, boxes = Path(__file__).parent, arguments.boxes
        several = read_views(folder) is not None
        predictor: Predictor | JointPredictor = (load_joint if several else load)(folder, detector=arguments.detector)
        if isinstance(predictor, Predictor) and predictor.sees_crops and boxes is None and arguments.detector is None:
            boxes = "whole"
            print("looking at whole pictures: --boxes or --detector say where people or faces are", file=sys.stderr)
        source = arguments.source[0] if len(arguments.source) == 1 else arguments.source
        for found in predictor(source, boxes=boxes, on_failure=tell):
            by_branch = found if isinstance(found, dict) else {"": found}
            told = {name: prediction.to_dict() for name, prediction in by_branch.items()}
            print(json.dumps(told if several else told[""]), flush=True)
            for name, prediction in by_branch.items() if arguments.out is not None else ():
                write_drawing(prediction, arguments.out / name)
    except UserError as error:
        print(error, file=sys.stderr)
        return 1
    except BrokenPipeError:  # whoever reads the lines has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1 if failed else 0


def write_drawing(prediction: Prediction, folder: Path) -> None:
    """Write what was found over its picture, into a file that is called like it."""
    folder.mkdir(parents=True, exist_ok=True)
    frame = "" if prediction.source.frame is None else f"_{prediction.source.frame:06d}"
    name = prediction.source.name.replace("/", "_").replace("\\", "_").strip("_") + frame + ".png"
    png = cv2.imencode(".png", cv2.cvtColor(prediction.draw(), cv2.COLOR_RGB2BGR))[1]
    (folder / name).write_bytes(png.tobytes())


if __name__ == "__main__":
    sys.exit(main())
