"""Values of label files and the classes behind them; numbers of the official code."""

import numpy as np
import pytest

from hrtoolkit.errors import OptionError
from hrtoolkit.schemes import ClassScheme, resolve_scheme
from hrtoolkit.schemes.base import voc_palette
from hrtoolkit.schemes.classes import (
    ADE20K,
    CITYSCAPES,
    CLASSES,
    COCO_STUFF,
    LIP,
    PASCAL_CONTEXT_59,
    PASCAL_CONTEXT_60,
)

X = 255


def test_the_schemes_have_the_published_numbers_of_classes():
    sizes = {name: len(scheme.names) for name, scheme in CLASSES.items()}
    assert sizes == dict(
        **dict(
            coco=80, voc=20, cityscapes=19, camvid=11, pascal_context_59=59, pascal_context_60=60, lip=20, ade20k=150
        ),
        **dict(coco_stuff=171, coco_stuff_164k=171),
    )


def test_cityscapes_ids_become_train_ids_and_back():
    table = [
        X,
        X,
        X,
        X,
        X,
        X,
        X,
        0,
        1,
        X,
        X,
        2,
        3,
        4,
        X,
        X,
        X,
        5,
        X,
        6,
        7,
        8,
        9,
        10,
        11,
        12,
        13,
        14,
        15,
        X,
        X,
        16,
        17,
        18,
    ]
    np.testing.assert_array_equal(CITYSCAPES.encode(np.arange(34, dtype=np.uint8)), table)
    np.testing.assert_array_equal(CITYSCAPES.encode(np.array([255, 7], np.uint8)), [255, 0])
    back = [7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33]
    np.testing.assert_array_equal(CITYSCAPES.decode(np.arange(19)), back)
    assert CITYSCAPES.palette[0] == (128, 64, 128) and CITYSCAPES.palette[18] == (119, 11, 32)


@pytest.mark.parametrize(
    ("classes", "values", "expected"),
    [
        (ADE20K, [0, 1, 150], [X, 0, 149]),
        (COCO_STUFF, [0, 1, 11, 13, 90, 92, 182, 255], [X, 0, 10, 11, 79, 80, 170, X]),
        (PASCAL_CONTEXT_59, [0, 1, 59, 255], [X, 0, 58, X]),
        (PASCAL_CONTEXT_60, [0, 1, 59, 255], [0, 1, 59, X]),
        (LIP, [0, 19, 255], [0, 19, X]),
    ],
    ids=["ade20k", "coco_stuff", "context_59", "context_60", "lip"],
)
def test_label_values_become_the_official_targets(classes, values, expected):
    for kind in (np.uint8, np.int32):  # of 8-bit and 16-bit files
        np.testing.assert_array_equal(classes.encode(np.array([values], kind)), [expected])


@pytest.mark.parametrize(
    ("classes", "value", "message"),
    [
        # The official code passes 34 on, and turns 12 and 183 into 254: neither is a class nor ignored.
        (CITYSCAPES, 34, "label values 34 are neither classes (7-8, 11-13, 17, 19-28, 31-33) nor ignored (0-6, 9-10,"),
        (COCO_STUFF, 12, "label values 12 are neither"),
        (COCO_STUFF, 183, "label values 183 are neither"),
        (ADE20K, 151, "label values 151 are neither classes (1-150) nor ignored (0, 255)"),
    ],
)
def test_values_outside_the_classes_are_refused(classes, value, message):
    with pytest.raises(ValueError) as error:
        classes.encode(np.array([[classes.ids[0], value]], np.uint8))
    assert message in str(error.value)


def test_sixteen_bit_values_beyond_the_table_are_refused():
    with pytest.raises(ValueError, match="from -1 to 7"):
        CITYSCAPES.encode(np.array([[7, -1]], np.int32))


def test_mirrored_classes_are_partners():
    order = LIP.flip_order()
    assert order[:14] == list(range(14)) and order[14:] == [15, 14, 17, 16, 19, 18]


def test_voc_palette_is_bit_interleaved():
    palette = voc_palette(34)
    known = {0: (0, 0, 0), 7: (128,) * 3, 8: (64, 0, 0), 11: (192, 128, 0), 21: (128, 64, 128), 23: (128, 192, 128)}
    known |= {24: (64, 64, 0), 26: (64, 192, 0), 33: (128, 0, 64)}
    assert {index: palette[index] for index in known} == known


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (dict(names=[]), "needs unique names, got \\[\\]"),
        (dict(names=[str(number) for number in range(255)]), "label maps hold 1 to 254 classes, got 255"),
        (dict(names=["a", "a"]), r"repeated: \['a'\]"),
        (dict(names=["a", "b"], ids=[1]), "1 ids for 2 names"),
        (dict(names=["a", "b"], ids=[1, 1]), "one thing only"),
        (dict(names=["a"], ids=[1], ignored=[1]), "one thing only"),
        (dict(names=["a"], ids=[70000]), "values from 0 to 65535"),
        (dict(names=["a"], palette=[(0, 0, 0)] * 2), "2 palette for 1 names"),
        (dict(names="ab"), "names must be a list, got 'ab'"),
        (dict(names=["a"], ignored=0), "ignored must be a list, got 0"),
        (dict(names=["a"], ids=[0.5]), "whole numbers"),
        (dict(names=["a"], palette=[(0, 0, 300)]), "from 0 to 255"),
        (dict(names=["a", "b"], mirrored=[["a", "c"]]), r"mirrored names \['c'\], which are not among"),
        (dict(names=["a", "b"], mirrored=[["a", "b"], ["a", "b"]]), r"'a', 'b'\] stand in more than one mirrored pair"),
    ],
)
def test_contradictory_classes_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        ClassScheme(**fields).check_label_map()


def test_misspelt_fields_are_answered_with_the_known_ones():
    with pytest.raises(OptionError, match=r"no field is called paletes; there are names, .*palette"):
        resolve_scheme(dict(names=["a"], paletes=[]), ClassScheme)


def test_unknown_schemes_are_answered_with_the_known_ones():
    with pytest.raises(OptionError, match=r"one of coco, voc, cityscapes, .*got 'cityscape'"):
        resolve_scheme("cityscape", ClassScheme)
