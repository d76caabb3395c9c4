"""Faces: the releases of 300W, WFLW, COFW and AFLW, the csv files of the official code, and COCO's format.

Convention: keypoints are (x, y) in pixels counted from 0. Releases that count from 1 say so by `first_pixel`; the
official code takes every number as it is, which `first_pixel=0` repeats.
"""

from __future__ import annotations

import csv
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy import ndarray

from hrtoolkit.data.coco import (
    Faults,
    count_keypoints,
    find_categories,
    pack_key,
    read_annotations,
    scheme_of_categories,
    unpack_keys,
)
from hrtoolkit.data.coco_parts import read_parts
from hrtoolkit.data.foreign import refusal
from hrtoolkit.data.listing import leave_out_system_files
from hrtoolkit.data.mat import read_mat
from hrtoolkit.data.pts import read_pts, to_numbers
from hrtoolkit.data.reading import find_image_folder, read_lines
from hrtoolkit.errors import DataError, OptionError
from hrtoolkit.findings import Findings
from hrtoolkit.keypoints.checks import (
    check_images,
    check_lengths,
    check_pairs,
    check_symmetry,
    find_owners,
    unpack_keypoints,
)
from hrtoolkit.keypoints.samples import (
    KeypointSamples,
    People,
    crops_of_samples,
    encode_paths,
    square_windows,
)
from hrtoolkit.registry import DATASETS
from hrtoolkit.runtime.geometry import to_xywh, to_xyxy
from hrtoolkit.samples import Crops, Images
from hrtoolkit.schemes import KeypointScheme, SchemeLike, resolve_scheme
from hrtoolkit.schemes.faces import AFLW_19, COFW_29, IBUG_68, WFLW_98
from hrtoolkit.tasks.face.checks import Faces, check_faces, keypoint_boxes
from hrtoolkit.tasks.face.reading import (
    CofwFile,
    find_image_beside,
    read_each,
    read_image_sizes,
)

log = logging.getLogger(__name__)


class FaceSamples(KeypointSamples):
    """Faces, of which each is a sample, those of an image side by side; a subclass reads one annotation format.

    Args:
        scheme: of the keypoints.
        faces: in the order of the files.
        findings: what was wrong while they were read.
        max_outside: how far outside its image a landmark may lie, as a fraction of its face's box; what lies further
            out stops training, what lies outside at all is a warning.
        faults: "stop" refuses a file with faulty faces, "drop" leaves them out and warns.

    Raises:
        DataError: no face is usable.
    """

    told: tuple[str, ...] = ()

    def __init__(
        self, *, scheme: KeypointScheme, faces: Faces, findings: Findings, max_outside: float, faults: Faults = "stop"
    ):
        visible = np.ones(faces.keypoints.shape[:2], bool) if faces.visible is None else faces.visible
        usable = check_faces(faces, visible, max_outside, findings, faults)
        check_pairs(scheme, findings)
        check_symmetry(faces.keypoints[usable], visible[usable], scheme, findings)
        if not usable.any():
            findings.raise_stops()
        ids = [str(image) for image in faces.images] if faces.image_ids is None else faces.image_ids
        first = {image: place for place, image in reversed(list(enumerate(ids)))}
        rows = np.argsort([first[image] for image in ids], kind="stable")
        self.rows = rows = rows[usable[rows]]  # where each stands among the faces as read
        ids = np.array(ids)[rows]
        boxes, visible = faces.boxes[rows], visible[rows]
        points = np.where(visible[..., None], faces.keypoints[rows], 0).astype(np.float32)
        sides = boxes[:, 2:].astype(np.float32).max(axis=1)
        self._windows = square_windows(boxes[:, :2] + boxes[:, 2:] / 2, sides)
        sizes = sides.astype(np.float64) if faces.box_sizes is None else faces.box_sizes[rows]
        if scheme.nme_reference != "box":
            sizes = _reference_sizes(scheme, points, visible)
        if sizes is not None:
            what = "faces without a size to divide their error by (both keypoints of `nme_reference` must be labelled)"
            findings.add("note", what, ids[~(sizes > 0)], "they can be trained on, but not scored")
        super().__init__(
            scheme=scheme,
            # Where annotations do not tell sizes, they are those of the files, and no image is held against them.
            images=Images(
                encode_paths(faces.images[row] for row in rows),
                ids,
                np.zeros((len(rows), 2)) if faces.image_ids is None else faces.image_sizes[rows],
            ),
            people=People(to_xyxy(boxes.astype(np.float64)), points, visible.astype(np.uint8), sizes=sizes),
            findings=findings,
            subsets={name: np.asarray(chosen, bool)[rows] for name, chosen in (faces.subsets or {}).items()},
        )

    def crops(self) -> Crops:
        assert self.people is not None
        return crops_of_samples(self._windows, self.people.boxes_xyxy)


