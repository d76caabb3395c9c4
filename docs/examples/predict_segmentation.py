"""Label every pixel of a photo: prints the share of each class, and writes the photo in the colors of its classes.

python docs/examples/predict_segmentation.py CONFIG CHECKPOINT PHOTO LABELLED.png
"""

import sys

import numpy as np
import torch

from hrtoolkit import build_model, load_checkpoint
from hrtoolkit.data.images import read_image
from hrtoolkit.data.loading import Collate
from hrtoolkit.runtime.drawing import draw
from hrtoolkit.samples import Input
from hrtoolkit.visualization import write_image


@torch.inference_mode()
def label(model, image):
    """The label map of an RGB image [H, W, 3]."""
    branch = model.branch()
    pixels, frame = branch.view(image)
    batch = model.data_preprocessor(Collate(branch.view.multiple)([Input(0, pixels, frame)]))
    return branch.finish(model(batch["images"], frames=batch["frames"], mode="predict"))


def main(config, checkpoint, photo, labelled):
    model = build_model(config).eval()
    print(load_checkpoint(model, checkpoint))
    image, scheme = read_image(photo), model.head.scheme
    record = label(model, image)
    for index in np.unique(record.label_map):
        print(f"{(record.label_map == index).mean():6.1%}  {scheme.names[index]}")
    write_image(labelled, draw(image, record, scheme))
    return record


if __name__ == "__main__":
    main(*sys.argv[1:])
