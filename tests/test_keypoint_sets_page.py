"""The page of public keypoint sets is current, and its pictures show what layouts say."""

import re
import xml.etree.ElementTree as ElementTree

import pytest

from hrtoolkit.runtime.drawing import LEFT, RIGHT, SINGLE
from hrtoolkit.schemes.known import KEYPOINTS
from tools.draw_keypoint_sets import DRAWN, FOLDER, draw
from tools.make_keypoint_sets import PAGE, SETS, find_configs, write_page

SVG = "{http://www.w3.org/2000/svg}"
COLORS = {f"#{r:02x}{g:02x}{b:02x}": side for (r, g, b), side in ((LEFT, "left"), (RIGHT, "right"), (SINGLE, ""))}


def test_the_page_is_that_of_layouts_and_configs():
    assert PAGE.read_text() == write_page(), "run python tools/make_keypoint_sets.py"


def test_every_set_with_terms_is_on_the_page_and_drawn():
    public = {name for name, scheme in KEYPOINTS.items() if scheme.terms}
    assert set(SETS) == set(DRAWN) == public and len(public) == 16
    assert {path.stem for path in FOLDER.iterdir()} == public
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 2**20
    assert [name for name in SETS if not find_configs(name)] == ["humanart21"]


@pytest.mark.parametrize("name", DRAWN)
def test_a_picture_is_that_of_its_layout(name):
    path = FOLDER / f"{name}.svg"
    assert path.read_text() == draw(DRAWN[name]), "run python tools/draw_keypoint_sets.py"


def boxes_of_texts(picture):
    for text in picture.iter(f"{SVG}text"):
        x, y, size = (float(text.get(key)) for key in ("x", "y", "font-size"))
        width = 0.56 * size * len(text.text)
        left = x - width * {"start": 0, "middle": 0.5, "end": 1}[text.get("text-anchor")]
        yield text.text, left, y - 0.75 * size, left + width, y


@pytest.mark.parametrize("name", DRAWN)
def test_names_and_numbers_are_whole_and_do_not_overlap(name):
    picture = ElementTree.parse(FOLDER / f"{name}.svg").getroot()
    names = DRAWN[name].names
    boxes = list(boxes_of_texts(picture))
    numbers = {int(one) for text, *_ in boxes for one in re.findall(r"^\d+", text)}
    assert numbers == set(range(len(names)))
    for text, *_ in boxes:
        for one in filter(None, re.split(" to(?: |$)", text)):  # "23 face-0 to 90 face-67"
            number, _, said = one.partition(" ")
            assert said in ("", names[int(number)])
    x, y, width, height = map(float, picture.get("viewBox").split())
    for i, (text, left, top, right, bottom) in enumerate(boxes):
        assert x <= left and y <= top and right <= x + width and bottom <= y + height
        for other, *box in boxes[:i]:
            assert left >= box[2] or right <= box[0] or top >= box[3] or bottom <= box[1], f"{text} and {other}"


@pytest.mark.parametrize("name", DRAWN)
def test_left_is_on_our_right_and_has_its_color(name):
    """Of people who face us, and of a hand of theirs; of an animal only colors tell."""
    scheme = DRAWN[name]
    picture = ElementTree.parse(FOLDER / f"{name}.svg").getroot()
    dots = [(COLORS[dot.get("fill")], float(dot.get("cx"))) for dot in picture.iter(f"{SVG}circle")]
    assert len(dots) >= len(scheme.names)
    assert {side for side, _ in dots} == ({"left", "right", ""} if scheme.mirrored else {""})
    assert "Nose" in scheme.names or all((x > 0) == (side == "left") for side, x in dots if side)
