import pytest
import torch

from hrtoolkit.checkpoints import load_fitting
from hrtoolkit.errors import OptionError
from hrtoolkit.tasks.bottom_up.rescoring import RescoringNet

from ..test_official_outputs import named_value


def make_poses(joints):
    i, k = torch.arange(3, dtype=torch.float64)[:, None], torch.arange(joints, dtype=torch.float64)
    points = torch.stack([100 + 10 * k + 5 * i * k.sin(), 50 + 7 * k + 3 * i * k.cos()], dim=-1)
    points[2] *= 0.02
    return points, 0.9 - 0.03 * k - 0.1 * i


def make_net(joints, tmp_path):
    net = RescoringNet(joints)
    torch.save({name: named_value(name, t) for name, t in net.state_dict().items()}, tmp_path / "rescore.pth")
    load_fitting(net, tmp_path / "rescore.pth")
    return net.double()


def test_coco_features_and_scores_are_the_official_ones(tmp_path):
    net = make_net(17, tmp_path)
    points, scores = make_poses(17)
    features = net.describe(points, scores)
    assert features.shape == (3, 74)
    assert features[0, :4].tolist() == pytest.approx([-0.1365386546, -0.0955770537, -0.2730773091, -0.1911541075])
    assert features[0, 38:41].tolist() == pytest.approx([0.1666667, 0.3333333, 0.1666667], rel=1e-5)
    assert features[1:, :2].flatten().tolist() == pytest.approx(
        [-0.1965324581, -0.0777548477, -0.2581092417, -0.0594552606]
    )
    assert features.sum(1).tolist() == pytest.approx([8.4711402804, 6.8883175325, 5.4782090746])
    outputs = net(points, scores)
    assert outputs.tolist() == pytest.approx([0.159614980, 0.153380543, 0.117317133], rel=1e-6)
    final = [0.105345887, 0.085893104, 0.053965881]
    assert (outputs * scores.mean(1)).tolist() == pytest.approx(final, rel=1e-5)


def test_crowdpose_features_and_scores_are_the_official_ones(tmp_path):
    net = make_net(14, tmp_path)
    points, scores = make_poses(14)
    assert net.describe(points, scores).sum(1).tolist() == pytest.approx([33.6919168632, 34.6407914013, 19.5348570198])
    outputs = net(points, scores)
    assert outputs.tolist() == pytest.approx([0.283615977, 0.195721686, -0.045427419], rel=1e-5)
    final = [0.199949263, 0.118411620, -0.022940847]
    assert (outputs * scores.mean(1)).tolist() == pytest.approx(final, rel=1e-5)


def test_without_weights_scores_stay():
    points, scores = make_poses(17)
    assert torch.equal(RescoringNet(17)(points.float(), scores.float()), torch.ones(3))


def test_of_other_joints_nothing_is_known():
    with pytest.raises(OptionError, match=r"17 joints of COCO and the 14 of CrowdPose, got 5"):
        RescoringNet(5)
