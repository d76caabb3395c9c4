"""Face alignment: 300W, WFLW, COFW, AFLW, and landmark files of one's own."""

from hrtoolkit.tasks.face import codec, formats, head, layouts, metric, releases, transforms

__all__ = ["codec", "formats", "head", "layouts", "metric", "releases", "transforms"]
