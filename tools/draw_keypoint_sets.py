"""Draw the keypoints of public data sets for docs/keypoint_sets.md: python tools/draw_keypoint_sets.py

Poses are made up so that names do not overlap. Lines and the colors of the sides are those of the toolkit's drawings.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from hrtoolkit.files import write_atomically
from hrtoolkit.runtime.drawing import LEFT, RIGHT, SINGLE
from hrtoolkit.runtime.sides import left_first
from hrtoolkit.schemes import KeypointScheme
from hrtoolkit.schemes.faces import IBUG_68
from hrtoolkit.schemes.layouts import LAYOUTS
from hrtoolkit.schemes.people import CROWDPOSE

FOLDER = Path(__file__).parent.parent / "docs/images/keypoints"
DRAWN = {"crowdpose": CROWDPOSE, **LAYOUTS}

Point = tuple[float, float]
# Somebody who faces us, their left side on our right: what has no side, then the left one of each pair; in pixels.
MIDDLE: dict[str, Point] = {
    **{"head_top": (0, -150), "head": (0, -150), "nose": (0, -104), "neck": (0, -60), "head_bottom": (0, -72)},
    **{"belly": (0, 16), "hip": (0, 70)},
}
SIDE: dict[str, Point] = {
    **{"eye": (13, -118), "ear": (27, -110), "shoulder": (52, -50), "elbow": (78, 14), "wrist": (98, 74)},
    **{"finger": (106, 98), "hip": (30, 72), "knee": (38, 152), "ankle": (44, 228), "heel": (34, 244)},
    **{"toe": (56, 250), "big_toe": (50, 256), "small_toe": (70, 248)},
}
# An animal that walks to our left and shows its left side; "elbow" of one set is where the other has "shoulder".
ANIMAL: dict[str, Point] = {
    **{"l_eye": (-118, -74), "r_eye": (-142, -80), "nose": (-166, -46), "l_earbase": (-92, -100)},
    **{"r_earbase": (-118, -110), "neck": (-78, -40), "throat": (-96, -26), "withers": (-58, -52)},
    **{"root of tail": (130, -44), "tailbase": (130, -44)},
    **{"l_shoulder": (-66, 0), "l_elbow": (-72, 56), "l_f_paw": (-78, 122), "l_hip": (104, 0), "l_knee": (116, 56)},
    **{"l_b_paw": (106, 122), "r_shoulder": (-36, -6), "r_elbow": (-26, 48), "r_f_paw": (-20, 108)},
    **{"r_hip": (74, -6), "r_knee": (64, 48), "r_b_paw": (50, 108)},
}
LEGS = {"_elbow": {"f": "shoulder", "b": "hip"}, "_knee": {"f": "elbow", "b": "knee"}}  # f, b: of front and back
# The palm of a left hand, from the wrist and from the base of each finger to its tip.
FINGERS: dict[str, tuple[Point, ...]] = {
    "thumb": ((-40, 78), (-70, 48), (-94, 16), (-112, -14)),
    "forefinger": ((-36, 0), (-46, -44), (-52, -74), (-57, -102)),
    "middle_finger": ((-4, -8), (-5, -58), (-6, -92), (-6, -124)),
    "ring_finger": ((25, 0), (33, -44), (38, -76), (42, -104)),
    "pinky_finger": ((52, 16), (68, -18), (78, -42), (86, -66)),
}
WRIST: Point = (0, 116)
# The right half of a face by the numbers of 300W, in hundredths of half the distance of the outer eye corners.
FACE: dict[int, Point] = {
    **{0: (-130, 10), 1: (-128, 50), 2: (-120, 82), 3: (-108, 114), 4: (-92, 142), 5: (-72, 164), 6: (-50, 178)},
    **{7: (-25, 190), 8: (0, 196), 17: (-110, -32), 18: (-92, -48), 19: (-68, -54), 20: (-45, -50), 21: (-22, -42)},
    **{27: (0, -5), 28: (0, 17), 29: (0, 39), 30: (0, 60), 31: (-30, 74), 32: (-15, 80), 33: (0, 84)},
    **{36: (-100, 0), 37: (-82, -12), 38: (-58, -12), 39: (-40, 3), 40: (-58, 12), 41: (-82, 11)},
    **{48: (-66, 124), 49: (-40, 108), 50: (-16, 101), 51: (0, 105), 57: (0, 164), 58: (-18, 162), 59: (-42, 150)},
    **{60: (-52, 126), 61: (-18, 115), 62: (0, 117), 66: (0, 146), 67: (-18, 145)},
}

# First point and end of each part of a face, what numbers look away from, counted from its mean, and how far.
FACE_PARTS: tuple[tuple[int, int, Point, float], ...] = (
    *((0, 17, (0, -60), 11), (17, 27, (0, 200), 11), (27, 31, (-300, 0), 11), (31, 36, (0, -60), 11)),
    *((36, 42, (0, 0), 11), (42, 48, (0, 0), 11), (48, 60, (0, 0), 11), (60, 68, (0, 0), -11)),
)
SIGN = {"right": -1, "left": 1}  # of x on our side
ROW = 15  # pixels a line of text


class Drawing:
    """An SVG that grows with what is drawn.

    Args:
        scheme: whose keypoints are drawn.
    """

    def __init__(self, scheme: KeypointScheme):
        self.scheme = scheme
        sides = [{pair[side] for pair in left_first(scheme.mirrored)} for side in (0, 1)]
        self.colors = [
            _hex(LEFT if name in sides[0] else RIGHT if name in sides[1] else SINGLE) for name in scheme.names
        ]
        self.elements: list[str] = []
        self.corners: list[Point] = []

    def draw_points(self, places: Mapping[str, Point], radius: float) -> None:
        """Draw keypoints and the lines between them.

        Args:
            places: of the keypoints, by name.
            radius: of the dots.
        """
        for a, b in self.scheme.skeleton:
            if a in places and b in places:
                i, j = self.scheme.names.index(a), self.scheme.names.index(b)
                color = self.colors[i] if self.colors[i] == self.colors[j] else _hex(SINGLE)
                self.draw_line(places[a], places[b], color, radius * 0.7)
        for name, (x, y) in places.items():
            color = self.colors[self.scheme.names.index(name)]
            self.elements.append(f'<circle cx="{x:g}" cy="{y:g}" r="{radius:g}" fill="{color}"/>')
            self.corners += [(x - radius, y - radius), (x + radius, y + radius)]

    def draw_line(self, start: Point, end: Point, color: str, width: float) -> None:
        """Draw a line of some color, as SVG spells it, and width in pixels."""
        (x1, y1), (x2, y2) = start, end
        ends = f'x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}"'
        self.elements.append(f'<line {ends} stroke="{color}" stroke-width="{width:g}"/>')

    def write_names(self, places: Mapping[str, Point], reach: float) -> None:
        """Write the names into two columns, each joined to its point by a thin line.

        Args:
            places: of the keypoints, by name; those of x above 0 go to the right.
            reach: how far the columns are from the middle.
        """
        for sign in (-1, 1):
            names = [name for name, (x, _) in places.items() if (x >= 0) == (sign > 0)]
            names.sort(key=lambda name: (places[name][1], sign * places[name][0]))
            heights = _spread([places[name][1] for name in names], ROW)
            for name, height in zip(names, heights, strict=True):
                self.draw_line((sign * (reach - 3), height), places[name], "#999999", 0.6)
                self.write(f"{self.scheme.names.index(name)} {name}", (sign * reach, height + 4), sign)

    def write_numbers(self, places: Mapping[str, Point], names: Iterable[str], middle: Point, away: float = 11) -> None:
        """Write the channel of some keypoints beside them, on the side that looks away from a point.

        Args:
            places: of the keypoints, by name.
            names: of these keypoints.
            middle: that point.
            away: pixels between a keypoint and its number; below 0 it looks to that point.
        """
        for name in names:
            x, y = places[name]
            direction = complex(x - middle[0], y - middle[1])
            step = direction / abs(direction) * away
            self.write(str(self.scheme.names.index(name)), (x + step.real, y + step.imag + 3), 0, 9)

    def write(self, text: str, place: Point, sign: int, size: int = 12) -> None:
        """Write a line of text.

        Args:
            text: what it says.
            place: of its base line.
            sign: 1 where the line begins there, -1 where it ends there, 0 where its middle is.
            size: of the letters.
        """
        x, y = place
        anchor = {1: "start", -1: "end", 0: "middle"}[sign]
        width = 0.62 * size * len(text)  # of a wide font
        left = x - width * {1: 0, -1: 1, 0: 0.5}[sign]
        self.corners += [(left, y - size), (left + width, y + size / 3)]
        self.elements.append(f'<text x="{x:g}" y="{y:g}" font-size="{size}" text-anchor="{anchor}">{text}</text>')

    def svg(self) -> str:
        """The text of the file, as large as what is drawn."""
        low, high = ([limit(axis) for axis in zip(*self.corners, strict=True)] for limit in (min, max))
        x, y = (round(start) - 8 for start in low)
        width, height = (round(end) + 8 - start for start, end in zip((x, y), high, strict=True))
        head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{x} {y} {width} {height}" width="{width}"'
        label = f'role="img" aria-label="The keypoints of {self.scheme.title}"'
        ground = f'<rect x="{x}" y="{y}" width="{width}" height="{height}" fill="#ffffff" rx="6"/>'
        head = f'{head} height="{height}" font-family="sans-serif" fill="#222222" {label}>'
        return "\n".join([head, ground, *self.elements, "</svg>"]) + "\n"


def draw(scheme: KeypointScheme) -> str:
    """Draw the keypoints of a data set as an SVG.

    Args:
        scheme: of people, whole bodies, hands, faces or animals.

    Raises:
        KeyError: a keypoint is none of them.
    """
    drawing = Drawing(scheme)
    names = scheme.names
    face = [name for name in names if name.startswith("face-")]
    hands = {side: [name for name in names if _is_of_hand(name, side)] for side in ("right", "left")}
    body = [name for name in names if name not in (*face, *hands["right"], *hands["left"])]
    if not body and face:
        _draw_face(drawing, face, (0.0, 0.0))
    elif "wrist" in names:
        places = _shift(_place_hand(names), (0, 0), 1.6)
        drawing.draw_points(places, 5)
        drawing.write_names(places, 200)
    else:
        animal = "Nose" in names
        places = {name: _place_animal(name) if animal else _place_person(name, scheme.title) for name in body}
        places = _shift(places, (0, 0), 1.25 if animal else 1.5 if face else 1.2)
        drawing.draw_points(places, 5)
        drawing.write_names(places, 235 if animal else 180 if face else 160)
    if face and body:
        _draw_face(drawing, face, (0, 570))
        for side, x in (("right", -125), ("left", 125)):
            _draw_hand(drawing, side, hands[side], (x, 1080))
    return drawing.svg()


def _draw_face(drawing: Drawing, names: list[str], middle: Point) -> None:
    """Draw a face with the channels of its points, and what the first and last of them are called."""
    places = _shift(dict(zip(names, map(_place_face, range(68)), strict=True)), middle, 1.75)
    for i, j in IBUG_68.skeleton_indices():  # thin, because the scheme has no such lines
        drawing.draw_line(places[names[i]], places[names[j]], "#cccccc", 1)
    drawing.draw_points(places, 3)
    for first, end, (right, down), away in FACE_PARTS:
        part = names[first:end]
        x, y = (sum(axis) / len(part) for axis in zip(*(places[name] for name in part), strict=True))
        drawing.write_numbers(places, part, (x + right, y + down), away)
    drawing.write(" ".join(_first_to_last(drawing.scheme, names)), (middle[0], middle[1] - 125), 0)


def _draw_hand(drawing: Drawing, side: str, names: list[str], middle: Point) -> None:
    """Draw a hand with the channels of its points, and the wrist where the skeleton starts there."""
    places = {name: _place_hand([name.removeprefix(f"{side}_")])[name.removeprefix(f"{side}_")] for name in names}
    wrist = f"{side}_wrist"
    if any(wrist in line and set(line) & set(names) for line in drawing.scheme.skeleton):
        places[wrist] = (WRIST[0], WRIST[1] + 22)
    if side == "right":
        places = {name: (-x, y) for name, (x, y) in places.items()}
    places = _shift(places, middle, 1.0)
    drawing.draw_points(places, 4)
    for name, (x, y) in places.items():
        drawing.write(str(drawing.scheme.names.index(name)), (x + 7 * SIGN[side], y + 3), SIGN[side], 9)
    for row, line in enumerate(_first_to_last(drawing.scheme, names)):
        drawing.write(line, (middle[0], middle[1] + 164 + ROW * row), 0)


def _first_to_last(scheme: KeypointScheme, names: list[str]) -> tuple[str, str]:
    first, last = (f"{scheme.names.index(name)} {name}" for name in (names[0], names[-1]))
    return f"{first} to", last


def _place_person(name: str, title: str) -> Point:
    side, _, part = name.partition("_")
    if side in ("left", "right"):
        x, y = SIDE[part]
        return (x if side == "left" else -x, y)
    if title == "sub-JHMDB" and name == "head":  # its middle, where others mean the top
        return MIDDLE["nose"]
    return MIDDLE[name]


def _place_animal(name: str) -> Point:
    name = name.lower()
    for joint, parts in LEGS.items():
        if name.endswith(joint) and name.count("_") == 2:
            name = f"{name[0]}_{parts[name[2]]}"
    return ANIMAL[name]


def _place_hand(names: Iterable[str]) -> dict[str, Point]:
    return {name: WRIST if name in ("wrist", "hand_root") else FINGERS[name[:-1]][int(name[-1]) - 1] for name in names}


def _place_face(number: int) -> Point:
    if number in FACE:
        return FACE[number]
    partner = LAYOUTS["coco_wholebody_face"].flip_order()[number]
    x, y = FACE[partner]
    return (-x, y)


def _is_of_hand(name: str, side: str) -> bool:
    part = name.removeprefix(f"{side}_")
    return part != name and (part == "hand_root" or part[:-1] in FINGERS)


def _shift(places: Mapping[str, Point], to: Point, scale: float) -> dict[str, Point]:
    """Places around another point, in another size."""
    return {name: (round(to[0] + scale * x, 1), round(to[1] + scale * y, 1)) for name, (x, y) in places.items()}


def _spread(heights: list[float], gap: float) -> list[float]:
    """Move sorted heights apart until they have a gap, those that touch around their common mean."""
    groups: list[list[float]] = []
    for height in heights:
        group = [height]
        while groups and _first(group, gap) - (_first(groups[-1], gap) + (len(groups[-1]) - 1) * gap) < gap:
            group = groups.pop() + group
        groups.append(group)
    return [round(_first(group, gap) + i * gap, 1) for group in groups for i in range(len(group))]


def _first(group: list[float], gap: float) -> float:
    """Where the first of a group stands, whose members have a gap."""
    return sum(group) / len(group) - (len(group) - 1) * gap / 2


def _hex(color: tuple[int, int, int]) -> str:
    return "#" + "".join(f"{part:02x}" for part in color)


if __name__ == "__main__":
    for layout, one in DRAWN.items():
        with write_atomically(FOLDER / f"{layout}.svg") as file:
            file.write(draw(one))
    print(f"{FOLDER}: {len(DRAWN)} pictures, {sum(path.stat().st_size for path in FOLDER.iterdir()) // 1024} KiB")
