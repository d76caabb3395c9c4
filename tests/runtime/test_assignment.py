"""The cheapest assignment: SciPy's, of matrices of every shape."""

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from hrtoolkit.runtime.assignment import assign

SHAPES = [(0, 0), (0, 3), (3, 0), (1, 1), (1, 5), (5, 1), (4, 4), (7, 3), (3, 9), (30, 30), (30, 12)]


def of_tags(rng, shape):
    """Costs as grouping has them: nearly equal in blocks."""
    distances = np.abs(rng.normal(0, 3, (shape[0], 1)) - rng.normal(0, 3, shape[1]))
    return 100 * np.rint(distances) + 1e-3 * distances**2 - rng.random(shape[1])


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("make", [lambda rng, shape: rng.normal(0, 1, shape), of_tags], ids=["any", "tags"])
def test_pairs_are_those_of_scipy(make, shape):
    rng = np.random.default_rng(0)
    for _ in range(30):
        costs = make(rng, shape)
        for found, expected in zip(assign(costs), linear_sum_assignment(costs), strict=True):
            np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_of_several_that_cost_the_same_one_is_found(shape):
    rng = np.random.default_rng(1)
    for _ in range(30):
        costs = rng.integers(0, 4, shape).astype(float)
        rows, columns = assign(costs)
        assert len(set(rows.tolist())) == len(set(columns.tolist())) == min(shape)
        assert costs[rows, columns].sum() == costs[linear_sum_assignment(costs)].sum()
