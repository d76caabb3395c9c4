"""Face alignment: 300W, WFLW, COFW, AFLW, and landmark files of one's own."""

from tasks.face import head, layouts, metric

__all__ = ["head", "layouts", "metric"]
