"""Annotations of labelling tools, read into pictures and what is annotated in them: one module a format.

The order is that in which formats are asked whether a file is theirs.
"""

from hrtoolkit.importers import (
    coco,
    cvat,
    darwin,
    deeplabcut,
    dlib,
    fiftyone,
    label_studio,
    labelme,
    openpose,
    pts,
    sleap,
    supervisely,
    tables,
    via,
    voc,
    yolo,
)
from hrtoolkit.importers.convert import Imported, import_annotations
from hrtoolkit.importers.formats import FORMATS

__all__ = [
    "FORMATS",
    "Imported",
    "coco",
    "cvat",
    "darwin",
    "deeplabcut",
    "dlib",
    "fiftyone",
    "import_annotations",
    "label_studio",
    "labelme",
    "openpose",
    "pts",
    "sleap",
    "supervisely",
    "tables",
    "via",
    "voc",
    "yolo",
]
