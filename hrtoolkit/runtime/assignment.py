"""The cheapest assignment, for where there is no SciPy."""

from __future__ import annotations

import numpy as np
from numpy import ndarray


def assign(costs: ndarray) -> tuple[ndarray, ndarray]:
    """Pair rows with columns so that the sum of their costs is the least (Crouse, IEEE TAES 2016).

    Args:
        costs: [N, M], finite.

    Returns:
        rows in ascending order and their columns, both [min(N, M)], as SciPy's `linear_sum_assignment` gives them.
    """
    if costs.shape[0] > costs.shape[1]:
        columns, rows = assign(costs.T)
        order = rows.argsort()
        return rows[order], columns[order]
    count = len(costs)
    if not count:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    # What columns pay; rows pay the rest of what their pairs cost. Any other two pay no more than they would cost.
    prices = np.zeros(costs.shape[1])
    row_of, column_of = np.full(costs.shape[1], -1), np.full(count, -1)
    # Rows have what they like best as long as nobody had it before.
    liked, first = np.unique(costs.argmin(axis=1), return_index=True)
    row_of[liked], column_of[first] = first, liked
    for row in np.flatnonzero(column_of < 0).tolist():
        _add_row_(row, costs, prices, row_of, column_of)
    return np.arange(count), column_of


def _add_row_(start: int, costs: ndarray, prices: ndarray, row_of: ndarray, column_of: ndarray) -> None:
    """Give one more row a column, on the shortest way over those that others have; in place."""
    distances, before = np.full(len(prices), np.inf), np.full(len(prices), -1)
    done = np.zeros(len(prices), bool)
    row, length, paid = start, 0.0, 0.0
    while True:
        reached = length + costs[row] - prices - paid
        nearer = ~done & (reached < distances)
        distances[nearer], before[nearer] = reached[nearer], row
        column = int(np.where(done, np.inf, distances).argmin())
        done[column], length = True, distances[column]
        if row_of[column] < 0:
            break
        row = int(row_of[column])
        paid = costs[row, column] - prices[column]
    prices[done] += distances[done] - length
    while column >= 0:  # everybody on the way moves on; who is new had none
        row = int(before[column])
        row_of[column], column_of[row], column = row, column, int(column_of[row])
