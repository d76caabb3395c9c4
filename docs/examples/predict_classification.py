"""Say what a photo shows: the five best classes and their scores.

python docs/examples/predict_classification.py CONFIG CHECKPOINT PHOTO [CLASS CLASS ...]

The names of the classes follow the photo where the config has a number of them only, such as 1000.
"""

import sys

import torch

from hrtoolkit import build_model, load_checkpoint
from hrtoolkit.data.images import read_image
from hrtoolkit.data.loading import Collate
from hrtoolkit.samples import Input


@torch.inference_mode()
def classify(model, image):
    """The class of an RGB image [H, W, 3], and all scores."""
    branch = model.branch()
    pixels, frame = branch.view(image)
    batch = model.data_preprocessor(Collate(branch.view.multiple)([Input(0, pixels, frame)]))
    return branch.finish(model(batch["images"], frames=batch["frames"], mode="predict"))


def main(config, checkpoint, photo, *names):
    model = build_model(config, names or None).eval()
    print(load_checkpoint(model, checkpoint))
    record = classify(model, read_image(photo))
    names = names or model.head.scheme.names
    for index in (-record.class_scores).argsort()[:5]:
        print(f"{record.class_scores[index]:6.1%}  {names[index]}")
    return record


if __name__ == "__main__":
    main(*sys.argv[1:])