def _reference_sizes(scheme: KeypointScheme, points: ndarray, visible: ndarray) -> ndarray | None:
    """Distances [N] between the two keypoints that errors are divided by; 0 where one is not labelled."""
    if not scheme.nme_reference:
        return None
    pair = [scheme.names.index(name) for name in scheme.nme_reference]
    first, second = points[:, pair].astype(np.float64).swapaxes(0, 1)
    return np.where(visible[:, pair].all(axis=1), np.linalg.norm(first - second, axis=-1), 0.0)


@DATASETS.register_module()
class Face300W(FaceSamples):
    """300W: one .pts file of 68 landmarks beside each image (Sagonas et al., ICCV Workshops 2013).

    Args:
        data_root: folder that holds afw, helen, lfpw, ibug, and 01_Indoor and 02_Outdoor (perhaps below Test).
        folders: a split ("train", "common", "challenge", "full" or "test"), or folders of .pts files below `data_root`,
            which come first where a folder is called like a split.
        first_pixel: what the files call the first pixel.
        max_outside: see `FaceSamples`.
        faults: see `FaceSamples`.

    Raises:
        DataError: a folder is missing or empty, or no face is usable.
    """

    how_to_get = (
        "300W is at https://ibug.doc.ic.ac.uk/resources/facial-point-annotations; afw, helen, lfpw and ibug belong "
        "side by side in one folder, which --data-root names"
    )
    SPLITS = {  # noqa: RUF012 (read only)
        "train": ("afw", "helen/trainset", "lfpw/trainset"),
        "common": ("helen/testset", "lfpw/testset"),
        "challenge": ("ibug",),
        "full": ("helen/testset", "lfpw/testset", "ibug"),
        "test": ("01_Indoor", "02_Outdoor"),
    }
    SUBSETS = {  # noqa: RUF012 (read only)
        "common": ("helen/testset", "lfpw/testset"),
        "challenge": ("ibug",),
        "indoor": ("01_Indoor",),
        "outdoor": ("02_Outdoor",),
    }

    def __init__(
        self,
        *,
        data_root: str,
        folders: str | Sequence[str] = "train",
        first_pixel: int = 1,
        max_outside: float = 0.2,
        faults: Faults = "stop",
    ):
        root = Path(data_root)
        names = (folders,) if isinstance(folders, str) else tuple(folders)
        if isinstance(folders, str) and folders in self.SPLITS and not any((root / folders).glob("*.pts")):
            names = self.SPLITS[folders]
        findings = Findings(root)
        owners: dict[Path, str] = {}
        files: list[Path] = []
        for name, folder in zip(names, _find_folders(root, names), strict=True):
            found = leave_out_system_files(sorted(folder.glob("*.pts")), findings)
            if not found:
                raise DataError(f"{folder}: holds no .pts files")
            files += found
            owners |= dict.fromkeys(found, Path(name).as_posix().removeprefix("Test/"))

        def read(path: Path) -> tuple[ndarray, Path]:
            return read_pts(path, len(IBUG_68.names)) - first_pixel, find_image_beside(path)

        files, read_faces = read_each(read, files, findings, faults)
        keypoints, images = np.stack([points for points, _ in read_faces]), [image for _, image in read_faces]
        subsets = {name: np.isin([owners[path] for path in files], list(of)) for name, of in self.SUBSETS.items()}
        faces = Faces(
            images,
            read_image_sizes(images),
            keypoints,
            keypoint_boxes(keypoints),
            [str(path) for path in files],
            # A split of one part needs no row of its own.
            subsets={name: chosen for name, chosen in subsets.items() if chosen.any() and not chosen.all()},
        )
        super().__init__(scheme=IBUG_68, faces=faces, findings=findings, max_outside=max_outside, faults=faults)


