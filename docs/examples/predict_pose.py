"""Predict the poses of people on a photo, around boxes that you give (x1 y1 x2 y2 in pixels, one person after another).

python docs/examples/predict_pose.py CONFIG CHECKPOINT PHOTO 30 20 80 100 ...
"""

import sys

import numpy as np
import torch

from hrtoolkit import build_model, load_checkpoint
from hrtoolkit.data.images import read_image
from hrtoolkit.data.loading import Collate
from hrtoolkit.runtime.geometry import to_xywh
from hrtoolkit.samples import Input


@torch.inference_mode()
def find_poses(model, image, boxes_xyxy):
    """The people of an RGB image [H, W, 3], best first; one at each of the boxes [N, 4] at most."""
    branch, boxes = model.branch(), np.asarray(boxes_xyxy, np.float64)
    crops = branch.view.crops(to_xywh(boxes), boxes, np.ones(len(boxes)))
    inputs = [Input(i, *branch.view(image, crop)) for i, crop in enumerate(crops)]
    batch = model.data_preprocessor(Collate()(inputs))
    return branch.finish(model(batch["images"], frames=batch["frames"], mode="predict"))


def main(config, checkpoint, photo, *numbers):
    model = build_model(config).eval()
    print(load_checkpoint(model, checkpoint))
    people = find_poses(model, read_image(photo), np.array(numbers, np.float64).reshape(-1, 4))
    for score, points, point_scores in zip(people.scores, people.points, people.point_scores, strict=True):
        print(f"a person, score {score:.2f}")
        for name, (x, y), point_score in zip(model.head.scheme.names, points, point_scores, strict=True):
            print(f"  {name:16} {x:7.1f} {y:7.1f} {point_score:5.2f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
