"""Faces in files of a general format: the csv of the official code, and landmarks in COCO's format."""

from __future__ import annotations

import csv
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
from hrtoolkit.tasks.face.faces import FaceDataset, Faces, landmark_boxes
from hrtoolkit.tasks.face.reading import read_each, read_image_sizes, to_numbers

from hrtoolkit.data.checks import check_images, find_owners, unpack_keypoints
from hrtoolkit.data.coco import find_category, layout_of_category, read_annotations
from hrtoolkit.data.doctor import Findings
from hrtoolkit.data.reading import find_image_folder, read_lines
from hrtoolkit.errors import DataError
from hrtoolkit.layouts import resolve_layout
from hrtoolkit.registry import DATASETS

log = logging.getLogger(__name__)


@DATASETS.register_module()
class FaceCsv(FaceDataset):
    """The csv files of the official face code: image, scale, perhaps box_size, centre, and landmarks.

    Crops start from `scale` (in units of 200 pixels); errors of AFLW are divided by `box_size`.

    Args:
        transform: crops one face.
        data_root: folder of the data set.
        ann_file: csv with a header line, below `data_root`.
        layout: "300w", "wflw", "aflw", or another scheme.
        image_dir: folder of the images, below `data_root`.
        first_pixel: what the file calls the first pixel; the official code takes its numbers as they are.
        max_outside: see `FaceDataset`.
        strict: see `FaceDataset`.

    Raises:
        DataError: the header or a line is malformed, or a landmark lies far outside its image.
    """

    def __init__(
        self,
        transform: Callable[..., dict],
        data_root: str,
        ann_file: str,
        layout: str | dict,
        image_dir: str = "images",
        first_pixel: int = 0,
        max_outside: float = 0.2,
        strict: bool = True,
    ):
        path = Path(data_root) / ann_file
        layout = resolve_layout(layout)
        (line, text), *lines = read_lines(path)
        header = [name.strip() for name in text.split(",")[:5]]
        has_box = header[2:3] == ["box_size"]
        fields = ["scale", *(["box_size"] if has_box else []), "center_w", "center_h"]
        first = 1 + len(fields)
        if header[1:first] != fields:
            raise DataError(
                f"{path}, line {line}: begins with {', '.join(header)}; expected the header of the official files: "
                "image_name, scale, perhaps box_size, center_w, center_h, and the landmarks"
            )
        columns = first + 2 * len(layout.names)

        def read(numbered: tuple[int, str]) -> tuple[Path, list[float]]:
            number, text = numbered
            try:
                (row,) = csv.reader([text], strict=True)
            except csv.Error as error:
                raise DataError(f"{path}, line {number}: {error}") from None
            if len(row) != columns or not row[0]:
                raise DataError(
                    f"{path}, line {number}: {len(row)} columns, expected {columns}: image_name, {', '.join(fields)}, "
                    f"and x and y of {len(layout.names)} landmarks"
                )
            return find_image(Path(data_root) / image_dir, row[0]), to_numbers(row[1:], f"{path}, line {number}")

        findings = Findings(path)
        lines, rows = read_each(read, lines, findings)
        images, values = [image for image, _ in rows], np.array([numbers for _, numbers in rows])
        sides = 200 * values[:, :1]
        centers, keypoints = np.split(values[:, len(fields) - 2 :] - first_pixel, [2], axis=1)
        faces = Faces(
            images,
            read_image_sizes(images),
            keypoints.reshape(len(rows), -1, 2),
            np.hstack([centers - sides / 2, sides, sides]),
            [f"{path}, line {number}" for number, _ in lines],
            box_sizes=values[:, 1] if has_box else None,
        )
        super().__init__(layout, transform, faces, findings, max_outside, strict)


@DATASETS.register_module()
class CocoFaces(FaceDataset):
    """Landmarks in COCO's keypoint format, with any number of them.

    A face's crop starts from its `center` and `scale` (in units of 200 pixels) where the file has them, as OpenMMLab's
    files do, or else from its labelled landmarks. Annotations without a labelled landmark are left out.

    Args:
        transform: crops one face.
        data_root: folder of the data set.
        ann_file: annotations, below `data_root`.
        image_dir: folder of the images, below `data_root` or below `data_root/images`.
        layout: a known scheme, or fields that complete or replace what the file's category says, such as
            `nme_reference`, which the metric needs; None takes all from the file.
        category: name of the category; None takes the only one with keypoints.
        max_outside: see `FaceDataset`.
        strict: see `FaceDataset`.

    Raises:
        DataError: the file is missing or malformed, or a landmark lies far outside its image.
    """

    def __init__(
        self,
        transform: Callable[..., dict],
        data_root: str,
        ann_file: str,
        image_dir: str = "images",
        layout: str | dict | None = None,
        category: str | None = None,
        max_outside: float = 0.2,
        strict: bool = True,
    ):
        path = Path(data_root) / ann_file
        findings = Findings(path)
        images, annotations, categories = read_annotations(path, findings)
        chosen = find_category(categories, category, path)
        layout = layout_of_category(chosen, layout, path)
        check_images(images, findings)
        owners = find_owners(images, annotations, [c["id"] for c in categories], findings)
        ids = annotations.ids
        ours = (annotations.category_ids == chosen["id"]) & (owners >= 0) & ~annotations.crowd
        positions, values = unpack_keypoints(annotations, ours, len(layout.names), findings, "landmarks")
        seen = (values[..., 2] > 0).any(axis=1)
        empty = ours & (annotations.lengths == 0)
        empty[positions[~seen]] = True
        positions, values = positions[seen], values[seen].astype(np.float64)
        findings.add("note", "annotations without a labelled landmark", ids[empty], "they are left out")
        log.info("%s: %d of %d annotations have landmarks", path, len(positions), len(ids))
        if not len(positions):
            findings.raise_stops()
            raise DataError(f"{path}: none of {len(ids)} annotations has a labelled landmark")
        visible = values[..., 2] > 0
        boxes, windows = landmark_boxes(values[..., :2], visible), annotations.windows[positions].astype(np.float64)
        stated = ~np.isnan(windows).any(axis=1)
        centers, sides = windows[stated, :2], windows[stated, 2:]
        boxes[stated] = np.hstack([centers - sides / 2, sides, sides])
        owners = owners[positions]
        folder = find_image_folder(Path(data_root), image_dir)
        faces = Faces(
            [folder / name.decode() for name in images.names[owners].tolist()],
            images.sizes[owners].astype(int),
            values[..., :2],
            boxes,
            [f"annotation {i}" for i in ids[positions].tolist()],
            visible,
            image_ids=images.ids[owners].tolist(),
        )
        super().__init__(layout, transform, faces, findings, max_outside, strict)


def find_image(folder: Path, name: str) -> Path:
    """The image of this name; 300W's `image_092 _01.jpg` stands without the blank in its csv files."""
    path = folder / name
    with_blank = path.with_name(path.name.replace("_01.", " _01."))
    return with_blank if not path.exists() and with_blank.exists() else path
