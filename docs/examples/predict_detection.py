"""Find objects on a photo: boxes, classes and scores, and masks if the model has them.

python docs/examples/predict_detection.py CONFIG CHECKPOINT PHOTO
"""

import sys

import torch

from hrtoolkit import build_model, load_checkpoint
from hrtoolkit.data.images import read_image
from hrtoolkit.data.loading import Collate
from hrtoolkit.samples import Input


@torch.inference_mode()
def detect(model, image):
    """The objects of an RGB image [H, W, 3], best first."""
    branch = model.branch()
    pixels, frame = branch.view(image)
    batch = Collate(branch.view.multiple, branch.view.smallest)([Input(0, pixels, frame)])
    batch = model.data_preprocessor(batch)
    return branch.finish(model(batch["images"], frames=batch["frames"], mode="predict"))


def main(config, checkpoint, photo):
    model = build_model(config).eval()
    print(load_checkpoint(model, checkpoint))
    objects = detect(model, read_image(photo))
    for box, label, score in zip(objects.boxes_xyxy, objects.labels, objects.scores, strict=True):
        print(f"{model.head.scheme.names[label]} {score:.2f}", box.round(1).tolist())
    if objects.masks is not None:
        print("pixels of each mask", objects.masks.draw().sum(axis=(1, 2)).tolist())
    return objects


if __name__ == "__main__":
    main(*sys.argv[1:])
