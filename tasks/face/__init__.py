"""Face alignment: 300W, WFLW, COFW, AFLW, and landmark files of one's own."""

from tasks.face import layouts

__all__ = ["layouts"]
