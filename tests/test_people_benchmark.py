"""The benchmark of an image against the people in it: every form finds as many as there are, and lines cross."""

import json
import sys

import numpy as np
import pytest

from benchmarks import people
from hrtoolkit.config import load_config

from .test_contracts import shrink


def load_small(name):
    config = shrink(load_config(name))
    if "size" in config.model.view and config.model.view.type == "ShortSide":
        config.model.view["size"] = 128
    return config


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(people, "load_config", load_small)


@pytest.mark.parametrize("name", people.BOTTOM_UP)
def test_a_bottom_up_model_finds_as_many_as_it_is_told(name, monkeypatch):
    model = people.build(people.BOTTOM_UP[name], "cpu")
    image = np.zeros((120, 160, 3), np.uint8)
    found = []
    monkeypatch.setattr(model.branch(), "finish", lambda records: found.extend(records) or records[0])
    for count, most in ((0, 0), (7, 7), (50, 30)):
        module = sys.modules[type(model.head).__module__]
        monkeypatch.setattr(module, "find_centers", people.told(count))
        people.predict(model, image)
        assert 0 < len(found[-1].labels) <= most or count == 0 == len(found[-1].labels)


def test_times_are_printed_and_drawn(tmp_path, monkeypatch, capsys):
    figure = tmp_path / "people.svg"
    monkeypatch.setattr(sys, "argv", ["people", "--counts", "1", "33", "--rounds", "1", "--figure", str(figure)])
    people.main()
    *_, last = capsys.readouterr().out.splitlines()
    report = json.loads(last)
    assert set(report["milliseconds"]) == {people.GIVEN, people.FOUND, *people.BOTTOM_UP}
    assert all(len(times) == 2 and min(times) > 0 for times in report["milliseconds"].values())
    assert figure.read_text().count("people an image") >= 1


@pytest.mark.parametrize(
    ("rising", "flat", "crossing"),
    [([1, 5, 9], [4, 4, 4], 4), ([5, 6, 7], [4, 4, 4], 1), ([1, 2, 3], [4, 4, 4], None), ([1, 5, 9], [5, 5, 5], 5)],
)
def test_a_crossing_lies_between_two_counts(rising, flat, crossing):
    assert people.find_crossing([1, 5, 9], rising, flat) == crossing
