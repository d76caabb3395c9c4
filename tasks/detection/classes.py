"""Names of the classes of the public data sets, in the order of their labels."""

from __future__ import annotations

from collections.abc import Sequence

COCO = (
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light",
    "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow", "elephant",
    "bear", "zebra", "giraffe", "backpack", "umbrella", "handbag", "tie", "suitcase", "frisbee", "skis", "snowboard",
    "sports ball", "kite", "baseball bat", "baseball glove", "skateboard", "surfboard", "tennis racket", "bottle",
    "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple", "sandwich", "orange", "broccoli",
    "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch", "potted plant", "bed", "dining table", "toilet",
    "tv", "laptop", "mouse", "remote", "keyboard", "cell phone", "microwave", "oven", "toaster", "sink",
    "refrigerator", "book", "clock", "vase", "scissors", "teddy bear", "hair drier", "toothbrush",
)  # fmt: skip
VOC = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog",
    "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip
KNOWN = {"coco": COCO, "voc": VOC}


def resolve_classes(classes: str | Sequence[str]) -> tuple[str, ...]:
    """Class names from "coco", "voc", or the names themselves.

    Raises:
        ValueError: the name stands for no list, or a class is named twice.
    """
    if isinstance(classes, str):
        if classes not in KNOWN:
            raise ValueError(f"classes should be a list of names or one of {sorted(KNOWN)}, got {classes!r}")
        return KNOWN[classes]
    names = tuple(classes)
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"classes: {repeated} are named more than once")
    if not names:
        raise ValueError("classes: the list is empty")
    return names
