"""The toy world: drawn people and faces in the formats of the benchmarks, to try everything without a download."""

from hrtoolkit.toy.faces import write_faces
from hrtoolkit.toy.files import write_classes, write_coco

__all__ = ["write_classes", "write_coco", "write_faces"]