@DATASETS.register_module()
class WFLW(FaceSamples):
    """WFLW: a list of faces with 98 landmarks and six attributes (Wu et al., CVPR 2018).

    A line has 207 columns: x and y of the landmarks, a rectangle (it cuts faces off and is not used), the attributes,
    and the image. Faces that have an attribute are a subset; a face may be in several.

    Args:
        data_root: folder that holds WFLW_annotations and WFLW_images.
        ann_file: list_98pt_rect_attr_train.txt or list_98pt_rect_attr_test.txt, below `data_root`.
        image_dir: folder of the images, below `data_root`.
        max_outside: see `FaceSamples`.
        faults: see `FaceSamples`.

    Raises:
        DataError: the list cannot be read, or no face is usable.
    """

    how_to_get = (
        "WFLW is at https://wywu.github.io/projects/LAB/WFLW.html: WFLW_images and WFLW_annotations belong side by "
        "side in one folder, which --data-root names"
    )
    ATTRIBUTES = ("pose", "expression", "illumination", "makeup", "occlusion", "blur")

    def __init__(
        self,
        *,
        data_root: str,
        ann_file: str,
        image_dir: str = "WFLW_images",
        max_outside: float = 0.2,
        faults: Faults = "stop",
    ):
        path = Path(data_root) / ann_file
        count = 2 * len(WFLW_98.names)
        columns = count + 4 + len(self.ATTRIBUTES) + 1

        def read(numbered: tuple[int, str]) -> tuple[list[float], list[bool], Path]:
            number, line = numbered
            row = line.split()
            if len(row) != columns:
                raise DataError(
                    f"{path}, line {number}: {len(row)} columns, expected {columns}: {count} coordinates, 4 numbers of "
                    f"the rectangle, the attributes {', '.join(self.ATTRIBUTES)}, and the image; take the "
                    "list_98pt_rect_attr_*.txt of the release"
                )
            for name, flag in zip(self.ATTRIBUTES, row[-7:-1], strict=True):
                if flag not in ("0", "1"):
                    raise DataError(f"{path}, line {number}: the attribute {name} is {flag!r}, expected 0 or 1")
            coordinates = to_numbers(row[:count], f"{path}, line {number}")
            return coordinates, [flag == "1" for flag in row[-7:-1]], Path(data_root) / image_dir / row[-1]

        findings, lines = Findings(path), read_lines(path)
        if len(lines[0][1].split()) != columns and (error := refusal(path, "YOLO's format")):
            raise error
        lines, rows = read_each(read, lines, findings, faults)
        coordinates, flags, images = zip(*rows, strict=True)
        keypoints = np.array(coordinates).reshape(len(rows), -1, 2)
        faces = Faces(
            images,
            read_image_sizes(images),
            keypoints,
            keypoint_boxes(keypoints),
            [f"{path}, line {number}" for number, _ in lines],
            subsets=dict(zip(self.ATTRIBUTES, np.array(flags).T, strict=True)),
        )
        super().__init__(scheme=WFLW_98, faces=faces, findings=findings, max_outside=max_outside, faults=faults)


@DATASETS.register_module()
class COFW(FaceSamples):
    """COFW: images and 29 landmarks in one MATLAB file of version 7.3, which is HDF5.

    Burgos-Artizzu et al., ICCV 2013. Landmarks count whether they are occluded or not.

    Args:
        data_root: folder of the files.
        ann_file: COFW_train_color.mat or COFW_test_color.mat, below `data_root`.
        first_pixel: what the file calls the first pixel.
        max_outside: see `FaceSamples`.
        faults: see `FaceSamples`.

    Raises:
        DataError: the file is missing, is not HDF5, or lacks a variable, or no face is usable.
        UserError: h5py is not installed.
    """

    how_to_get = (
        "COFW is at https://data.caltech.edu/records/bc0bf-nc666: COFW_train_color.mat and COFW_test_color.mat in one "
        "folder, which --data-root names"
    )

    def __init__(
        self, *, data_root: str, ann_file: str, first_pixel: int = 1, max_outside: float = 0.2, faults: Faults = "stop"
    ):
        path = Path(data_root) / ann_file
        self._file = CofwFile(path)
        keypoints = self._file.keypoints(len(COFW_29.names)) - first_pixel
        names = [f"{path}, image {i + 1}" for i in range(len(keypoints))]
        faces = Faces(
            [""] * len(names),
            np.array([self._file.size(i) for i in range(len(names))]),
            keypoints,
            keypoint_boxes(keypoints),
            names,
            image_ids=names,
        )
        super().__init__(scheme=COFW_29, faces=faces, findings=Findings(path), max_outside=max_outside, faults=faults)

    def read(self, sample: int) -> ndarray:
        return self._file.read(int(self.rows[sample]))


