"""HigherHRNet: heatmaps at two resolutions, and tags that say which joints are of one person (arXiv:1908.10357)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import torch
from numpy import ndarray
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from hrtoolkit.backbones.hrnet import BasicBlock
from hrtoolkit.errors import OptionError
from hrtoolkit.frames import Frame, Settings, Warp
from hrtoolkit.parts import Listed
from hrtoolkit.ranges import NotNegative, Positive, Share
from hrtoolkit.records import Objects
from hrtoolkit.registry import HEADS
from hrtoolkit.runtime.oks import collect_people
from hrtoolkit.runtime.tagged import find_people
from hrtoolkit.schemes import SchemeLike
from hrtoolkit.tasks.bottom_up.embedding import find_cells, heatmap_error, paint_heatmaps, pull_and_push, read_tags
from hrtoolkit.tasks.bottom_up.heads import PeopleHead, sizes_of
from hrtoolkit.tasks.bottom_up.inference import Seen
from hrtoolkit.tasks.bottom_up.peaks import MOST_PEOPLE, pool_candidates, resize
from hrtoolkit.tasks.bottom_up.targets import draw_people, fit_use, people_targets

BLOCKS = 4  # residual ones after the transposed convolution


@HEADS.register_module()
class HigherHRNetHead(PeopleHead):
    """Everybody in an image by associative embedding, at a quarter and at half of the input's resolution.

    Convention: cell i of a map holds the input pixels from stride * i on, so a joint is read at the middle of its cell.

    Args:
        in_channels: channels of each map received, finest first.
        in_strides: their strides.
        scheme: the keypoints: a known name such as "coco", names, fields of a scheme, or a scheme; None takes them from
            the training data.
        levels: 2 is HigherHRNet; 1 is HRNet with associative embedding, which has no transposed convolution.
        sigma: deviation of the painted gaussians in cells, the same on both levels.
        push: what keeps the tags of two people d apart: "exponential" exp(-d^2), or "max" max(1 - |d|, 0).
        tag_weight: of both losses of the tags, beside those of the heatmaps.
        flip: where joints of mirrored training inputs are painted: "aligned" at the mirror image of their cells,
            "original" a cell beside, as the official code does.
        masks: do not compare where a crowd is, or people of whom no keypoint is labelled.
        threshold: height from which a peak is a joint.
        fill: joints of a person that were not found are looked for where the tags are the person's, and taken where the
            heatmap is above this; None leaves them out. 0, as the official code has it, fills almost every joint: a
            hidden one often on somebody else.

    Raises:
        OptionError: no scheme is given or known, or an option is none of those above.
    """

    targets = staticmethod(people_targets)
    output_layers: Mapping[str, int] = {}  # heatmaps and tags are inputs of the next level: no row stands alone

    def __init__(
        self,
        in_channels: Sequence[int],
        in_strides: Sequence[int],
        *,
        scheme: SchemeLike | None = None,
        levels: Literal[1, 2] = 2,
        sigma: Positive = 2.0,
        push: Literal["exponential", "max"] = "exponential",
        tag_weight: NotNegative = 1e-3,
        flip: Literal["aligned", "original"] = "aligned",
        masks: bool = True,
        threshold: Share = 0.1,
        fill: NotNegative | None = 0.0,
    ):
        super().__init__(scheme)
        for name, value, choices in (
            ("levels", levels, (1, 2)),
            ("push", push, ("exponential", "max")),
            ("flip", flip, ("aligned", "original")),
        ):
            if value not in choices:
                raise OptionError(f"HigherHRNetHead: {name} is {value!r}, expected one of {choices}")
        self.sigma, self.push, self.flip = sigma, push, flip
        self.tag_weight = tag_weight
        self.threshold, self.fill = threshold, fill
        self.strides = [in_strides[0], in_strides[0] // 2][:levels]
        channels, joints = in_channels[0], len(self.scheme.names)
        # Named as in the official release, so that its weights load without renaming.
        self.final_layers = nn.ModuleList(nn.Conv2d(channels, n, 1) for n in (2 * joints, joints)[:levels])
        self.deconv_layers = nn.ModuleList(_finer(channels + 2 * joints, channels) for _ in range(levels - 1))
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.normal_(module.weight, std=0.001)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Heatmaps and then tags [B, 2K, H, W] at the stride of the map, and heatmaps [B, K, 2H, 2W] at half of it."""
        x = maps[0]
        outputs = [self.final_layers[0](x)]
        for finer, final in zip(self.deconv_layers, list(self.final_layers)[1:], strict=True):
            x = finer(torch.cat([x, outputs[-1]], dim=1))
            outputs.append(final(x))
        return [output.contiguous() for output in outputs]

    def loss(self, maps: list[Tensor], targets: Listed, frames: Frame) -> dict[str, Tensor]:
        """Compare with the people of each image.

        Args:
            maps: of B inputs.
            targets: see `people_targets`.
            frames: of the inputs.
        """
        with torch.autocast(maps[0].device.type, enabled=False):
            outputs = self([x.float() for x in maps])
            points, visible = (pad_sequence([one[name] for one in targets], True) for name in ("points", "visible"))
            mirrored = torch.stack([one["mirrored"] for one in targets])
            losses = {}
            for stride, output in zip(self.strides, outputs, strict=True):
                cells, there, drawn = self._paint(points, visible, mirrored, stride, output.shape[-2:])
                use = torch.stack([fit_use(one["use"], drawn.shape[-2:], stride) for one in targets])
                losses[f"loss_heatmap_{stride}"] = heatmap_error(output[:, : drawn.shape[1]], drawn, use)
                if stride == self.strides[0]:
                    tags = read_tags(output[:, drawn.shape[1] :], cells, there)
                    pull, push = pull_and_push(tags, there, self.push)
            return losses | {"loss_pull": self.tag_weight * pull.mean(), "loss_push": self.tag_weight * push.mean()}

    def _paint(
        self, points: Tensor, visible: Tensor, mirrored: Tensor, stride: int, map_hw: Sequence[int]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The cells of all joints, which of them lie on the map, and their heatmaps."""
        height, width = map_hw
        cells = find_cells(points, mirrored, stride, self.flip)
        x, y = cells.unbind(-1)
        there = (visible > 0) & (x >= 0) & (x < width) & (y >= 0) & (y < height)
        return cells, there, paint_heatmaps(cells, there, (height, width), self.sigma)

    def predict(self, maps: list[Tensor], frames: Frame, flipped: list[Tensor] | None = None) -> list[Objects]:
        """Find everybody.

        Args:
            maps: of B inputs.
            frames: of the inputs.
            flipped: maps of the mirrored inputs, to be averaged with.

        Returns:
            the people of each image, see `read`.
        """
        found = self.decode(maps, flipped, sizes_of(frames, maps[0].device))
        return self.read({name: value.cpu().numpy() for name, value in found.items()}, frames)

    def decode(
        self, maps: list[Tensor], flipped: list[Tensor] | None = None, sizes_hw: Tensor | None = None
    ) -> dict[str, Tensor]:
        """`heatmaps` [B, K, h, w], means of all levels, and `tags` [B, K, T, h, w], of which T are compared.

        On a GPU also what `pool_candidates` gives; elsewhere `read` looks for them where they can be.
        """
        heatmaps, tags = self._read_maps(maps, flipped)
        return self._with_candidates(heatmaps, tags, heatmaps.shape[-2] * self.strides[-1], sizes_hw)

    def decode_scales(self, seen: Iterable[Seen], input_hw: tuple[int, int], sizes_hw: Tensor) -> dict[str, Tensor]:
        """As `decode`, of several scales: heatmaps are means in input pixels, and tags those of scale 1.

        Args:
            seen: maps at each scale.
            input_hw: of the batch at scale 1.
            sizes_hw: [B, 2], of the inputs at scale 1.
        """
        total, count, tags = None, 0, None
        for one in seen:
            heatmaps, own_tags = self._read_maps(one.maps, one.flipped)
            enlarged = resize(heatmaps, input_hw)
            total, count = enlarged if total is None else total + enlarged, count + 1
            tags = own_tags if one.scale == 1 else tags
        assert total is not None and tags is not None, "scale 1 is among the scales"
        return self._with_candidates(total / count, tags, input_hw[0], sizes_hw)

    def _read_maps(self, maps: list[Tensor], flipped: list[Tensor] | None) -> tuple[Tensor, Tensor]:
        """Mean heatmaps [B, K, h, w] and tags [B, K, T, h, w] of the finest level, T = 2 with mirrored inputs."""
        joints = len(self.flip_order)
        heats, tags = [], []  # of the inputs, and of the mirrored ones turned back
        for one in [maps] if flipped is None else [maps, flipped]:
            outputs = [output.float() for output in self(one)]
            coarse = resize(outputs[0], outputs[-1].shape[-2:])
            heats.append(torch.stack([coarse[:, :joints], *outputs[1:]]).mean(0))
            tags.append(coarse[:, joints:])
        if flipped is not None:
            heats[1], tags[1] = (one.flip(-1)[:, self.flip_order] for one in (heats[1], tags[1]))
        return torch.stack(heats).mean(0), torch.stack(tags, dim=2)

    @staticmethod
    def _with_candidates(heatmaps: Tensor, tags: Tensor, height: int, sizes_hw: Tensor | None) -> dict[str, Tensor]:
        """What `decode` gives, of maps whose input has `height` rows."""
        found = {"heatmaps": heatmaps, "tags": tags}
        if heatmaps.device.type == "cpu":
            return found
        return found | pool_candidates(heatmaps, tags, height // heatmaps.shape[-2], sizes_hw)

    def read(self, outputs: Mapping[str, ndarray], frames: Frame) -> list[Objects]:
        """The 30 best people of each image, best first, see `tagged.find_people`."""
        assert isinstance(frames, Warp), "views of whole people give such frames"
        records = []
        for i in range(len(frames)):
            own = {name: values[i] for name, values in outputs.items()}
            height, width = frames[i].input_hw
            points, point_scores, scores = find_people(own, (height, width), self.reading())
            records.append(Objects(**collect_people(frames[i].points_to_image(points), point_scores, scores)))
        return records

    def reading(self) -> Settings:
        return {
            "kind": "tagged_people",
            "stride": self.strides[-1],
            "threshold": self.threshold,
            "fill": self.fill,
            "most": MOST_PEOPLE,
        }

    def adapt(self, tensors: dict[str, Tensor], source: str) -> tuple[dict[str, Tensor], list[str]]:
        """Take over the layer of mmpose's HRNet with associative embedding, which has the name of that for crops."""
        rows = tensors.get("final_layer.weight", torch.empty(0)).shape[0]
        if rows != self.final_layers[0].out_channels or len(self.strides) > 1:
            return tensors, []
        return {name.replace("final_layer.", "final_layers.0."): tensor for name, tensor in tensors.items()}, []

    def draw_targets(self, images: Tensor, targets: Listed, frames: Frame) -> list[ndarray]:
        return draw_people(images, targets, self.scheme)

    def describe(self) -> Settings:
        return {**super().describe(), "udp": False}


def _finer(in_channels: int, channels: int) -> nn.Sequential:
    """Twice the resolution by a transposed convolution, and residual blocks."""
    up = nn.Sequential(
        nn.ConvTranspose2d(in_channels, channels, 4, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
    )
    return nn.Sequential(up, *(nn.Sequential(BasicBlock(channels)) for _ in range(BLOCKS)))
