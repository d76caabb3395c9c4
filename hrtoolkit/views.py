"""How a branch looks at an image: a view makes the network's input, and the frame that leads back.

A view belongs to the model: it stands in the model's config and is kept in its checkpoints. An augmentation belongs to
the training data: it changes what a view is asked for, in the view's own terms, and may retouch the pixels afterwards;
it never knows how to map back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol, TypeVar

import numpy as np
from numpy import ndarray

from hrtoolkit.frames import Frame, Settings, Size
from hrtoolkit.records import Record
from hrtoolkit.schemes import Scheme

IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)
Ask = TypeVar("Ask", contravariant=True)  # what a view can be asked for, in its own terms
Asked = TypeVar("Asked", covariant=True)  # what an augmentation makes of it


class Crop(NamedTuple):
    """A window of an image to look at; what a view of crops is asked for."""

    center: ndarray  # [2] float64 (x, y) in pixels of the image
    size: ndarray  # [2] float64 width and height, padded and of the input's aspect
    box_xyxy: ndarray | None = None  # [4] of what is looked at
    score: float = 1.0  # of that box
    area: float = 0.0  # width x height before augmentation
    angle: float = 0.0  # degrees, counter-clockwise
    mirror: bool = False


class View(Protocol[Ask]):
    """How a network looks at an image. Required is `__call__`, and `crops` of a view that sees crops.

    Constructor arguments that the head decides (such as `unbiased`) are named in `told`: a config leaves them out.
    """

    @property
    def mean(self) -> Sequence[float]:
        """Of each RGB channel, 0 to 255, by which inputs are normalised."""
        ...

    @property
    def std(self) -> Sequence[float]:
        """Of each RGB channel."""
        ...

    @property
    def multiple(self) -> int | None:
        """None stacks the inputs of a batch, which are of one size; else a batch is padded to it."""
        ...

    @property
    def smallest(self) -> int:
        """Height and width that a padded batch has at least."""
        ...

    @property
    def told(self) -> tuple[str, ...]:
        """Constructor arguments that the head decides."""
        ...

    def __call__(self, image: ndarray, ask: Ask | None = None) -> tuple[ndarray, Frame]:
        """Make the input of an image.

        Args:
            image: RGB uint8 [H, W, 3].
            ask: what to look at, in the view's own terms: a `Crop` for views of crops; None is the whole image as it is
                tested.

        Returns:
            the input, RGB uint8 or float32 [h, w, 3], and its frame.
        """
        ...

    @property
    def sees_crops(self) -> bool:
        """Whether it looks at windows of an image, and not at all of it; by default whether it has `crops`."""
        ...

    def describe(self) -> Settings:
        """What predictions depend on; by default all attributes."""
        ...

    def portable(self) -> Settings:
        """What an export tells the runtime, see `BaseView`; only exporting needs it."""
        ...

    def crops(self, windows_xywh: ndarray, boxes_xyxy: ndarray, scores: ndarray) -> Sequence[Crop]:
        """Pad windows and give them the input's aspect; only views of crops do.

        Args:
            windows_xywh: [N, 4] left, top, width, height of what is looked at, float64.
            boxes_xyxy: [N, 4], travel with the crops, as the scores do.
            scores: [N].

        Returns:
            one crop a window; made when they are asked for, because a million of them would not fit into memory.
        """
        ...


class BaseView:
    """Defaults of a view.

    Args:
        mean: of each RGB channel, 0 to 255.
        std: of each RGB channel.
    """

    mean: Sequence[float]
    std: Sequence[float]
    multiple: int | None = None
    smallest: int = 1
    told: tuple[str, ...] = ()

    def __init__(self, mean: Sequence[float] = IMAGENET_MEAN, std: Sequence[float] = IMAGENET_STD):
        self.mean, self.std = tuple(mean), tuple(std)

    def crops(self, windows_xywh: ndarray, boxes_xyxy: ndarray, scores: ndarray) -> Sequence[Crop]:
        raise TypeError(f"{type(self).__name__} looks at whole images")

    @property
    def sees_crops(self) -> bool:
        """Whether it looks at windows of an image, and not at all of it."""
        return type(self).crops is not BaseView.crops

    def describe(self) -> Settings:
        """What predictions depend on, in plain values; it is kept in every checkpoint and compared when testing."""
        return {"type": type(self).__name__, **vars(self)}

    def portable(self) -> Settings:
        """What `hrtoolkit.runtime` needs to look at pictures in the same way, besides `mean` and `std`."""
        return {name: value for name, value in self.describe().items() if name not in ("mean", "std")}


class Augmentation(Protocol[Asked]):
    """Changes what a view is asked for in training. Required is `ask`.

    Everything random comes from `rng`, or, where `borrows` is true, from Python's, NumPy's and torch's own generators,
    which are then seeded around `ask` and `retouch` together.
    """

    @property
    def views(self) -> tuple[type, ...]:
        """The classes of views whose terms it speaks; default all."""
        ...

    @property
    def borrows(self) -> bool:
        """Whether it draws from Python's, NumPy's and torch's own generators, see above; default false."""
        ...

    def ask(
        self,
        view: View[Asked],
        image_hw: Size,
        truth: Record,
        crop: Crop | None,
        scheme: Scheme,
        rng: np.random.Generator,
    ) -> Asked | None:
        """What the view is asked for.

        Args:
            view: of the model.
            image_hw: height and width of the image.
            truth: what is annotated, of a crop the one object that it shows; in pixels of the image.
            crop: as it is tested; None where the whole image is.
            scheme: of the truth.
            rng: of this sample and epoch.
        """
        ...

    def retouch(self, pixels: ndarray, frame: Frame, rng: np.random.Generator) -> ndarray:
        """Change the pixels of the input [h, w, 3], such as their colors; as they are by default."""
        ...


class BaseAugmentation:
    """Defaults of an augmentation."""

    views: tuple[type, ...] = (object,)
    borrows: bool = False

    def retouch(self, pixels: ndarray, frame: Frame, rng: np.random.Generator) -> ndarray:
        return pixels


# What configs of earlier versions, also those in checkpoints, called a dataset's `transform`: a function of its options
# (without `type`) that gives the options of the view and of the augmentation which took its place.
OLD_TRANSFORMS: dict[str, Callable[[dict], tuple[dict, dict]]] = {}


def replace_transform(transform: object) -> str:
    """Say what to write instead of a dataset's `transform`."""
    options = dict(transform) if isinstance(transform, Mapping) else {}
    split = OLD_TRANSFORMS.get(options.pop("type", ""))
    if split is None:
        return "how a model looks at images is said by model.view, and train_dataloader.augmentation changes it"
    view, augmentation = split(options)
    text = f"write model.view={_call(view)}"
    return text + (f" and train_dataloader.augmentation={_call(augmentation)}" if augmentation else "")


def _call(options: Mapping[str, object]) -> str:
    return f"dict({', '.join(f'{name}={value!r}' for name, value in options.items())})"
