"""The original releases of 300W, WFLW, COFW and AFLW, as they are downloaded.

Convention: landmarks are (x, y) in pixels counted from 0. Releases that count from 1 say so by `first_pixel`; the
official code takes every number as it is, which `first_pixel=0` repeats.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from hrtoolkit.tasks.face.faces import FaceDataset, Faces, landmark_boxes
from hrtoolkit.tasks.face.layouts import AFLW_19, COFW_29, IBUG_68, WFLW_98
from hrtoolkit.tasks.face.reading import (
    check_hdf5,
    find_image_beside,
    read_each,
    read_image_sizes,
    read_pts,
    to_numbers,
)

from hrtoolkit.data.doctor import Findings, ImageFiles
from hrtoolkit.data.reading import read_lines, read_mat
from hrtoolkit.errors import DataError, UserError
from hrtoolkit.registry import DATASETS


@DATASETS.register_module()
class Face300W(FaceDataset):
    """300W: one .pts file of 68 landmarks beside each image (Sagonas et al., ICCV Workshops 2013).

    Args:
        transform: crops one face.
        data_root: folder that holds afw, helen, lfpw, ibug, and 01_Indoor and 02_Outdoor (perhaps below Test).
        folders: a split ("train", "common", "challenge", "full" or "test"), or folders of .pts files below `data_root`,
            which come first where a folder is called like a split.
        first_pixel: what the files call the first pixel.
        max_outside: see `FaceDataset`.
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
        max_outside: float = 0.2,
        strict: bool = True,
    ):
        root = Path(data_root)
        names = (folders,) if isinstance(folders, str) else tuple(folders)
        if isinstance(folders, str) and folders in self.SPLITS and not any((root / folders).glob("*.pts")):
            names = self.SPLITS[folders]
        owners, files = {}, []
        for name, folder in zip(names, _find_folders(root, names), strict=True):
            found = sorted(folder.glob("*.pts"))
            if not found:
                raise DataError(f"{folder}: holds no .pts files")
            files += found
            owners |= dict.fromkeys(found, Path(name).as_posix().removeprefix("Test/"))

        def read(path: Path) -> tuple[np.ndarray, Path]:
            return read_pts(path, len(IBUG_68.names)) - first_pixel, find_image_beside(path)

        findings = Findings(root)
        files, faces = read_each(read, files, findings)
        keypoints, images = np.stack([points for points, _ in faces]), [image for _, image in faces]
        subsets = {name: np.isin([owners[path] for path in files], list(of)) for name, of in self.SUBSETS.items()}
        faces = Faces(
            images,
            read_image_sizes(images),
            keypoints,
            landmark_boxes(keypoints),
            [str(path) for path in files],
            # A split of one part needs no row of its own.
            subsets={name: chosen for name, chosen in subsets.items() if chosen.any() and not chosen.all()},
        )
        super().__init__(IBUG_68, transform, faces, findings, max_outside, strict)


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
        max_outside: see `FaceDataset`.
        strict: see `FaceDataset`.

    Raises:
        DataError: a line is malformed, or a landmark lies far outside its image.
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
        max_outside: float = 0.2,
        strict: bool = True,
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

        findings = Findings(path)
        lines, faces = read_each(read, read_lines(path), findings)
        coordinates, flags, images = zip(*faces, strict=True)
        keypoints = np.array(coordinates).reshape(len(faces), -1, 2)
        faces = Faces(
            images,
            read_image_sizes(images),
            keypoints,
            landmark_boxes(keypoints),
            [f"{path}, line {number}" for number, _ in lines],
            subsets=dict(zip(self.ATTRIBUTES, np.array(flags).T, strict=True)),
        )
        super().__init__(WFLW_98, transform, faces, findings, max_outside, strict)


