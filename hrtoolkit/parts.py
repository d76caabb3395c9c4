"""What a network is made of: the contracts of backbones, necks and heads, and the defaults of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, Generic, Protocol, TypeVar

from numpy import ndarray
from torch import Tensor, nn

from hrtoolkit.errors import Moved
from hrtoolkit.frames import Frame, Settings
from hrtoolkit.records import Record
from hrtoolkit.schemes import ClassScheme, Scheme

Stacked = dict[str, Tensor]  # targets of a batch whose inputs are of one size, by name
Listed = list[Stacked]  # and of a padded batch: those of each input
Targets = TypeVar("Targets", contravariant=True)  # which of both a head compares with
Truth = TypeVar("Truth", bound=Record, contravariant=True)  # the kind of record that it learns
BatchTargets = Stacked | Listed
Output = Tensor | Sequence[Tensor] | Mapping[str, Tensor]  # what a head makes of maps


class Backbone(Protocol):
    """From images to maps: an nn.Module. Required are `forward`, `out_channels` and `out_strides`."""

    @property
    def out_channels(self) -> Sequence[int]:
        """Of the maps, finest first."""
        ...

    @property
    def out_strides(self) -> Sequence[int]:
        """In input pixels."""
        ...

    @property
    def optional_parts(self) -> tuple[str, ...]:
        """Beginnings of names that weights may lack or have besides; default none."""
        ...

    def forward(self, images: Tensor) -> list[Tensor]:
        """Maps [B, C, H, W], finest first, of normalised images [B, 3, H, W]."""
        ...


class Neck(Protocol):
    """From maps to maps: an nn.Module built with `in_channels` and `in_strides`; what it must have is a backbone's."""

    @property
    def out_channels(self) -> Sequence[int]:
        """Of the maps, finest first."""
        ...

    @property
    def out_strides(self) -> Sequence[int]:
        """In input pixels."""
        ...

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Maps, finest first, of maps."""
        ...

    def __call__(self, maps: list[Tensor]) -> list[Tensor]:
        """As `forward`."""
        ...

    def describe(self) -> Settings:
        """What predictions depend on, see `BasePart`."""
        ...


class Head(Protocol[Truth, Targets]):
    """What a task reads off maps: an nn.Module built with `in_channels` and `in_strides`, finest first.

    Required are `scheme`, `targets`, `forward`, `loss` and `predict`; `BaseHead` has the rest.
    """

    @property
    def needs(self) -> Mapping[str, object]:
        """Arguments that its view is built with; default none."""
        ...

    @property
    def reads(self) -> tuple[str, ...]:
        """Constructor arguments that data sets are told too, such as "masks"; default none."""
        ...

    @property
    def flips(self) -> bool:
        """Whether `predict` can average with mirrored images; default true."""
        ...

    @property
    def flip_shift(self) -> int:
        """Pixels that mirrored images are moved to the left by, so that the cells of its maps mirror; default 0."""
        ...

    @property
    def kind(self) -> type[Scheme]:
        """The kind of its scheme; default `ClassScheme`."""
        ...

    @property
    def output_layers(self) -> Mapping[str, int] | None:
        """Which layers have rows for each output, and how many; default None, all with as many rows as outputs."""
        ...

    @property
    def extra_outputs(self) -> tuple[str, ...]:
        """Rows of the last layers before those of the scheme, such as "background"."""
        ...

    @property
    def more_outputs(self) -> Mapping[str, tuple[str, ...]]:
        """Rows of single layers after those of the scheme, such as "center"; default none."""
        ...

    @property
    def scheme(self) -> Scheme:
        """What the outputs stand for."""
        ...

    @property
    def targets(self) -> Callable[[Truth, Frame], dict[str, ndarray]]:
        """Makes arrays by name of a record in input pixels, see `hrtoolkit.frames.to_input`, and the input's frame.

        It runs in loader processes, so it is a plain function or a small object: a bound method would carry the network
        there.
        """
        ...

    def forward(self, maps: list[Tensor]) -> Output:
        """The raw output."""
        ...

    def __call__(self, maps: list[Tensor]) -> Output:
        """As `forward`."""
        ...

    def loss(self, maps: list[Tensor], targets: Targets, frames: Frame) -> Mapping[str, Tensor | int]:
        """Compare with the truth; `loss_*` are summed, other names are logged only.

        What a loss was divided by, such as the labelled pixels, stands beside it as `count_*`; without that it is taken
        for a mean over the inputs. Processes sum both: see `hrtoolkit.totals`.

        Args:
            maps: of B inputs.
            targets: as a batch has them, stacked by name or a list with a dict an input.
            frames: of the inputs.
        """
        ...

    def predict(self, maps: list[Tensor], frames: Frame, flipped: list[Tensor] | None = None) -> Sequence[Record]:
        """One record an input, in pixels of its image, as NumPy arrays.

        Args:
            maps: of B inputs.
            frames: of the inputs.
            flipped: maps of the mirrored inputs, to be averaged with.
        """
        ...

    @property
    def reads_sizes(self) -> bool:
        """Whether `decode` asks for `sizes_hw`; default false."""
        ...

    def decode(
        self, maps: list[Tensor], flipped: list[Tensor] | None = None, sizes_hw: Tensor | None = None
    ) -> dict[str, Tensor]:
        """What an export computes, see `BaseHead`; only exporting needs it."""
        ...

    def read(self, outputs: Mapping[str, ndarray], frames: Frame) -> Sequence[Record]:
        """Records of what an export gave, see `BaseHead`."""
        ...

    def reading(self) -> Settings:
        """What `read` depends on, see `BaseHead`."""
        ...

    def adapt(self, tensors: dict[str, Tensor], source: str) -> tuple[dict[str, Tensor], list[str]]:
        """Take over weights of a related head, see `BaseHead`."""
        ...

    def draw_targets(self, images: Tensor, targets: Targets, frames: Frame) -> list[ndarray]:
        """What `loss` compares with over its images, see `BaseHead`."""
        ...

    def describe(self) -> Settings:
        """What predictions depend on, see `BasePart`."""
        ...


class BasePart(nn.Module):
    """Defaults of every part of a network."""

    def describe(self) -> Settings:
        """What predictions of these weights depend on, in plain values; it is kept in every checkpoint."""
        return {}


class BaseBackbone(BasePart):
    """Defaults of a backbone."""

    out_channels: Sequence[int]
    out_strides: Sequence[int]
    optional_parts: tuple[str, ...] = ()


class BaseNeck(BasePart):
    """Defaults of a neck."""

    out_channels: Sequence[int]
    out_strides: Sequence[int]


class BaseHead(BasePart, Generic[Targets]):
    """Defaults of a head."""

    moved: ClassVar[Moved] = {}
    needs: Mapping[str, object] = {}
    reads: tuple[str, ...] = ()
    flips: bool = True
    flip_shift: int = 0
    kind: type[Scheme] = ClassScheme
    output_layers: Mapping[str, int] | None = None
    extra_outputs: tuple[str, ...] = ()
    more_outputs: Mapping[str, tuple[str, ...]] = {}
    reads_sizes: bool = False  # whether `decode` has to know how large the inputs of a padded batch are

    def decode(
        self, maps: list[Tensor], flipped: list[Tensor] | None = None, sizes_hw: Tensor | None = None
    ) -> dict[str, Tensor]:
        """What an export computes: the part of `predict` that is one graph, in pixels of the inputs.

        Args:
            maps: of B inputs.
            flipped: maps of the mirrored inputs, to be averaged with.
            sizes_hw: [B, 2] int64, height and width of the inputs without a batch's padding, where `reads_sizes` is.

        Returns:
            tensors by name, whose first axis is B; the raw output stands first.
        """
        raise NotImplementedError(f"{type(self).__name__} has no decode, which exporting needs")

    def read(self, outputs: Mapping[str, ndarray], frames: Frame) -> Sequence[Record]:
        """The rest of `predict`: one record an input from what `decode` gave, as arrays."""
        raise NotImplementedError(f"{type(self).__name__} has no read, which predicting with an export needs")

    def reading(self) -> Settings:
        """What `read` depends on, in plain values: `kind`, which `hrtoolkit.runtime` knows, and its options."""
        raise NotImplementedError(f"{type(self).__name__} has no reading, which exporting needs")

    def adapt(self, tensors: dict[str, Tensor], source: str) -> tuple[dict[str, Tensor], list[str]]:
        """Take over weights of a related head; as they are by default.

        Args:
            tensors: by the names of this head's own.
            source: what format they were read from.

        Returns:
            the tensors, and notes for the loading report.
        """
        return tensors, []

    def draw_targets(self, images: Tensor, targets: Targets, frames: Frame) -> list[ndarray]:
        """What `loss` compares with over its images, RGB uint8 [h, w, 3] each; the bare images by default.

        Args:
            images: [B, 3, H, W], 0 to 255.
            targets: as for `loss`.
            frames: of the inputs.
        """
        return list(images.byte().permute(0, 2, 3, 1).numpy())
