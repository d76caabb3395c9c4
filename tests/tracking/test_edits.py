"""Corrections of ids: how they are written, and what they do to a video."""

import pytest

from hrtoolkit.errors import OptionError, UserError
from hrtoolkit.tracking.edits import Merge, Swap, change_ids, check_edits, parse_edits


def video(frames, source="film.mp4"):
    """Predictions of the journal by the ids of each frame."""
    return [
        {"source": source, "frame": number, "objects": [{"id": one} if one else {} for one in ids]}
        for number, ids in enumerate(frames)
    ]


def edit(text, predictions):
    edits = check_edits(parse_edits(text), predictions)
    changed = [change_ids(one, edits) for one in predictions]
    return [[thing.get("id", 0) for thing in one["objects"]] for one in changed]


@pytest.mark.parametrize(
    ("text", "edits"),
    [
        ("12=3", [Merge(None, 12, 3)]),
        ("40:swap(1,2)", [Swap(None, 40, 1, 2)]),
        (" 12 = 3 , 40: swap( 1, 2 )", [Merge(None, 12, 3), Swap(None, 40, 1, 2)]),
        ("film.mp4:40:swap(1,2),b.mp4:12=3", [Swap("film.mp4", 40, 1, 2), Merge("b.mp4", 12, 3)]),
        ("a/one, two (3).mp4:12=3,4=5", [Merge("a/one, two (3).mp4", 12, 3), Merge(None, 4, 5)]),
        ("7:12=3", [Merge("7", 12, 3)]),
    ],
)
def test_corrections_are_read(text, edits):
    assert parse_edits(text) == edits


@pytest.mark.parametrize("text", ["", "12", "12=", "a=b", "40:swap(1)", "swap(1,2)", "12=3;4=5", "12=3,x", "-1=2"])
def test_what_is_no_correction(text):
    with pytest.raises(OptionError, match=r"expected corrections such as 12=3"):
        parse_edits(text)


def test_one_id_twice_is_no_correction():
    for text in ("3=3", "40:swap(2,2)"):
        with pytest.raises(OptionError, match="twice the same id"):
            parse_edits(text)


def test_who_came_back_gets_the_first_id():
    assert edit("3=1", video([[1, 2], [2], [2, 3], [3, 0]])) == [[1, 2], [2], [2, 1], [1, 0]]


def test_two_are_exchanged_from_a_frame_on():
    assert edit("2:swap(1,2)", video([[1, 2], [1], [2, 1], [1], [2, 3]])) == [[1, 2], [1], [1, 2], [2], [1, 3]]


def test_corrections_are_made_one_after_another():
    frames = [[1, 2], [1, 2], [3, 2]]
    assert edit("3=1,1:swap(1,2)", video(frames)) == [[1, 2], [2, 1], [2, 1]]
    # Where 3 is 1 already, they can be exchanged; the other way round 3 is somebody else.
    assert edit("1:swap(1,2),3=2", video([[1, 2], [1], [3, 0]])) == [[1, 2], [2], [2, 0]]


def test_exchanging_twice_changes_nothing():
    frames = [[1, 2], [2, 1], [1, 0]]
    assert edit("1:swap(1,2),1:swap(1,2)", video(frames)) == frames


def test_of_several_videos_one_is_named_by_the_end_of_its_path():
    both = video([[1], [2]], "films/a.mp4") + video([[1], [2]], "films/b.mp4")
    assert edit("b.mp4:2=1", both) == [[1], [2], [1], [1]]
    assert edit("films/a.mp4:0:swap(1,2)", both) == [[2], [1], [1], [1]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("12=1", "film.mp4 has no id 12 then; it has 1, 2, 3"),
        ("1=12", "has no id 12"),
        ("2=1", "both are in frame 1 of film.mp4, so they are two"),
        ("3=1,3=2", "has no id 3 then"),
        ("40:swap(1,2)", "has the frames 0 to 3"),
        ("3:swap(1,2)", "nobody of them is in film.mp4 from that frame on"),
        ("1:swap(1,9)", "has no id 9"),
        ("other.mp4:3=1", r"no such video, such as film\.mp4:3=1; there are film\.mp4"),
    ],
)
def test_what_is_not_there_is_said(text, message):
    with pytest.raises(UserError, match=message):
        edit(text, video([[1], [1, 2], [2], [3]]))


def test_a_folder_without_ids_or_videos_is_said():
    with pytest.raises(UserError, match=r"several videos; name one before it, such as a\.mp4:1=2"):
        edit("1=2", video([[1]], "a.mp4") + video([[2]], "b.mp4"))
    with pytest.raises(UserError, match="nobody has an id there"):
        edit("1=2", video([[0], []]))
    with pytest.raises(UserError, match="there are no videos"):
        edit("1=2", [{"source": "a.jpg", "objects": []}])
