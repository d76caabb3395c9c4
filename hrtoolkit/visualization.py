"""Pictures for people: records over their images, heatmaps, training curves, and files of them.

Convention: images are RGB uint8 [H, W, 3] and are never modified: a drawing function returns a new one.
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from hrtoolkit.errors import UserError
from hrtoolkit.files import write_atomically
from hrtoolkit.runtime.drawing import (
    copy_image,
)
from hrtoolkit.schemes import ClassScheme


def draw_heatmap(image: np.ndarray, heatmap: np.ndarray, scale: tuple[float, float]) -> np.ndarray:
    """Lay a heatmap over an image: the higher, the more opaque, from blue to red.

    Args:
        image: RGB uint8 [H, W, 3].
        heatmap: [h, w], from 0 to 1.
        scale: image pixels a cell in x and y; the first cell lies on the first pixel.
    """
    canvas = copy_image(image)
    matrix = np.array([[scale[0], 0, 0], [0, scale[1], 0]], dtype=np.float64)
    heat = cv2.warpAffine(np.asarray(heatmap, np.float32), matrix, canvas.shape[1::-1], flags=cv2.INTER_LINEAR)
    heat = np.clip(heat, 0, 1)
    colors = cv2.cvtColor(cv2.applyColorMap((255 * heat).astype(np.uint8), cv2.COLORMAP_JET), cv2.COLOR_BGR2RGB)
    opacity = heat[..., None]
    return np.rint(canvas * (1 - opacity) + colors * opacity).astype(np.uint8)


def write_image(path: str | os.PathLike, image: np.ndarray) -> None:
    """Write an RGB image in the format of the path's extension; a reader finds the old file or the whole new one.

    Raises:
        UserError: the extension names no image format, or the file cannot be written there.
    """
    path = Path(path)
    if not path.suffix or not cv2.haveImageWriter(path.name):
        raise UserError(f"{path}: images are not written in this format; end the name in .png or .jpg")
    encoded, data = cv2.imencode(path.suffix, cv2.cvtColor(copy_image(image), cv2.COLOR_RGB2BGR))
    if not encoded:
        raise UserError(f"{path}: an image of shape {list(image.shape)} cannot be stored as {path.suffix}")
    _replace_file(path, data.tobytes())


def write_label_map(path: str | os.PathLike[str], label_map: np.ndarray, scheme: ClassScheme) -> None:
    """Write a label map uint8 [H, W] as a PNG of the values that stand for the classes in files, with their colors."""
    values = scheme.decode(label_map)
    image = Image.fromarray(values)
    if values.dtype == np.uint8:
        palette = np.zeros((256, 3), np.uint8)
        palette[list(scheme.ids)] = scheme.palette
        image.putpalette(palette.ravel().tolist())
    with write_atomically(path, "wb") as file:
        image.save(file, format="PNG")


def write_value_map(path: str | os.PathLike[str], values: np.ndarray) -> None:
    """Write numbers [C, H, W] as NumPy's .npy: float32 [H, W] of one number a pixel, [H, W, C] of several."""
    data = io.BytesIO()
    numbers = values[0] if len(values) == 1 else values.transpose(1, 2, 0)
    np.save(data, np.ascontiguousarray(numbers, np.float32), allow_pickle=False)
    _replace_file(Path(path), data.getvalue())


def plot_curves(
    curves: Mapping[str, Sequence[tuple[float, float]]],
    path: str | os.PathLike,
    xlabel: str = "step",
    first: Sequence[str] = (),
    best: tuple[str, float] | None = None,
) -> None:
    """Plot each named curve in a panel of its own; what is -1 throughout (no object of that size) is left out.

    Args:
        curves: (x, y) of each; values that are not finite leave a gap.
        path: of the picture.
        xlabel: what x is; whole numbers.
        first: names of the curves that come first and large.
        best: name of a curve and the x that is marked in it.
    """
    from matplotlib.figure import Figure  # slow to import; a Figure of its own needs no display and no global state
    from matplotlib.ticker import MaxNLocator

    if not curves:
        raise ValueError(f"{path}: there is no curve to plot")
    arrays = {name: np.asarray(points, dtype=np.float64).reshape(-1, 2) for name, points in curves.items()}
    arrays = {name: points for name, points in arrays.items() if not (points[:, 1] == -1).all()} or arrays
    large = [name for name in first if name in arrays]
    small = [name for name in arrays if name not in large]
    columns = 6  # of a grid in which a large panel takes three by two, a small one two by one
    rows = 2 * -(-len(large) // 2) + -(-len(small) // 3)
    figure = Figure(figsize=(12, 2.4 * rows), layout="constrained")
    grid = figure.add_gridspec(rows, columns)
    for place, name in enumerate([*large, *small]):
        if place < len(large):
            row, column = 2 * (place // 2), 3 * (place % 2)
            spot = grid[row : row + 2, column : column + 3] if len(large) > 1 else grid[row : row + 2, :]
        else:
            row, column = divmod(place - len(large), 3)
            spot = grid[2 * -(-len(large) // 2) + row, 2 * column : 2 * column + 2]
        panel = figure.add_subplot(spot)
        x, y = arrays[name].T
        panel.plot(x, y, marker="." if len(x) < 30 else None, linewidth=1)
        title = name
        if best is not None and best[0] == name and (x == best[1]).any():
            value = y[x == best[1]][0]
            panel.plot(best[1], value, "o", color="tab:red")
            title = f"{name}, best {value:.4g} at {xlabel} {best[1]:g}"
        panel.set_title(title, fontsize=12 if place < len(large) else 9)
        panel.set_xlabel(xlabel, fontsize=8)
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        panel.tick_params(labelsize=7)
        panel.grid(alpha=0.3)
    buffer = io.BytesIO()
    figure.savefig(buffer, format=Path(path).suffix.lstrip(".") or "png", dpi=110)
    _replace_file(Path(path), buffer.getvalue())


def _replace_file(path: Path, data: bytes) -> None:
    with write_atomically(path, "wb", len(data)) as file:
        file.write(data)
