from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from hrtoolkit.errors import UserError
from hrtoolkit.export.keeping import find_fewest, quantise_within, relative_error
from hrtoolkit.export.quantise import Int8


class Sum(Int8):
    """A network that adds up the errors of its groups."""

    suffix = ".txt"

    def __init__(self, errors: dict[str, float], folder: Path):
        self.errors = errors
        self.groups = list(errors)
        self.inputs = [{"images": np.zeros(1)}] * 20
        self.model = folder / "model.onnx"
        self.model.write_text("0")

    def _quantise(self):
        raise AssertionError

    def write(self, out, kept=()):
        out.write_text(str(sum(error for group, error in self.errors.items() if group not in kept)))

    def run(self, path, inputs):
        return [{"heatmaps": np.full(3, 1 + float(path.read_text()))} for _ in inputs]


def read(path: Path) -> float:
    return float(path.read_text())


def test_all_is_int8_where_the_budget_allows(tmp_path):
    found = quantise_within(Sum({"a": 0.1, "b": 0.2}, tmp_path), tmp_path / "out.txt", read, budget=0.5)
    assert found.groups == [] and found.errors == {} and found.tried == [(0, pytest.approx(0.3))]
    assert read(tmp_path / "out.txt") == found.loss


@pytest.mark.parametrize(("budget", "kept"), [(1.25, "b"), (0.7, "bd"), (0.45, "bda"), (0.25, "bdac"), (0.12, "bdace")])
def test_the_worst_groups_are_kept(tmp_path, budget, kept):
    errors = {"a": 0.3, "b": 0.8, "c": 0.2, "d": 0.5, "e": 0.1, "f": 0.1}
    network = Sum(errors, tmp_path)
    found = quantise_within(network, tmp_path / "out.txt", read, budget)
    assert "".join(found.groups) == kept
    left = sum(error for group, error in errors.items() if group not in kept)
    assert found.loss == read(tmp_path / "out.txt") == pytest.approx(left)
    assert list(found.errors) == ["b", "d", "a", "c", "e", "f"] and found.errors["b"] == pytest.approx(0.8)


@pytest.mark.parametrize("measure", [lambda path: 1 + read(path), lambda path: math.nan])
def test_a_budget_that_nothing_holds_is_said(tmp_path, measure):
    network = Sum({"a": 0.3, "b": 0.8, "c": 0.2}, tmp_path)
    with pytest.raises(UserError, match=r"even where c alone is in int8, and 0\.5 are allowed: .*--budget"):
        quantise_within(network, tmp_path / "out.txt", measure, budget=0.5)
    assert not (tmp_path / "out.txt").exists()


def test_one_group_alone_cannot_be_kept(tmp_path):
    with pytest.raises(UserError, match="even where a alone is in int8"):
        quantise_within(Sum({"a": 0.3}, tmp_path), tmp_path / "out.txt", read, budget=0.1)


@pytest.mark.parametrize("most", [0, 1, 2, 3, 8, 21])
def test_the_fewest_are_found_in_few_steps(most):
    for wanted in range(1, most + 2):
        asked: list[int] = []

        def holds(count: int, wanted: int = wanted, asked: list[int] = asked) -> bool:
            asked.append(count)
            return count >= wanted

        assert find_fewest(holds, most) == (wanted if wanted <= most else None)
        assert len(asked) == len(set(asked)) <= 9 and all(1 <= count <= most for count in asked)


def test_errors_are_relative_to_what_is_compared():
    expected = [{"points": np.zeros(2), "scores": np.array([3.0, 4.0])}]
    assert relative_error([{"points": np.ones(2), "scores": np.array([3.0, 4.5])}], expected) == pytest.approx(0.1)
    assert relative_error([{"points": np.ones(2), "scores": np.array([3.0, np.nan])}], expected) == math.inf
