"""Pictures that are in memory already, as RGB uint8 [H, W, 3]: arrays and tensors, PIL images, frames of animations."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator

import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from hrtoolkit.data.images import DAMAGE, to_rgb
from hrtoolkit.errors import DataError
from hrtoolkit.predict.video import Frame

logger = logging.getLogger(__name__)
REDUCED = 1  # of TIFF's NewSubfileType: a smaller copy of another page
SUBFILE_TYPE = 254  # TIFF's tag
USUAL_DURATION = 100  # milliseconds, where a frame says none: what browsers show


def pil_to_rgb(picture: Image.Image, name: str) -> np.ndarray:
    """Make RGB uint8 [H, W, 3] of a PIL image of any mode, upright as its EXIF says; of an animation, what it shows.

    Raises:
        DataError: it is empty, its file is broken, or its values are floats or of 32 bits.
    """
    try:
        if not picture.width * picture.height:
            raise DataError(f"{name}: an empty picture ({picture.width} x {picture.height})")
        if picture.mode == "LAB":  # which Pillow converts by a color profile alone
            from PIL import ImageCms

            lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
            picture = ImageCms.profileToProfile(picture, lab, srgb, outputMode="RGB") or picture
        return to_rgb(picture, name, upright=True)
    except DAMAGE as error:
        raise DataError(f"{name}: the picture cannot be read ({error})") from None


def read_frames(picture: Image.Image, name: str) -> Iterator[Frame]:
    """Read the frames of an animation, or the pages of a TIFF, one by one; what cannot be read is said by one warning.

    Args:
        picture: opened from a file.
        name: what messages call it.

    Raises:
        DataError: not one frame can be read.
    """
    paged = isinstance(picture, TiffImageFile)
    promised = count_frames_of(picture)
    time, shown, reason = 0, 0, ""
    # The picture that an APNG holds for viewers that show no animation is not one of its frames.
    first = 1 if getattr(picture, "default_image", False) else 0
    for place in itertools.count(first):
        try:
            picture.seek(place)
            image = to_rgb(picture, name, upright=True)
            left_out = isinstance(picture, TiffImageFile) and int(picture.tag_v2.get(SUBFILE_TYPE, 0)) & REDUCED
        except (*DAMAGE, DataError) as error:
            if promised and place >= promised:
                break
            reason = f"{type(error).__name__}: {error}"
            if paged and promised:
                continue
            break  # the next frames are changes of this one
        if left_out:
            continue
        yield Frame(place - first, None if paged else time / 1000, image)
        shown += 1
        time += picture.info.get("duration") or USUAL_DURATION
    total = f"{promised - first}" if promised else "an unknown number of"
    noun = "pages" if paged else "frames"
    if not shown:
        raise DataError(f"{name}: not one of {total} {noun} can be read ({reason})")
    if reason:
        logger.warning("%s: %d of %s %s could be read (%s)", name, shown, total, noun, reason)


def count_frames_of(picture: Image.Image) -> int | None:
    """How many frames or pages the file of a PIL image has; None where it is too damaged to tell."""
    try:
        return getattr(picture, "n_frames", 1)
    except DAMAGE:
        return None