@DATASETS.register_module()
class COFW(FaceDataset):
    """COFW: images and 29 landmarks in one MATLAB file of version 7.3, which is HDF5.

    Burgos-Artizzu et al., ICCV 2013. Landmarks count whether they are occluded or not.

    Args:
        transform: crops one face.
        data_root: folder of the files.
        ann_file: COFW_train_color.mat or COFW_test_color.mat, below `data_root`.
        first_pixel: what the file calls the first pixel.
        max_outside: see `FaceDataset`.
        strict: see `FaceDataset`.

    Raises:
        DataError: the file is missing, is not HDF5, or lacks a variable, or a landmark is not finite or lies far
            outside its image.
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
        max_outside: float = 0.2,
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
        sizes = np.array([self._pixels(i).shape[-2:] for i in range(number)])  # HDF5 has them [3, W, H]
        faces = Faces(names, sizes, keypoints, landmark_boxes(keypoints), names)
        super().__init__(COFW_29, transform, faces, Findings(self.path), max_outside, strict)

    def load_image(self, image: int) -> np.ndarray:
        try:
            pixels = np.asarray(self._pixels(image)).T  # [H, W, 3] or [H, W]
        except OSError as error:
            raise DataError(f"{self.path}, image {image + 1}: damaged ({error}); copy or download the file") from None
        if pixels.ndim == 2:
            pixels = np.repeat(pixels[..., None], 3, axis=2)
        return np.ascontiguousarray(pixels)

    def image_files(self) -> ImageFiles:
        """None: the images are in the annotation file."""
        return ImageFiles(self.image_paths[:0], self.image_ids[:0], self.image_sizes[:0])

    def _pixels(self, image: int):
        """An image in the file, uint8 [3, W, H] or [W, H]; nothing is read yet.

        Raises:
            DataError: there is something else in its place.
        """
        content = self._open()
        try:
            references = content[self.images]
            pixels = content[references[np.unravel_index(image, references.shape)]]
            shape, dtype = pixels.shape, pixels.dtype
        except (AttributeError, KeyError, OSError, TypeError, ValueError) as error:
            raise DataError(f"{self.path}, image {image + 1}: cannot be found ({error})") from None
        if dtype != np.uint8 or not (len(shape) == 2 or (len(shape) == 3 and shape[0] == 3)):
            raise DataError(
                f"{self.path}, image {image + 1}: is {dtype} {list(shape)}, expected uint8 [3, W, H] or [W, H]"
            )
        return pixels

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
        max_outside: see `FaceDataset`; more than in other releases, because hidden landmarks of faces that the image
            cuts off are guesses.
        strict: see `FaceDataset`.

    Raises:
        DataError: the file is missing or malformed, a box has no extent, or a landmark is not finite or lies far
            outside its image.
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
        max_outside: float = 0.5,
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
            found = content[name]
            if found.shape != shape or found.dtype.kind not in "iufb":
                raise DataError(f"{path}: {name} is {list(found.shape)}, expected {list(shape)} numbers")
        if content["ra"].dtype.kind not in "iuf":
            raise DataError(f"{path}: ra holds no numbers")
        chosen = content["ra"].ravel().astype(int) - 1
        if not np.array_equal(np.sort(chosen), np.arange(number)):
            raise DataError(f"{path}: ra is no order of the {number} faces, counted from 1")
        chosen = chosen[: self.TRAINING] if split == "train" else chosen[self.TRAINING :]
        if not len(chosen):
            raise DataError(f"{path}: holds {number} faces, none of them for {split} (training takes {self.TRAINING})")
        left, right, top, bottom = content["bbox"][chosen].astype(np.float64).T
        names = ["".join(map(str, np.ravel(name))) for name in content["nameList"][chosen].ravel()]
        if "" in names:
            raise DataError(f"{path}: nameList has no name for face {chosen[names.index('')] + 1}")
        images = [Path(data_root) / image_dir / name for name in names]
        faces = Faces(
            images,
            read_image_sizes(images),
            content["data"][chosen].astype(np.float64).reshape(-1, 2, count).swapaxes(1, 2),
            np.stack([left, top, right - left, bottom - top], axis=1),
            [f"{path}, face {i + 1}" for i in chosen],
            subsets={"frontal": (content["mask_new"][chosen] == 1).all(axis=1)},
        )
        super().__init__(AFLW_19, transform, faces, Findings(path), max_outside, strict)


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