@DATASETS.register_module()
class AFLW(FaceSamples):
    """AFLW with 19 landmarks, of which the hidden ones are annotated too (Zhu et al., CVPR 2016).

    The faces that show all 19 are the subset "frontal"; how the published 1,314 frontal faces were chosen is not known.

    Args:
        data_root: folder of the data set.
        split: "train", the first 20,000 faces in the file's own order `ra`, or "test", the other 4,386.
        ann_file: AFLWinfo_release.mat, below `data_root`.
        image_dir: folder of the images, below `data_root`.
        max_outside: see `FaceSamples`; more than in other releases, because hidden landmarks of faces that the image
            cuts off are guesses.
        faults: see `FaceSamples`.

    Raises:
        DataError: the file is missing or malformed, or no face is usable.
        OptionError: an unknown split.
    """

    how_to_get = (
        "AFLWinfo_release.mat is at https://mmlab.ie.cuhk.edu.hk/projects/compositional.html, the images on request at "
        "TU Graz (data/flickr); --data-root names the folder that holds both"
    )
    TRAINING = 20_000

    def __init__(
        self,
        *,
        data_root: str,
        split: Literal["train", "test"] = "train",
        ann_file: str = "AFLWinfo_release.mat",
        image_dir: str = "data/flickr",
        max_outside: float = 0.5,
        faults: Faults = "stop",
    ):
        path = Path(data_root) / ann_file
        if split not in ("train", "test"):
            raise OptionError(f"AFLW: split is {split!r}, expected 'train' or 'test'")
        content = _read_aflw(path)
        order = content["ra"].ravel().astype(int) - 1
        chosen = order[: self.TRAINING] if split == "train" else order[self.TRAINING :]
        if not len(chosen):
            raise DataError(
                f"{path}: holds {len(order)} faces, none of them for {split} (training takes {self.TRAINING})"
            )
        left, right, top, bottom = content["bbox"][chosen].astype(np.float64).T
        names = ["".join(map(str, np.ravel(name))) for name in content["nameList"][chosen].ravel()]
        if "" in names:
            raise DataError(f"{path}: nameList has no name for face {chosen[names.index('')] + 1}")
        images = [Path(data_root) / image_dir / name for name in names]
        faces = Faces(
            images,
            read_image_sizes(images),
            content["data"][chosen].astype(np.float64).reshape(len(chosen), 2, -1).swapaxes(1, 2),
            np.stack([left, top, right - left, bottom - top], axis=1),
            [f"{path}, face {i + 1}" for i in chosen],
            subsets={"frontal": (content["mask_new"][chosen] == 1).all(axis=1)},
        )
        super().__init__(scheme=AFLW_19, faces=faces, findings=Findings(path), max_outside=max_outside, faults=faults)


def _read_aflw(path: Path) -> dict[str, ndarray]:
    """The variables of AFLWinfo_release.mat.

    Raises:
        DataError: it is missing, damaged, or lacks a variable.
    """
    content = read_mat(path)
    if missing := {"nameList", "bbox", "data", "mask_new", "ra"} - content.keys():
        raise DataError(f"{path}: lacks {', '.join(sorted(missing))}; take AFLWinfo_release.mat of the release")
    count, number = len(AFLW_19.names), len(content["nameList"])
    for name, shape in (("bbox", (number, 4)), ("data", (number, 2 * count)), ("mask_new", (number, count))):
        found = content[name]
        if found.shape != shape or found.dtype.kind not in "iufb":
            raise DataError(f"{path}: {name} is {list(found.shape)}, expected {list(shape)} numbers")
    if content["ra"].dtype.kind not in "iuf":
        raise DataError(f"{path}: ra holds no numbers")
    if not np.array_equal(np.sort(content["ra"].ravel().astype(int)), np.arange(1, number + 1)):
        raise DataError(f"{path}: ra is no order of the {number} faces, counted from 1")
    return content


