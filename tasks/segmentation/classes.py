"""The classes of a label map: their names, the values that stand for them in files, colours and mirror partners."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

IGNORED = 255  # in the network's label maps: a pixel that is neither learnt nor scored
_UNKNOWN = 254  # in lookup tables alone: a value that stands for nothing


@dataclass(frozen=True)
class ClassSet:
    """What the values in a dataset's label files stand for; a class's index is its position among `names`.

    Args:
        names: one unique name a class, in channel order.
        ids: the value of each class in label files; 0, 1, 2, ... by default.
        ignored: values in label files that are neither learnt nor scored; 255 always is, unless it is a class.
        palette: RGB of each class; PASCAL VOC's colours by default.
        mirrored: pairs of names that change places when the image is mirrored.

    Raises:
        ValueError: names, ids or pairs contradict each other, or there are more than 254 classes.
    """

    names: tuple[str, ...]
    ids: tuple[int, ...] = ()
    ignored: tuple[int, ...] = ()
    palette: tuple[tuple[int, int, int], ...] = ()
    mirrored: tuple[tuple[str, str], ...] = ()

    def __post_init__(self):
        for field in ("names", "ids", "ignored", "palette", "mirrored"):
            if isinstance(value := getattr(self, field), str) or not isinstance(value, Sequence):
                raise ValueError(f"classes: {field} must be a list, got {value!r}")
        # Configs bring lists; a frozen record holds tuples.
        for field in ("names", "ids", "ignored"):
            object.__setattr__(self, field, tuple(getattr(self, field)))
        for field in ("palette", "mirrored"):
            object.__setattr__(self, field, tuple(tuple(entry) for entry in getattr(self, field)))
        count = len(self.names)
        repeated = sorted({name for name in self.names if self.names.count(name) > 1})
        if not 1 <= count <= _UNKNOWN or repeated:
            raise ValueError(f"classes: 1 to {_UNKNOWN} unique names are needed, got {count} (repeated: {repeated})")
        object.__setattr__(self, "ids", self.ids or tuple(range(count)))
        object.__setattr__(self, "palette", self.palette or voc_palette(count))
        for field in ("ids", "palette"):
            if len(getattr(self, field)) != count:
                raise ValueError(f"classes: {len(getattr(self, field))} {field} for {count} names")
        if len(set(self.ids)) != count or set(self.ids) & set(self.ignored):
            raise ValueError(f"classes: each of {self.ids} and {self.ignored} may stand for one thing only")
        values = (*self.ids, *self.ignored)
        colours = [part for colour in self.palette for part in colour]
        if not all(isinstance(value, int) for value in (*values, *colours)):
            raise ValueError("classes: ids, ignored values and the parts of colours must be whole numbers")
        if len(colours) != 3 * count or min(colours) < 0 or max(colours) > 255:
            raise ValueError("classes: palette takes red, green and blue from 0 to 255 for each class")
        if min(values) < 0 or max(values) > 65535:
            raise ValueError(f"classes: label files hold values from 0 to 65535, got {min(values)} to {max(values)}")
        partners = [name for pair in self.mirrored for name in pair]
        if unknown := sorted(set(partners) - set(self.names)):
            raise ValueError(f"classes: mirrored {unknown} are not among the names {list(self.names)}")
        if len(set(partners)) != len(partners):
            raise ValueError(f"classes: a name stands in more than one mirrored pair of {self.mirrored}")

    def flip_order(self) -> list[int]:
        """Index of the mirror partner of each class; a class without a partner is its own."""
        partner = {a: b for pair in self.mirrored for a, b in (pair, pair[::-1])}
        return [self.names.index(partner.get(name, name)) for name in self.names]

    def encode(self, values: np.ndarray) -> np.ndarray:
        """Turn the values of a label file [H, W] into class indices, uint8 [H, W], IGNORED where nothing counts.

        Raises:
            ValueError: a value is neither a class nor ignored; the message lists all such values.
        """
        table = np.full(65536 if values.dtype != np.uint8 else 256, _UNKNOWN, np.uint8)
        table[[255, *(value for value in self.ignored if value < len(table))]] = IGNORED
        known = [(value, index) for index, value in enumerate(self.ids) if value < len(table)]
        for value, index in known:
            table[value] = index
        if values.dtype != np.uint8 and values.size and not 0 <= values.min() <= values.max() < len(table):
            raise ValueError(f"label values from {values.min()} to {values.max()}, expected 0 to {len(table) - 1}")
        indices = table[values]
        if (indices == _UNKNOWN).any():
            found = np.unique(values[indices == _UNKNOWN]).tolist()
            shown = ", ".join(map(str, found[:10])) + (", ..." if len(found) > 10 else "")
            raise ValueError(
                f"label values {shown} are neither classes ({_ranges(self.ids)}) nor ignored "
                f"({_ranges((*self.ignored, 255))}); correct the file, or the dataset's classes (ids, ignored)"
            )
        return indices

    def decode(self, indices: np.ndarray) -> np.ndarray:
        """Turn class indices [H, W] into the values of label files."""
        return np.array(self.ids, np.uint8 if max(self.ids) < 256 else np.uint16)[indices]


def resolve_classes(classes: str | dict | ClassSet | None) -> ClassSet:
    """Classes by the name of a public scheme, by their fields, or as they are.

    Raises:
        ValueError: the name is not known, or nothing is given.
    """
    if isinstance(classes, ClassSet):
        return classes
    if isinstance(classes, dict):
        fields = {field.name for field in dataclasses.fields(ClassSet)}
        if "names" not in classes or classes.keys() - fields:
            raise ValueError(f"classes: a dict needs names and may have {sorted(fields)}, got {sorted(classes)}")
        return ClassSet(**classes)
    if isinstance(classes, str) and classes in SCHEMES:
        return SCHEMES[classes]
    raise ValueError(f"classes must be one of {list(SCHEMES)} or a dict of names, ids, ignored ..., got {classes!r}")


def voc_palette(count: int) -> tuple[tuple[int, int, int], ...]:
    """PASCAL VOC's colours: the bits of the index dealt to red, green and blue in turn, highest bits first."""
    index = np.arange(count)
    channels = [sum(((index >> 3 * bit + channel) & 1) << 7 - bit for bit in range(8)) for channel in range(3)]
    return tuple(map(tuple, np.stack(channels, axis=1).tolist()))


