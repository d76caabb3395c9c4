import numpy as np
import pytest

from hrtoolkit.importers.groups import group_of
from hrtoolkit.importers.groups import hold_out as choose


def hold_out(names, fraction, useful=None):
    return choose(names, fraction, np.ones(len(names), bool) if useful is None else np.array(useful))


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("images/cam1_frame_000201.png", "images/cam1"),
        ("video (3).mp4_frame_0000011.jpg", "./video (3).mp4"),
        ("out8_frame_0029_png.rf.214cce6bb3ae771154f090f8010467bb.jpg", "./out8"),
        ("a/0001.jpg", "a/"),
        ("a/portrait.jpg", "a/portrait"),
    ],
)
def test_a_group_is_a_film_as_far_as_names_tell(name, group):
    assert group_of(name) == group


def test_whole_films_are_held_out():
    names = [f"film{letter}_{number:03}.jpg" for letter in "abcdefghij" for number in range(10)]
    held, how = hold_out(names, 0.2)
    assert held.reshape(10, 10).all(axis=1).sum() == 2 and held.sum() == 20
    assert how == "2 of 10 groups by folder and name"
    assert (hold_out(names[::-1], 0.2)[0][::-1] == held).all(), "the order of the files does not matter"


def test_of_one_film_the_end_is_held_out():
    names = [f"frame_{number}.jpg" for number in (2, 10, 1, 9, 3, 4, 5, 6, 7, 8)]
    held, _ = hold_out(names, 0.2)
    assert [name for name, one in zip(names, held, strict=True) if one] == ["frame_10.jpg", "frame_9.jpg"]


def test_copies_of_one_picture_stay_together():
    names = [f"a_{number}_jpg.rf.{copy}.jpg" for number in range(5) for copy in ("aa", "bb", "cc")]
    held, _ = hold_out(names, 0.2)
    assert held.tolist() == [False] * 12 + [True] * 3


@pytest.mark.parametrize("count", [2, 3, 4, 5])
def test_something_is_left_on_both_sides(count):
    for names in ([f"{n}.jpg" for n in range(count)], [f"{n * 'x'}y.jpg" for n in range(count)]):
        held, _ = hold_out(names, 0.2)
        assert 0 < held.sum() < count
    assert np.array_equal(hold_out(["a/1.jpg", "b/1.jpg", "b/2.jpg"], 0.3)[0].sum() > 0, True)


def test_there_is_something_to_validate_on():
    frames = [f"frame_{number}.jpg" for number in range(10)]
    held, _ = hold_out(frames, 0.2, [True, True] + [False] * 8)
    assert held.tolist() == [False] + [True] * 9, "the last one with something in it, and what follows"
    films = [f"film{letter}_{number}.jpg" for letter in "abcdef" for number in range(4)]
    useful = [name.startswith(("filmb", "filmc", "filmd")) for name in films]
    held, how = hold_out(films, 0.3, useful)
    assert how.startswith("1 of 3 groups") and held.sum() == 4 and held[useful].sum() == 4
