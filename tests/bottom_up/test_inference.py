"""People found at several scales."""

import numpy as np
import pytest
import torch

from hrtoolkit import build_model
from hrtoolkit.errors import OptionError
from hrtoolkit.frames import Warp
from hrtoolkit.tasks.bottom_up.inference import PoseMultiScale, scale_images

from .test_higher_hrnet import TINY, make_config


def make_model(**options):
    torch.manual_seed(0)
    model = build_model(make_config(TINY, **options)).eval()
    for module in model.modules():  # as it starts, everything is nearly 0
        if isinstance(module, torch.nn.Conv2d | torch.nn.ConvTranspose2d):
            torch.nn.init.kaiming_normal_(module.weight)
    frames = Warp.stack([Warp((60, 90), size, False, np.eye(2, 3)) for size in ((64, 128), (50, 70))])
    return model, torch.randn(2, 3, 64, 128), frames


@pytest.mark.parametrize("flip", [False, True])
def test_one_scale_is_the_model_itself(flip):
    model, images, frames = make_model()
    model.flip_test = flip
    with torch.no_grad():
        plain = model(images, frames=frames, mode="predict")
        scaled = PoseMultiScale((1.0,))(model, model.branch(), images, frames)
    assert len(plain[0].points) > 3 and len(plain[1].points) > 3
    for one, other in zip(plain, scaled, strict=True):
        np.testing.assert_allclose(one.points, other.points, atol=1e-4)
        np.testing.assert_allclose(one.point_scores, other.point_scores, atol=1e-4)


@pytest.mark.parametrize("flip", [False, True])
def test_the_network_sees_every_scale(flip):
    model, images, frames = make_model()
    model.flip_test = flip
    seen = []
    model.backbone.register_forward_pre_hook(lambda _, args: seen.append(tuple(args[0].shape[-2:])))
    with torch.no_grad():
        people = PoseMultiScale()(model, model.branch(), images, frames)
    sizes = [(128, 256), (64, 128), (32, 64)]
    assert sorted(seen, reverse=True) == sorted(sizes * (2 if flip else 1), reverse=True) and len(people) == 2
    assert all(one.points[..., 0].max() < size for one, size in zip(people, (128, 70), strict=True))


def test_a_pixel_keeps_its_place_at_every_scale():
    images = torch.rand(2, 3, 6, 8)
    assert torch.equal(scale_images(images, 1), images)
    torch.testing.assert_close(scale_images(images, 0.5), images[..., ::2, ::2])
    for scale in (2, 3):
        larger = scale_images(images, scale)
        assert larger.shape == (2, 3, 6 * scale, 8 * scale)
        torch.testing.assert_close(larger[..., ::scale, ::scale], images)
    between = (images[..., 1:, :] + images[..., :-1, :]) / 2
    torch.testing.assert_close(scale_images(images, 2)[..., 1:11:2, ::2], between)
    torch.testing.assert_close(scale_images(images, 1.5)[..., ::3, ::3], images[..., ::2, ::2])


@pytest.mark.parametrize("scales", [(), (0.5, 2.0), (1.0, 0.7), (1.0, -1.0), (1.0, 1.0), (0.0, 1.0)])
def test_scales_that_are_not_possible_are_refused(scales):
    with pytest.raises(OptionError, match=r"multiples of 0.5 with 1 among them"):
        PoseMultiScale(scales)


def test_a_head_that_cannot_join_scales_is_refused():
    config = make_config(TINY)
    config.model.head = dict(type="HeatmapHead", scheme="coco")
    model = build_model(config).eval()
    with pytest.raises(OptionError, match="HeatmapHead cannot join scales"):
        PoseMultiScale()(model, model.branch(), torch.zeros(1, 3, 64, 64), make_model()[2])