def _ranges(values: tuple[int, ...]) -> str:
    """Spell 0, 1, 2, 5 as "0-2, 5"."""
    runs: list[list[int]] = []
    for value in sorted(set(values)):
        if runs and value == runs[-1][-1] + 1:
            runs[-1].append(value)
        else:
            runs.append([value])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def _split(names: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in names.split(","))


def _colors(hexadecimal: str) -> tuple[tuple[int, int, int], ...]:
    return tuple(tuple(bytes.fromhex(color)) for color in hexadecimal.split())


CITYSCAPES = ClassSet(
    names=_split(
        "road, sidewalk, building, wall, fence, pole, traffic light, traffic sign, vegetation, terrain, sky, person, "
        "rider, car, truck, bus, train, motorcycle, bicycle"
    ),
    ids=(7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33),
    ignored=(0, 1, 2, 3, 4, 5, 6, 9, 10, 14, 15, 16, 18, 29, 30),
    palette=_colors(
        "804080 f423e8 464646 66669c be9999 999999 faaa1e dcdc00 6b8e23 98fb98 4682b4 dc143c "
        "ff0000 00008e 000046 003c64 005064 0000e6 770b20"
    ),
)

# SegNet's version: 11 classes and void.
CAMVID = ClassSet(
    names=_split("sky, building, pole, road, pavement, tree, sign symbol, fence, car, pedestrian, bicyclist"),
    ignored=(11,),
    palette=_colors("808080 800000 c0c080 804080 3c28de 808000 c08080 404080 400080 404000 0080c0"),
)

# In the order of the original 459 ids, which is alphabetical; label files hold the position, 0 for background.
_CONTEXT = _split(
    "background, aeroplane, bag, bed, bedclothes, bench, bicycle, bird, boat, book, bottle, building, bus, cabinet, "
    "car, cat, ceiling, chair, cloth, computer, cow, cup, curtain, dog, door, fence, floor, flower, food, grass, "
    "ground, horse, keyboard, light, motorbike, mountain, mouse, person, plate, platform, pottedplant, road, rock, "
    "sheep, shelves, sidewalk, sign, sky, snow, sofa, table, track, train, tree, truck, tvmonitor, wall, water, "
    "window, wood"
)
PASCAL_CONTEXT_60 = ClassSet(_CONTEXT)
PASCAL_CONTEXT_59 = ClassSet(_CONTEXT[1:], ids=range(1, 60), ignored=(0,), palette=voc_palette(60)[1:])

LIP = ClassSet(
    names=_split(
        "Background, Hat, Hair, Glove, Sunglasses, UpperClothes, Dress, Coat, Socks, Pants, Jumpsuits, Scarf, Skirt, "
        "Face, Left-arm, Right-arm, Left-leg, Right-leg, Left-shoe, Right-shoe"
    ),
    mirrored=(("Left-arm", "Right-arm"), ("Left-leg", "Right-leg"), ("Left-shoe", "Right-shoe")),
)

