"""Classes of the public data sets: their names in the order of the labels, values in label files, and colors."""

from __future__ import annotations

import dataclasses
from types import MappingProxyType

from hrtoolkit.schemes.base import ClassScheme, voc_palette


def _split(names: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in names.split(","))


def _colors(hexadecimal: str) -> tuple[tuple[int, int, int], ...]:
    channels = (bytes.fromhex(color) for color in hexadecimal.split())
    return tuple((red, green, blue) for red, green, blue in channels)


COCO = ClassScheme((
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light",
    "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow", "elephant",
    "bear", "zebra", "giraffe", "backpack", "umbrella", "handbag", "tie", "suitcase", "frisbee", "skis", "snowboard",
    "sports ball", "kite", "baseball bat", "baseball glove", "skateboard", "surfboard", "tennis racket", "bottle",
    "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple", "sandwich", "orange", "broccoli",
    "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch", "potted plant", "bed", "dining table", "toilet",
    "tv", "laptop", "mouse", "remote", "keyboard", "cell phone", "microwave", "oven", "toaster", "sink",
    "refrigerator", "book", "clock", "vase", "scissors", "teddy bear", "hair drier", "toothbrush",
))  # fmt: skip
VOC = ClassScheme((
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog",
    "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
))  # fmt: skip

CITYSCAPES = ClassScheme(
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
CAMVID = ClassScheme(
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
PASCAL_CONTEXT_60 = ClassScheme(_CONTEXT)
PASCAL_CONTEXT_59 = ClassScheme(_CONTEXT[1:], ids=tuple(range(1, 60)), ignored=(0,), palette=voc_palette(60)[1:])

LIP = ClassScheme(
    names=_split(
        "Background, Hat, Hair, Glove, Sunglasses, UpperClothes, Dress, Coat, Socks, Pants, Jumpsuits, Scarf, Skirt, "
        "Face, Left-arm, Right-arm, Left-leg, Right-leg, Left-shoe, Right-shoe"
    ),
    mirrored=(("Left-arm", "Right-arm"), ("Left-leg", "Right-leg"), ("Left-shoe", "Right-shoe")),
)

ADE20K = ClassScheme(
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
    ids=tuple(range(1, 151)),
    ignored=(0,),
    palette=voc_palette(151)[1:],
)

# Label files of the 10k release: 0 is unlabelled, and eleven of the things up to 91 were never annotated.
COCO_STUFF = ClassScheme(
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

CLASSES = MappingProxyType(
    {
        "coco": COCO,
        "voc": VOC,
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