@DATASETS.register_module()
class FaceCsv(FaceSamples):
    """The csv files of the official face code: image, scale, perhaps box_size, centre, and landmarks.

    Crops start from `scale` (in units of 200 pixels); errors of AFLW are divided by `box_size`.

    Args:
        data_root: folder of the data set.
        ann_file: csv with a header line, below `data_root`.
        scheme: "300w", "wflw", "aflw", or another one; by default the model's.
        image_dir: folder of the images, below `data_root`.
        first_pixel: what the file calls the first pixel; the official code takes its numbers as they are.
        max_outside: see `FaceSamples`.
        faults: see `FaceSamples`.

    Raises:
        DataError: the header is malformed, or no face is usable.
    """

    told: tuple[str, ...] = ("scheme",)

    def __init__(
        self,
        *,
        data_root: str,
        ann_file: str,
        scheme: SchemeLike | None = None,
        image_dir: str = "images",
        first_pixel: int = 0,
        max_outside: float = 0.2,
        faults: Faults = "stop",
    ):
        path = Path(data_root) / ann_file
        landmarks = resolve_scheme(scheme, KeypointScheme)
        (line, text), *lines = read_lines(path)
        header = [name.strip() for name in text.split(",")[:5]]
        fields = ["scale", *(["box_size"] if header[2:3] == ["box_size"] else []), "center_w", "center_h"]
        if header[1 : 1 + len(fields)] != fields:
            raise refusal(path, "a table") or DataError(
                f"{path}, line {line}: begins with {', '.join(header)}; expected the header of the official files: "
                "image_name, scale, perhaps box_size, center_w, center_h, and the landmarks"
            )
        columns = 1 + len(fields) + 2 * len(landmarks.names)

        def read(numbered: tuple[int, str]) -> tuple[Path, list[float]]:
            number, text = numbered
            try:
                (row,) = csv.reader([text], strict=True)
            except csv.Error as error:
                raise DataError(f"{path}, line {number}: {error}") from None
            if len(row) != columns or not row[0]:
                raise DataError(
                    f"{path}, line {number}: {len(row)} columns, expected {columns}: image_name, {', '.join(fields)}, "
                    f"and x and y of {len(landmarks.names)} landmarks"
                )
            return _find_image(Path(data_root) / image_dir, row[0]), to_numbers(row[1:], f"{path}, line {number}")

        findings = Findings(path)
        lines, rows = read_each(read, lines, findings, faults)
        images, values = [image for image, _ in rows], np.array([numbers for _, numbers in rows])
        centers, keypoints = np.split(values[:, len(fields) - 2 :] - first_pixel, [2], axis=1)
        faces = Faces(
            images,
            read_image_sizes(images),
            keypoints.reshape(len(rows), -1, 2),
            square_windows(centers, 200 * values[:, 0]),
            [f"{path}, line {number}" for number, _ in lines],
            box_sizes=values[:, 1] if "box_size" in fields else None,
        )
        super().__init__(scheme=landmarks, faces=faces, findings=findings, max_outside=max_outside, faults=faults)


