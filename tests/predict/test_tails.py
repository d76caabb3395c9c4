"""Lines behind everybody in a film: as long as asked for, in the color of the id, and of one video only."""

import numpy as np
import pytest

from hrtoolkit.errors import OptionError
from hrtoolkit.predict import Prediction, Source
from hrtoolkit.predict.output import Output
from hrtoolkit.predict.sources import open_source
from hrtoolkit.predict.tails import Tails
from hrtoolkit.records import Objects
from hrtoolkit.runtime.drawing import draw_tails, own_color
from hrtoolkit.schemes import ClassScheme

from .test_output import write

THINGS = ClassScheme(("cat",))
IMAGE = np.zeros((100, 400, 3), np.uint8)


def walk(frame, numbers=(1,), name="film.mp4", time=None):
    """Somebody 10 pixels further each frame, at 10 frames a second."""
    boxes = np.array([[10.0 * frame + 5, 40, 10 * frame + 15, 60]] * len(numbers)).reshape(-1, 4)
    record = Objects(boxes, np.zeros(len(numbers), np.int64), np.ones(len(numbers)), ids=np.array(numbers, int))
    source = Source(name, None, frame, frame / 10 if time is None else time)
    return Prediction(source, record, THINGS, IMAGE)


def test_a_tail_reaches_back_as_many_seconds():
    tails = Tails(1.0)
    for frame in range(30):
        image = tails.draw(walk(frame)).image
    columns = np.flatnonzero(image.any(axis=(0, 2)))
    # From frame 19, ten frames before the last one, and round ends of the line.
    assert abs(columns.min() - 200) <= 3 and abs(columns.max() - 300) <= 3
    assert (image == own_color(1)).all(axis=-1).any() and not IMAGE.any()


def test_who_has_left_loses_the_tail_and_another_video_has_none():
    tails = Tails(0.5)
    for frame in range(10):
        image = tails.draw(walk(frame, (7,))).image
    assert (image == own_color(7)).all(axis=-1).any()
    for frame in range(10, 20):
        image = tails.draw(walk(frame, ())).image
    assert not image.any() and not tails._ways
    tails.draw(walk(0, (7,)))
    assert not tails.draw(walk(1, (7,), "other.mp4")).image.any()


def test_who_has_no_id_has_no_tail():
    tails = Tails(1.0)
    for frame in range(5):
        image = tails.draw(walk(frame, (-1,))).image
    assert not image.any()


def test_places_that_are_none_are_left_out():
    way = np.array([[10.0, 10], [np.nan, 5], [1e12, 10], [20, 20]])
    assert draw_tails(IMAGE, {1: way, 2: way[:1], 3: way[1:2]}).any()


def test_a_video_is_drawn_with_tails(tmp_path):
    pytest.importorskip("av")
    frames = [walk(frame) for frame in range(20)]
    write(tmp_path / "tail", frames, THINGS, tail=1)
    write(tmp_path / "none", frames, THINGS)
    (with_tail, without) = (
        [*open_source(tmp_path / name / "pictures/film.mp4")][-1].image[50, 110:180] for name in ("tail", "none")
    )
    assert (with_tail.max(axis=-1) > 100).all() and (without.max(axis=-1) < 50).all()


def test_tails_are_no_shorter_than_nothing(tmp_path):
    for tail in (-1, float("nan"), float("inf")):
        with pytest.raises(OptionError, match="seconds, a number from 0 on"):
            Output(tmp_path, THINGS, {}, tail=tail)