ADE20K = ClassSet(
    names=_split(
        "wall, building, sky, floor, tree, ceiling, road, bed, windowpane, grass, cabinet, sidewalk, person, earth, "
        "door, table, mountain, plant, curtain, chair, car, water, painting, sofa, shelf, house, sea, mirror, rug, "
        "field, armchair, seat, fence, desk, rock, wardrobe, lamp, bathtub, railing, cushion, base, box, column, "
        "signboard, chest of drawers, counter, sand, sink, skyscraper, fireplace, refrigerator, grandstand, path, "
        "stairs, runway, case, pool table, pillow, screen door, stairway, river, bridge, bookcase, blind, "
        "coffee table, toilet, flower, book, hill, bench, countertop, stove, palm, kitchen island, computer, "
        "swivel chair, boat, bar, arcade machine, hovel, bus, towel, light, truck, tower, chandelier, awning, "
        "streetlight, booth, television receiver, airplane, dirt track, apparel, pole, land, bannister, escalator, "
        "ottoman, bottle, buffet, poster, stage, van, ship, fountain, conveyer belt, canopy, washer, plaything, "
        "swimming pool, stool, barrel, basket, waterfall, tent, bag, minibike, cradle, oven, ball, food, step, tank, "
        "trade name, microwave, pot, animal, bicycle, lake, dishwasher, screen, blanket, sculpture, hood, sconce, "
        "vase, traffic light, tray, ashcan, fan, pier, crt screen, plate, monitor, bulletin board, shower, radiator, "
        "glass, clock, flag"
    ),
    ids=range(1, 151),
    ignored=(0,),
    palette=voc_palette(151)[1:],
)

# Label files of the 10k release: 0 is unlabelled, and eleven of the things up to 91 were never annotated.
COCO_STUFF = ClassSet(
    names=_split(
        "person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light, fire hydrant, stop sign, "
        "parking meter, bench, bird, cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe, backpack, umbrella, "
        "handbag, tie, suitcase, frisbee, skis, snowboard, sports ball, kite, baseball bat, baseball glove, "
        "skateboard, surfboard, tennis racket, bottle, wine glass, cup, fork, knife, spoon, bowl, banana, apple, "
        "sandwich, orange, broccoli, carrot, hot dog, pizza, donut, cake, chair, couch, potted plant, bed, "
        "dining table, toilet, tv, laptop, mouse, remote, keyboard, cell phone, microwave, oven, toaster, sink, "
        "refrigerator, book, clock, vase, scissors, teddy bear, hair drier, toothbrush, "
        "banner, blanket, branch, bridge, building-other, bush, cabinet, cage, cardboard, carpet, ceiling-other, "
        "ceiling-tile, cloth, clothes, clouds, counter, cupboard, curtain, desk-stuff, dirt, door-stuff, fence, "
        "floor-marble, floor-other, floor-stone, floor-tile, floor-wood, flower, fog, food-other, fruit, "
        "furniture-other, grass, gravel, ground-other, hill, house, leaves, light, mat, metal, mirror-stuff, moss, "
        "mountain, mud, napkin, net, paper, pavement, pillow, plant-other, plastic, platform, playingfield, railing, "
        "railroad, river, road, rock, roof, rug, salad, sand, sea, shelf, sky-other, skyscraper, snow, solid-other, "
        "stairs, stone, straw, structural-other, table, tent, textile-other, towel, tree, vegetable, wall-brick, "
        "wall-concrete, wall-other, wall-panel, wall-stone, wall-tile, wall-wood, water-other, waterdrops, "
        "window-blind, window-other, wood"
    ),
    ids=tuple(value for value in range(1, 183) if value not in (12, 26, 29, 30, 45, 66, 68, 69, 71, 83, 91)),
    ignored=(0,),
    palette=voc_palette(183)[1:172],
)
# The PNGs of the 164k release (stuffthingmaps): one less, and 255 for unlabelled.
COCO_STUFF_164K = dataclasses.replace(COCO_STUFF, ids=tuple(value - 1 for value in COCO_STUFF.ids), ignored=())

SCHEMES = MappingProxyType(
    {
        "cityscapes": CITYSCAPES,
        "camvid": CAMVID,
        "pascal_context_59": PASCAL_CONTEXT_59,
        "pascal_context_60": PASCAL_CONTEXT_60,
        "lip": LIP,
        "ade20k": ADE20K,
        "coco_stuff": COCO_STUFF,
        "coco_stuff_164k": COCO_STUFF_164K,
    }
)
