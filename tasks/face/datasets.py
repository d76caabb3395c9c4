"""Faces and their landmarks: the original releases of 300W, WFLW, COFW and AFLW, the csv files of the official code,
and landmark files in COCO's format.

Convention: landmarks are (x, y) in pixels counted from 0. Releases that count from 1 say so by `first_pixel`; the
official code takes every number as it is, which `first_pixel=0` repeats.
"""

from __future__ import annotations

import csv
import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from hrtoolkit.data.doctor import Findings, ImageFiles
from hrtoolkit.data.keypoints import KeypointDataset, People
from hrtoolkit.data.reading import read_json
from hrtoolkit.errors import DataError, UserError
from hrtoolkit.layouts import complete_layout, resolve_layout
from hrtoolkit.registry import DATASETS
from hrtoolkit.structures import KeypointLayout
from tasks.face.layouts import AFLW_19, COFW_29, IBUG_68, WFLW_98
from tasks.face.reading import (
    check_hdf5,
    find_image_beside,
    read_image_sizes,
    read_lines,
    read_mat,
    read_pts,
    to_numbers,
)

log = logging.getLogger(__name__)

PADDING = 1.25  # of every face's box, in training and at test time
EDGE = 2.0  # pixels that a landmark may lie outside its image
FAR_OUTSIDE = 0.1  # of the box's side: landmarks further outside are mistakes


class Faces(NamedTuple):
    """N annotated faces, as read."""

    images: Sequence[Path | str]  # [N] the image of each face
    keypoints: np.ndarray  # [N, K, 2] (x, y) in pixels from 0
    boxes: np.ndarray  # [N, 4] left, top, width, height, which the crop and the benchmark start from
    places: Sequence[str]  # [N] where each is annotated, for messages: file, or file and line
    visible: np.ndarray | None = None  # [N, K], above 0 where labelled; None where all are
    subsets: dict[str, np.ndarray] | None = None  # name -> [N] bool


class FaceDataset(KeypointDataset):
    """Faces as flat arrays, cropped by a transform; a subclass reads one annotation format.

    Args:
        layout: of the landmarks.
        transform: crops one face.
        faces: in the order of the files.
        ann_file: file or folder that messages name.
        image_sizes: [N, 2] width and height of the image of each face, 0 where they are not known.
        strict: refuse faces with faults that stop training; the data doctor goes on with the others.

    Raises:
        DataError: faces have such faults, or none is left.
    """

    def __init__(
        self,
        layout: KeypointLayout,
        transform: Callable[..., dict],
        faces: Faces,
        ann_file: Path,
        image_sizes: np.ndarray | None = None,
        strict: bool = True,
    ):
        self.ann_file = ann_file
        findings = Findings(ann_file)
        if image_sizes is None:
            image_sizes = np.zeros((len(faces.images), 2), int)
        visible = np.ones(faces.keypoints.shape[:2]) if faces.visible is None else faces.visible
        usable = check_inside(faces, visible > 0, image_sizes, findings)
        if strict or not usable.any():
            findings.raise_stops()
        images = list(dict.fromkeys(faces.images))
        position = {image: i for i, image in enumerate(images)}
        owners = np.array([position[image] for image in faces.images])
        order = np.argsort(owners, kind="stable")
        order = order[usable[order]]
        sizes = np.zeros((len(images), 2), int)
        sizes[owners] = image_sizes
        boxes = faces.boxes[order].astype(np.float32)
        sides = boxes[:, 2:].max(axis=1)
        self.subsets = {name: np.asarray(chosen, bool)[order] for name, chosen in (faces.subsets or {}).items()}
        people = People(
            images=owners[order].astype(np.int32),
            centers=(faces.boxes[order, :2] + faces.boxes[order, 2:] / 2).astype(np.float32),
            sizes=np.repeat(PADDING * sides[:, None], 2, axis=1),
            keypoints=faces.keypoints[order].astype(np.float32),
            visible=(visible[order] > 0).astype(np.uint8),
            boxes=boxes,
            box_scores=np.ones(len(order), np.float32),
        )
        super().__init__(layout, transform, images, [str(i) for i in images], sizes, people, None, findings)

    @property
    def metainfo(self) -> dict:
        """What the metric needs to know of the data."""
        return {
            "layout": self.layout,
            "keypoints": self.keypoints,
            "visible": self.visible,
            "box_sizes": self.boxes[:, 2:].max(axis=1),
            "subsets": self.subsets,
            "ann_file": str(self.ann_file),
        }