@DATASETS.register_module()
class CocoFaces(FaceSamples):
    """Landmarks in COCO's keypoint format, with any number of them.

    A face's crop starts from its `center` and `scale` (in units of 200 pixels) where the file has them, as OpenMMLab's
    files do, or else from its labelled landmarks. Annotations without a labelled landmark are left out.

    Args:
        data_root: folder of the data set.
        ann_file: annotations, below `data_root`.
        image_dir: folder of the images, below `data_root` or below `data_root/images`.
        scheme: a known scheme, or fields that complete or replace what the file's category says, such as
            `nme_reference`, which the metric needs; None takes all from the file.
        category: name of the category, or names of several with the same landmarks; None takes all with landmarks.
        parts: see `CocoKeypoints`; the crops of a part start from its box, cut at the image's edges.
        max_outside: see `FaceSamples`.
        faults: "stop" refuses a file with faulty annotations, "drop" leaves them out and warns.

    Raises:
        DataError: the file is missing or malformed, or no face is usable.
    """

    told: tuple[str, ...] = ("scheme",)

    def __init__(
        self,
        *,
        data_root: str,
        ann_file: str,
        image_dir: str = "images",
        scheme: SchemeLike | None = None,
        category: str | Sequence[str] | None = None,
        parts: Sequence[Mapping[str, Any]] | None = None,
        max_outside: float = 0.2,
        faults: Faults = "stop",
    ):
        path = Path(data_root) / ann_file
        findings = Findings(path)
        found = None if parts is None else read_parts(parts)
        images, annotations, categories = read_annotations(path, findings, faults, parts=found)
        kinds = find_categories(categories, category, path)
        count = count_keypoints(annotations, kinds)
        completed = scheme_of_categories(kinds, scheme, path, findings, count, whole=parts is not None)
        check_images(images, findings)
        owners = find_owners(images, annotations, [c["id"] for c in categories], findings, faults)
        ours = np.isin(annotations.category_ids, np.array([pack_key(kind["id"]) for kind in kinds]))
        ours &= (owners >= 0) & ~annotations.crowd
        miscounted = check_lengths(annotations, ours, completed, findings, faults)
        positions, values = unpack_keypoints(annotations, ours, len(completed.names))
        seen = (values[..., 2] > 0).any(axis=1)
        positions, values = positions[seen], values[seen].astype(np.float64)
        empty = ours & ~miscounted
        empty[positions] = False
        findings.add("note", "annotations without a labelled landmark", annotations.ids[empty], "they are left out")
        log.info("%s: %d of %d annotations have landmarks", path, len(positions), len(ours))
        if not len(positions):
            findings.raise_stops()
            raise DataError(f"{path}: none of {len(ours)} annotations has a labelled landmark")
        visible, owners = values[..., 2] > 0, owners[positions]
        windows = annotations.windows[positions].astype(np.float64)
        stated = ~np.isnan(windows).any(axis=1)
        boxes = keypoint_boxes(values[..., :2], visible)
        boxes[stated] = square_windows(windows[stated, :2], windows[stated, 2])
        if parts is not None:
            image_wh = np.tile(images.sizes[owners], 2)
            boxes = to_xywh(np.clip(to_xyxy(annotations.boxes[positions]), 0, image_wh))
        folder = find_image_folder(Path(data_root), image_dir)
        faces = Faces(
            [folder / os.fsdecode(name) for name in images.names[owners].tolist()],
            np.nan_to_num(images.sizes[owners], posinf=0).astype(int),
            values[..., :2],
            boxes,
            [f"annotation {i}" for i in annotations.ids[positions].tolist()],
            visible,
            image_ids=unpack_keys(images.ids)[owners].tolist(),
        )
        super().__init__(scheme=completed, faces=faces, findings=findings, max_outside=max_outside, faults=faults)


def _find_image(folder: Path, name: str) -> Path:
    """The image of this name; 300W's `image_092 _01.jpg` stands without the blank in its csv files."""
    path = folder / name
    with_blank = path.with_name(path.name.replace("_01.", " _01."))
    return with_blank if not path.exists() and with_blank.exists() else path


def _find_folders(root: Path, names: Sequence[str]) -> list[Path]:
    """Folders below the root, or below its `Test`, where the challenge's test images are often kept."""
    folders = [root / name if (root / name).is_dir() else root / "Test" / name for name in names]
    if missing := [name for name, folder in zip(names, folders, strict=True) if not folder.is_dir()]:
        there = sorted(path.name for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
        raise DataError(
            f"{root}: has no folder {', '.join(missing)}; it holds {', '.join(there) or 'no folders'}. The dataset's "
            f"`folders` takes a split ({', '.join(Face300W.SPLITS)}) or other folders, such as --set "
            "train_dataloader.dataset.folders=trainset val_dataloader.dataset.folders=testset"
        )
    return folders
