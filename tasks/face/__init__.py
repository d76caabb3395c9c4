"""Face alignment: 300W, WFLW, COFW, AFLW, and landmark files of one's own."""

from tasks.face import codec, datasets, head, layouts, metric, transforms

__all__ = ["codec", "datasets", "head", "layouts", "metric", "transforms"]