@DATASETS.register_module()
class Face300W(FaceDataset):
    """300W: one .pts file of 68 landmarks beside each image (Sagonas et al., ICCV Workshops 2013).

    Args:
        transform: crops one face.
        data_root: folder that holds afw, helen, lfpw, ibug, and 01_Indoor and 02_Outdoor (perhaps below Test).
        folders: a split ("train", "common", "challenge", "full" or "test"), or folders of .pts files below `data_root`.
        first_pixel: what the files call the first pixel.
        strict: see `FaceDataset`.

    Raises:
        DataError: a folder is missing or empty, a .pts file is malformed, its image is missing, or a landmark lies far
            outside it.
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
        transform: Callable[..., dict],
        data_root: str,
        folders: str | Sequence[str] = "train",
        first_pixel: int = 1,
        strict: bool = True,
    ):
        root = Path(data_root)
        names = self.SPLITS.get(folders, (folders,)) if isinstance(folders, str) else tuple(folders)
        owners, files = [], []
        for name, folder in zip(names, _find_folders(root, names), strict=True):
            found = sorted(folder.glob("*.pts"))
            if not found:
                raise DataError(f"{folder}: holds no .pts files")
            files += found
            owners += [name] * len(found)
        keypoints = np.stack([read_pts(path, len(IBUG_68.names)) for path in files]) - first_pixel
        subsets = {name: np.isin(owners, list(of)) for name, of in self.SUBSETS.items()}
        faces = Faces(
            [find_image_beside(path) for path in files],
            keypoints,
            landmark_boxes(keypoints),
            [str(path) for path in files],
            # A split of one part needs no row of its own.
            subsets={name: chosen for name, chosen in subsets.items() if chosen.any() and not chosen.all()},
        )
        super().__init__(IBUG_68, transform, faces, root, read_image_sizes(faces.images), strict)


@DATASETS.register_module()
class WFLW(FaceDataset):
    """WFLW: a list of faces with 98 landmarks and six attributes (Wu et al., CVPR 2018).

    A line has 207 columns: x and y of the landmarks, a rectangle (it cuts faces off and is not used), the attributes,
    and the image. Faces that have an attribute are a subset; a face may be in several.

    Args:
        transform: crops one face.
        data_root: folder that holds WFLW_annotations and WFLW_images.
        ann_file: list_98pt_rect_attr_train.txt or list_98pt_rect_attr_test.txt, below `data_root`.
        image_dir: folder of the images, below `data_root`.
        strict: see `FaceDataset`.

    Raises:
        DataError: a line is malformed, an image is missing, or a landmark lies far outside it.
    """

    how_to_get = (
        "WFLW is at https://wywu.github.io/projects/LAB/WFLW.html: WFLW_images and WFLW_annotations belong side by "
        "side in one folder, which --data-root names"
    )
    ATTRIBUTES = ("pose", "expression", "illumination", "makeup", "occlusion", "blur")

    def __init__(
        self,
        transform: Callable[..., dict],
        data_root: str,
        ann_file: str,
        image_dir: str = "WFLW_images",
        strict: bool = True,
    ):
        path = Path(data_root) / ann_file
        rows = [(number, line.split()) for number, line in read_lines(path) if line.strip()]
        count = 2 * len(WFLW_98.names)
        columns = count + 4 + len(self.ATTRIBUTES) + 1
        for number, row in rows:
            if len(row) != columns:
                raise DataError(
                    f"{path}, line {number}: {len(row)} columns, expected {columns}: {count} coordinates, 4 numbers of "
                    f"the rectangle, the attributes {', '.join(self.ATTRIBUTES)}, and the image; take the "
                    "list_98pt_rect_attr_*.txt of the release"
                )
            for name, flag in zip(self.ATTRIBUTES, row[-7:-1], strict=True):
                if flag not in ("0", "1"):
                    raise DataError(f"{path}, line {number}: the attribute {name} is {flag!r}, expected 0 or 1")
        if not rows:
            raise DataError(f"{path}: holds no faces")
        values = np.array([to_numbers(row[:count], f"{path}, line {number}") for number, row in rows])
        keypoints = values.reshape(len(rows), -1, 2)
        flags = np.array([row[-7:-1] for _, row in rows]) == "1"
        faces = Faces(
            [Path(data_root) / image_dir / row[-1] for _, row in rows],
            keypoints,
            landmark_boxes(keypoints),
            [f"{path}, line {number}" for number, _ in rows],
            subsets=dict(zip(self.ATTRIBUTES, flags.T, strict=True)),
        )
        super().__init__(WFLW_98, transform, faces, path, read_image_sizes(faces.images), strict)


@DATASETS.register_module()
class COFW(FaceDataset):
    """COFW: images and 29 landmarks in one MATLAB file of version 7.3, which is HDF5.

    Burgos-Artizzu et al., ICCV 2013. Landmarks count whether they are occluded or not.

    Args:
        transform: crops one face.
        data_root: folder of the files.
        ann_file: COFW_train_color.mat or COFW_test_color.mat, below `data_root`.
        first_pixel: what the file calls the first pixel.
        strict: see `FaceDataset`.

    Raises:
        DataError: the file is missing, is not HDF5, or lacks a variable.
        UserError: h5py is not installed.
    """

    how_to_get = (
        "COFW is at https://data.caltech.edu/records/bc0bf-nc666: COFW_train_color.mat and COFW_test_color.mat in one "
        "folder, which --data-root names"
    )

    def __init__(
        self,
        transform: Callable[..., dict],
        data_root: str,
        ann_file: str,
        first_pixel: int = 1,
        strict: bool = True,
    ):
        self.path = Path(data_root) / ann_file
        self._opened: tuple[int, object] = (-1, None)  # by which process: HDF5 files survive no fork
        content = self._open()
        suffix = next((s for s in ("Tr", "T") if f"phis{s}" in content and f"Is{s}" in content), None)
        if suffix is None:
            raise DataError(
                f"{self.path}: holds {', '.join(content)}, expected images and landmarks as IsTr and phisTr (training) "
                "or IsT and phisT (test); take the color files of the release"
            )
        self.images = f"Is{suffix}"
        landmarks = np.asarray(content[f"phis{suffix}"], np.float64).T  # MATLAB stores columns first
        count, number = len(COFW_29.names), content[self.images].size
        if landmarks.shape != (number, 3 * count):
            raise DataError(
                f"{self.path}: phis{suffix} is {list(landmarks.shape)}, expected [{number}, {3 * count}]: x, y and "
                f"occlusion of {count} landmarks in each of the {number} images of {self.images}"
            )
        keypoints = landmarks[:, : 2 * count].reshape(number, 2, count).swapaxes(1, 2) - first_pixel
        names = [f"{self.path}, image {i + 1}" for i in range(number)]
        faces = Faces(names, keypoints, landmark_boxes(keypoints), names)
        super().__init__(COFW_29, transform, faces, self.path, strict=strict)

    def load_image(self, image: int) -> np.ndarray:
        content = self._open()
        pixels = np.asarray(content[content[self.images][()].flat[image]]).T  # [H, W, 3] or [H, W]
        if pixels.ndim == 2:
            pixels = np.repeat(pixels[..., None], 3, axis=2)
        return np.ascontiguousarray(pixels)

    def image_files(self) -> ImageFiles:
        """None: the images are in the annotation file."""
        return ImageFiles(self.image_paths[:0], self.image_ids[:0], self.image_sizes[:0])

    def _open(self):
        """The file, opened by this very process."""
        if self._opened[0] != os.getpid():
            check_hdf5(self.path)
            try:
                import h5py
            except ImportError:
                raise UserError(
                    f"{self.path}: MATLAB files of version 7.3 are read by h5py, which is not installed: pip install "
                    "h5py (or 'hrtoolkit[cofw]')"
                ) from None
            try:
                self._opened = os.getpid(), h5py.File(self.path, "r")
            except OSError as error:
                raise DataError(f"{self.path}: damaged ({error}); copy or download it again") from None
        return self._opened[1]

    def __getstate__(self) -> dict:
        return {**self.__dict__, "_opened": (-1, None)}


@DATASETS.register_module()
class AFLW(FaceDataset):
    """AFLW with 19 landmarks, of which the hidden ones are annotated too (Zhu et al., CVPR 2016).

    The faces that show all 19 are the subset "frontal"; how the published 1,314 frontal faces were chosen is not known.

    Args:
        transform: crops one face.
        data_root: folder of the data set.
        split: "train", the first 20,000 faces in the file's own order `ra`, or "test", the other 4,386.
        ann_file: AFLWinfo_release.mat, below `data_root`.
        image_dir: folder of the images, below `data_root`.
        strict: see `FaceDataset`.

    Raises:
        DataError: the file is missing or malformed.
    """

    how_to_get = (
        "AFLWinfo_release.mat is at https://mmlab.ie.cuhk.edu.hk/projects/compositional.html, the images on request at "
        "TU Graz (data/flickr); --data-root names the folder that holds both"
    )
    TRAINING = 20_000

    def __init__(
        self,
        transform: Callable[..., dict],
        data_root: str,
        split: Literal["train", "test"] = "train",
        ann_file: str = "AFLWinfo_release.mat",
        image_dir: str = "data/flickr",
        strict: bool = True,
    ):
        path = Path(data_root) / ann_file
        if split not in ("train", "test"):
            raise DataError(f"AFLW: split is {split!r}, expected 'train' or 'test'")
        content = read_mat(path)
        if missing := {"nameList", "bbox", "data", "mask_new", "ra"} - content.keys():
            raise DataError(f"{path}: lacks {', '.join(sorted(missing))}; take AFLWinfo_release.mat of the release")
        count, number = len(AFLW_19.names), len(content["nameList"])
        for name, shape in (("bbox", (number, 4)), ("data", (number, 2 * count)), ("mask_new", (number, count))):
            if content[name].shape != shape:
                raise DataError(f"{path}: {name} is {list(content[name].shape)}, expected {list(shape)}")
        chosen = content["ra"].ravel().astype(int) - 1
        chosen = chosen[: self.TRAINING] if split == "train" else chosen[self.TRAINING :]
        if not len(chosen):
            raise DataError(f"{path}: holds {number} faces, none of them for {split} (training takes {self.TRAINING})")
        left, right, top, bottom = content["bbox"][chosen].astype(np.float64).T
        names = [str(np.ravel(name)[0]) for name in content["nameList"][chosen].ravel()]
        faces = Faces(
            [Path(data_root) / image_dir / name for name in names],
            content["data"][chosen].astype(np.float64).reshape(-1, 2, count).swapaxes(1, 2),
            np.stack([left, top, right - left, bottom - top], axis=1),
            [f"{path}, face {i + 1}" for i in chosen],
            subsets={"frontal": content["mask_new"][chosen].all(axis=1)},
        )
        super().__init__(AFLW_19, transform, faces, path, strict=strict)


@DATASETS.register_module()
class FaceCsv(FaceDataset):
    """The csv files of the official face code: image, scale, perhaps box_size, centre, and landmarks.

    Args:
        transform: crops one face.
        data_root: folder of the data set.
        ann_file: csv with a header line, below `data_root`.
        layout: "300w", "wflw", "aflw", or another scheme.
        image_dir: folder of the images, below `data_root`.
        first_pixel: what the file calls the first pixel; the official code takes its numbers as they are.
        strict: see `FaceDataset`.

    Raises:
        DataError: a line is malformed, an image is missing, or a landmark lies far outside it.
    """

    def __init__(
        self,
        transform: Callable[..., dict],
        data_root: str,
        ann_file: str,
        layout: str | dict,
        image_dir: str = "images",
        first_pixel: int = 0,
        strict: bool = True,
    ):
        path = Path(data_root) / ann_file
        layout = resolve_layout(layout)
        (_, header), *rows = enumerate(csv.reader(line for _, line in read_lines(path)), start=1)
        has_box = len(header) > 2 and header[2] == "box_size"
        first = 5 if has_box else 4
        columns = first + 2 * len(layout.names)
        values = []
        for number, row in rows:
            if len(row) != columns:
                raise DataError(
                    f"{path}, line {number}: {len(row)} columns, expected {columns}: image_name, scale, "
                    f"{'box_size, ' * has_box}center_w, center_h, and x and y of {len(layout.names)} landmarks"
                )
            values.append(to_numbers(row[1:], f"{path}, line {number}"))
        if not rows:
            raise DataError(f"{path}: holds no faces")
        values = np.array(values)
        centers = values[:, first - 3 : first - 1] - first_pixel
        sides = values[:, 1] if has_box else 200 * values[:, 0]
        faces = Faces(
            [Path(data_root) / image_dir / row[0] for _, row in rows],
            values[:, first - 1 :].reshape(len(rows), -1, 2) - first_pixel,
            np.column_stack([centers - sides[:, None] / 2, sides, sides]),
            [f"{path}, line {number}" for number, _ in rows],
        )
        super().__init__(layout, transform, faces, path, read_image_sizes(faces.images), strict)


@DATASETS.register_module()
class CocoFaces(FaceDataset):
    """Landmarks in COCO's keypoint format, with any number of them.

    A face's crop starts from its `center` and `scale` (in 200 pixels) where the file has them, as OpenMMLab's files do,
    or else from its labelled landmarks. Annotations without a labelled landmark are left out.

    Args:
        transform: crops one face.
        data_root: folder of the data set.
        ann_file: annotations, below `data_root`.
        image_dir: folder of the images, below `data_root`.
        layout: a known scheme, or fields that complete or replace what the file's category says, such as
            `nme_reference`, two names that the metric needs; None takes all from the file.
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
        strict: bool = True,
    ):
        path = Path(data_root) / ann_file
        content = read_json(path)
        for part in ("images", "annotations"):
            if not isinstance(content, dict) or not isinstance(content.get(part), list):
                raise DataError(f"{path}: has no list {part!r}; expected COCO's keypoint format")
        layout = _coco_layout(content, layout, path)
        count = len(layout.names)
        images = {image["id"]: image for image in content["images"]}
        annotations = [a for a in content["annotations"] if any(a.get("keypoints", ()))]
        for annotation in annotations:
            where = f"{path}: annotation {annotation.get('id')}"
            if len(annotation["keypoints"]) != 3 * count:
                raise DataError(
                    f"{where} has {len(annotation['keypoints']) / 3:g} landmarks, expected {count} (x, y, visibility)"
                )
            if annotation.get("image_id") not in images:
                raise DataError(f"{where} is of image {annotation.get('image_id')!r}, which the file does not list")
        log.info("%s: %d of %d annotations have landmarks", path, len(annotations), len(content["annotations"]))
        if not annotations:
            raise DataError(f"{path}: none of {len(content['annotations'])} annotations has a labelled landmark")
        values = np.array([a["keypoints"] for a in annotations], np.float64).reshape(-1, count, 3)
        visible = values[..., 2] > 0
        boxes = landmark_boxes(values[..., :2], visible)
        for index, annotation in enumerate(annotations):
            if "center" in annotation and "scale" in annotation:
                side = 200 * float(np.max(annotation["scale"]))
                boxes[index] = *(np.asarray(annotation["center"], np.float64) - side / 2), side, side
        owners = [images[a["image_id"]] for a in annotations]
        faces = Faces(
            [Path(data_root) / image_dir / image["file_name"] for image in owners],
            values[..., :2],
            boxes,
            [f"{path}: annotation {a.get('id')}" for a in annotations],
            visible,
        )
        sizes = np.array([(image["width"], image["height"]) for image in owners])
        super().__init__(layout, transform, faces, path, sizes, strict)


