"""The heatmap head and its loss; numbers of the official code."""

import pickle

import numpy as np
import pytest
import torch

from hrtoolkit.errors import DataError, OptionError
from hrtoolkit.frames import Warp
from hrtoolkit.keypoints.codecs import DarkHeatmap, GaussianHeatmap, UDPHeatmap
from hrtoolkit.keypoints.head import HeatmapHead
from hrtoolkit.keypoints.loss import KeypointMSE, heatmap_accuracy
from hrtoolkit.records import Objects
from hrtoolkit.runtime import geometry
from hrtoolkit.schemes import KeypointScheme, check_same
from hrtoolkit.schemes.people import COCO

INDEX = torch.arange(2 * 3 * 4 * 5, dtype=torch.float64).view(2, 3, 4, 5)
OUTPUT, TARGET = torch.sin(0.3 * INDEX), torch.cos(0.2 * INDEX)
WEIGHTS = torch.tensor([[1, 0, 1.5], [1, 1, 1.2]], dtype=torch.float64)


@pytest.mark.parametrize(
    ("hardest", "weights", "expected"),
    [
        (None, WEIGHTS, 0.6244408754194065),
        (None, torch.ones_like(WEIGHTS), 0.4706734290470303),
        (2, WEIGHTS, 0.8727165910078539),
        (2, torch.ones_like(WEIGHTS), 0.6149846054658921),
    ],
)
def test_losses_equal_the_official_ones(hardest, weights, expected):
    assert KeypointMSE(hardest)(OUTPUT, TARGET, weights).item() == pytest.approx(expected, rel=1e-6)


def test_accuracy_counts_peaks_near_the_true_ones():
    predicted = torch.tensor([[[5, 5], [6, 7], [3, 3]], [[5, 5], [1, 5], [8, 8]]])
    true = torch.tensor([[[5, 5], [6, 8], [9, 9]], [[7, 5], [1, 5], [8, 9]]])
    # The original drops joints whose true cell is in the first two columns; here they are unlabelled.
    weights = torch.tensor([[1, 1, 1], [1, 0, 1]])
    assert heatmap_accuracy(predicted, true, weights, (16, 12)).item() == pytest.approx(0.16666666666666666)
    assert heatmap_accuracy(predicted, true, 0 * weights, (16, 12)).item() == 0


def make_head(**options):
    return HeatmapHead(in_channels=(8, 16), in_strides=(4, 8), scheme="coco", **options)


def test_official_names_and_shapes():
    shapes = {name: tuple(tensor.shape) for name, tensor in make_head().state_dict().items()}
    assert shapes == {"final_layer.weight": (17, 8, 1, 1), "final_layer.bias": (17,)}


class Maps(torch.nn.Module):
    """Stands for the convolution: hands on heatmaps as they are."""

    def forward(self, x):
        return x


def test_heatmaps_are_contiguous_whatever_the_order_of_the_maps():
    maps = torch.rand(2, 32, 4, 3).to(memory_format=torch.channels_last)
    head = HeatmapHead([32], [4], scheme=COCO).to(memory_format=torch.channels_last)
    assert head([maps]).is_contiguous()


def test_predictions_are_in_image_pixels_also_when_averaged_with_the_mirrored_image():
    head = make_head(codec=UDPHeatmap())
    head.final_layer = Maps()
    rng = np.random.default_rng(0)
    matrices = [geometry.crop_matrix((100, 80), (120, 160), (192, 256), angle, unbiased=True) for angle in (0, 25)]
    crop_points = rng.uniform((20, 20), (170, 230), (2, 17, 2))
    image_points = geometry.transform_points(crop_points, geometry.invert_affine(np.stack(matrices)))
    crops = torch.from_numpy(crop_points).float()
    maps, _ = head.codec.encode(crops, torch.ones(2, 17), (64, 48), 4)
    mirrored = torch.stack([191 - crops[..., 0], crops[..., 1]], dim=-1)[:, COCO.flip_order()]
    mirrored_maps, _ = head.codec.encode(mirrored, torch.ones(2, 17), (64, 48), 4)
    boxes = np.array([[40.0, 0, 160, 160], [50, 10, 150, 150]])
    frames = Warp.stack(
        [Warp((300, 400), (256, 192), False, m, b, 0.5, 19200.0) for m, b in zip(matrices, boxes, strict=True)]
    )
    for flipped in (None, [mirrored_maps]):
        people = head.predict([maps], frames, flipped)
        for person, expected, box in zip(people, image_points, boxes, strict=True):
            assert person.point_scores.shape == (1, 17)
            # A tenth of an input pixel, which is 1.6 times finer than the image here.
            np.testing.assert_allclose(person.points[0], expected, atol=0.1)
            np.testing.assert_array_equal(person.boxes_xyxy, [box])
            assert person.scores.tolist() == [0.5] and person.areas.tolist() == [19200.0]


def test_loss_ignores_what_is_not_labelled():
    head = make_head()
    maps = [torch.rand(2, 8, 64, 48)]
    targets = {"keypoints": torch.full((2, 17, 2), 60.0), "visible": torch.zeros(2, 17)}
    losses = head.loss(maps, targets, None)
    assert losses["loss_heatmap"].item() == 0
    assert losses["accuracy"].item() == 0


def test_other_keypoints_in_the_data_are_refused():
    with pytest.raises(
        DataError, match=r"the data has 2 keypoints \(a, b\), the head has 17 .*Leave model.head.scheme"
    ):
        check_same(KeypointScheme(("a", "b")), make_head().scheme)


def test_unknown_schemes_are_answered_with_the_known_ones():
    with pytest.raises(OptionError, match=r"one of coco, .* or a dict .*, got 'cocoo'"):
        HeatmapHead((8,), (4,), scheme="cocoo")


def test_a_head_needs_of_its_view_what_its_codec_needs():
    assert make_head(codec=UDPHeatmap()).needs == {"unbiased": True}
    assert make_head(codec=DarkHeatmap()).needs == make_head(codec=GaussianHeatmap()).needs == {}


def test_targets_are_the_points_of_the_one_object_and_carry_no_network_to_a_worker():
    points, visible = np.ones((1, 17, 2), np.float32), np.full((1, 17), 2, np.uint8)
    head = make_head()
    record = Objects(np.zeros((1, 4)), np.zeros(1, int), points=points, visible=visible)
    frame = Warp((256, 192), (256, 192), False, np.eye(2, 3))
    targets = head.targets(record, frame)
    assert targets["keypoints"].shape == (17, 2) and targets["keypoints"].dtype == np.float32
    assert targets["visible"].tolist() == [1.0] * 17 and targets["visible"].dtype == np.float32
    assert len(pickle.dumps(head.targets)) < 200
