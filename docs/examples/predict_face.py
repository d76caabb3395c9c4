"""Predict the landmarks of faces on a photo, around boxes that you give (x1 y1 x2 y2 in pixels, one after another).

python docs/examples/predict_face.py CONFIG CHECKPOINT PHOTO 40 30 160 140 ...
"""

import sys

import numpy as np
import torch

from hrtoolkit import build_model, load_checkpoint
from hrtoolkit.data.images import read_image
from hrtoolkit.data.loading import Collate
from hrtoolkit.keypoints.samples import square_windows
from hrtoolkit.samples import Input


@torch.inference_mode()
def find_landmarks(model, image, boxes_xyxy):
    """The faces of an RGB image [H, W, 3], one at each of the boxes [N, 4] around their landmarks."""
    branch, boxes = model.branch(), np.asarray(boxes_xyxy, np.float64)
    windows = square_windows((boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]).max(axis=1))
    crops = branch.view.crops(windows, boxes, np.ones(len(boxes)))
    inputs = [Input(i, *branch.view(image, crop)) for i, crop in enumerate(crops)]
    batch = model.data_preprocessor(Collate()(inputs))
    return branch.finish(model(batch["images"], frames=batch["frames"], mode="predict"))


def main(config, checkpoint, photo, *numbers):
    model = build_model(config).eval()
    print(load_checkpoint(model, checkpoint))
    faces = find_landmarks(model, read_image(photo), np.array(numbers, np.float64).reshape(-1, 4))
    for points in faces.points:
        for name, (x, y) in zip(model.head.scheme.names, points, strict=True):
            print(f"{name:20} {x:7.1f} {y:7.1f}")
    return faces


if __name__ == "__main__":
    main(*sys.argv[1:])