def landmark_boxes(keypoints: np.ndarray, visible: np.ndarray | None = None) -> np.ndarray:
    """Boxes [N, 4] (left, top, width, height) around landmarks [N, K, 2], enlarged to whole pixels.

    It is the rule by which the centres and scales of the official csv files of 300W and WFLW were made.

    Args:
        keypoints: [N, K, 2].
        visible: [N, K] bool, which landmarks are labelled; None where all are.
    """
    if visible is not None:
        keypoints = np.where(visible[..., None], keypoints, np.nan)
    low, high = np.floor(np.nanmin(keypoints, axis=1)), np.ceil(np.nanmax(keypoints, axis=1))
    return np.concatenate([low, high - low], axis=1)


def _find_folders(root: Path, names: Sequence[str]) -> list[Path]:
    """Folders below the root, or below its `Test`, where the challenge's test images are often kept."""
    folders = [root / name if (root / name).is_dir() else root / "Test" / name for name in names]
    if missing := [name for name, folder in zip(names, folders, strict=True) if not folder.is_dir()]:
        there = sorted(path.name for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
        raise DataError(
            f"{root}: has no folder {', '.join(missing)}; it holds {', '.join(there) or 'no folders'}. Other folders "
            "are named by the dataset's `folders`, such as --set train_dataloader.dataset.folders=trainset"
        )
    return folders


def check_inside(faces: Faces, visible: np.ndarray, image_sizes: np.ndarray, findings: Findings) -> np.ndarray:
    """Find landmarks outside their image: far outside is a mistake, a little outside are those of faces at the edge.

    Args:
        faces: as read.
        visible: [N, K] bool.
        image_sizes: [N, 2] width and height of the image of each, 0 where they are not known.
        findings: gets what is wrong.

    Returns:
        [N] bool, which faces are usable.
    """
    last = np.where(image_sizes > 0, image_sizes - 1.0, np.inf)[:, None]
    first = np.where(image_sizes > 0, 0.0, -np.inf)[:, None]
    outside = np.maximum(first - faces.keypoints, faces.keypoints - last).max(axis=2)
    beyond = np.where(visible, outside, -np.inf)  # [N, K] pixels
    worst = beyond.max(axis=1)

    def describe(face: int) -> str:
        landmark = beyond[face].argmax()
        x, y = faces.keypoints[face, landmark]
        width, height = image_sizes[face]
        return f"{faces.places[face]}: landmark {landmark + 1} at ({x:g}, {y:g}), image {width}x{height}"

    far = worst > np.maximum(FAR_OUTSIDE * faces.boxes[:, 2:].max(axis=1), EDGE)
    near = ~far & (worst > EDGE)
    for level, what, found, remedy in (
        ("stop", "faces with a landmark outside the image", far, "correct the coordinates, or remove the faces"),
        ("note", "faces with a landmark a little outside the image", near, "they are used as they are"),
    ):
        findings.add(level, what, [describe(face) for face in np.flatnonzero(found)], remedy)
    return ~far


def _coco_layout(content: dict, layout: str | dict | None, path: Path) -> KeypointLayout:
    if isinstance(layout, str) or (isinstance(layout, dict) and "names" in layout):
        return resolve_layout(layout)
    named = [c for c in content.get("categories", []) if c.get("keypoints")]
    if not named:
        raise DataError(f"{path}: no category lists landmark names; give them in the dataset's `layout`")
    names = named[0]["keypoints"]
    lines = named[0].get("skeleton") or ()
    for a, b in lines:
        if not (1 <= a <= len(names) and 1 <= b <= len(names)):
            raise DataError(
                f"{path}: the skeleton joins landmarks {a} and {b} of {len(names)}; they are counted from 1"
            )
    skeleton = [(names[a - 1], names[b - 1]) for a, b in lines]
    return complete_layout(**{"names": names, "skeleton": skeleton, **(layout or {})})
