"""Toy faces: what is drawn is where the landmarks say, and the same seed draws the same."""

import numpy as np
import pytest

from hrtoolkit.errors import DataError
from hrtoolkit.schemes.faces import IBUG_68
from hrtoolkit.tasks.face.datasets import Face300W
from hrtoolkit.toy.faces import SIZE, make_face, make_landmarks, write_faces


def test_a_head_is_symmetric_but_for_its_noise():
    mean = np.mean([make_landmarks(np.random.default_rng(i)) for i in range(200)], axis=0)
    # Deviation 0.012 in a single head; the difference of two means of 200 has a tenth of that.
    np.testing.assert_allclose(mean[IBUG_68.flip_order()] * (-1, 1, 1), mean, atol=0.006)
    outer_corners = [IBUG_68.names.index(name) for name in IBUG_68.nme_reference]
    np.testing.assert_allclose(np.ptp(mean[outer_corners, 0]), 2, atol=0.01)


def test_landmarks_lie_on_what_is_drawn():
    inside_mouth, cheeks = [], []
    for i in range(40):
        image, points = make_face(np.random.default_rng(i))
        assert image.shape == (SIZE, SIZE, 3) and image.dtype == np.uint8
        assert points.shape == (68, 2) and points.min() >= 0 and points.max() <= SIZE - 1
        mouth, cheek = points[60:68].mean(axis=0), (points[31] + points[4]) / 2
        for point, values in ((mouth, inside_mouth), (cheek, cheeks)):
            x, y = point.round().astype(int)
            values.append(image[y, x].astype(float))
    # Skin has as much green as half its red at least; lips and mouths have less of it than the skin beside them.
    redness = [np.array(v)[:, 0] - np.array(v)[:, 1] for v in (inside_mouth, cheeks)]
    assert (np.array(inside_mouth)[:, 1] < np.array(cheeks)[:, 1]).mean() > 0.95
    assert redness[0].mean() > redness[1].mean()


def test_faces_are_written_as_300w_keeps_its_own(tmp_path):
    assert write_faces(tmp_path, train=3, test=2, seed=5)
    assert not write_faces(tmp_path, train=3, test=2, seed=5)
    samples = Face300W(data_root=tmp_path, folders="testset")
    assert len(samples) == 2
    image, points = make_face(np.random.default_rng([5, 1, 1]))
    np.testing.assert_array_equal(samples.read(1), image)
    np.testing.assert_allclose(samples.truth(1).points[0], points, atol=1e-3)
    with pytest.raises(DataError, match="holds something else than toy faces, version 1: 4 to train on"):
        write_faces(tmp_path, train=4, test=2, seed=5)


def test_other_peoples_folders_are_left_alone(tmp_path):
    (tmp_path / "holiday.jpg").write_text("mine")
    with pytest.raises(DataError, match="delete it or choose another folder"):
        write_faces(tmp_path, train=1, test=1)
    assert [path.name for path in tmp_path.iterdir()] == ["holiday.jpg"]
