"""What a user's editor is told: signatures of the public face say what they take and give."""

import dataclasses
import inspect
import types
import typing

import pytest
import typing_extensions

import hrtoolkit
from hrtoolkit import balance, checkpoints, metric, model, parts, records, samples, views
from hrtoolkit.importers import annotated, formats
from hrtoolkit.keypoints import codecs
from hrtoolkit.predict import Picture, Prediction, Predictor, Source, boxes, open_source
from hrtoolkit.schemes import ClassScheme, KeypointScheme, Scheme, ValueScheme, known

PUBLIC = [
    *(getattr(hrtoolkit, name) for name in hrtoolkit.__all__ if name != "__version__"),
    *(Picture, Prediction, Predictor, Source, open_source, boxes.use_boxes, boxes.use_detector, boxes.Boxes),
    *(records.Objects, records.LabelMap, records.ValueMap, records.Category, records.join),
    *(parts.Backbone, parts.BaseBackbone, parts.Neck, parts.BaseNeck, parts.Head, parts.BaseHead),
    *(model.Branch, model.Model, model.Balance, balance.BaseBalance),
    *(codecs.Codec, codecs.BaseCodec),
    *(views.View, views.BaseView, views.Augmentation, views.BaseAugmentation, views.Crop),
    *(samples.Samples, samples.BaseSamples, samples.Images, samples.Crops, samples.Input),
    *(metric.Metric, metric.BaseMetric, metric.Writer, metric.BaseWriter),
    *(Scheme, KeypointScheme, ClassScheme, ValueScheme, known.register_scheme, known.resolve_scheme),
    *(checkpoints.register_format, formats.register_format, annotated.Picture),
]
# supervision is an optional package: here only its name matters.
NAMES = {"Unpack": typing_extensions.Unpack, "supervision": types.SimpleNamespace(KeyPoints=object, Detections=object)}


def hints_of(thing):
    """Every hint of a function, or of a class's own fields and public methods, by where it stands."""
    if not inspect.isclass(thing):
        yield from (
            (f"{thing.__name__}: {name}", one) for name, one in typing.get_type_hints(thing, localns=NAMES).items()
        )
        return
    own = inspect.get_annotations(thing)
    yield from (
        (f"{thing.__name__}.{name}", one)
        for name, one in typing.get_type_hints(thing, localns=NAMES).items()
        if name in own and not name.startswith("_")
    )
    for name, member in vars(thing).items():
        if isinstance(member, property):
            member = member.fget
        member = getattr(member, "__func__", member)
        if inspect.isfunction(member) and (not name.startswith("_") or name in ("__init__", "__call__", "__getitem__")):
            if name == "__init__" and dataclasses.is_dataclass(thing):
                continue
            yield from ((f"{thing.__name__}.{where}", one) for where, one in hints_of(member))


def has_any(hint):
    if hint is typing.Any:
        return True
    arguments = typing.get_args(hint)
    inner = [one for part in arguments for one in (part if isinstance(part, list) else [part])]
    return any(map(has_any, inner))


@pytest.mark.parametrize("thing", PUBLIC, ids=lambda thing: thing.__qualname__)
def test_the_public_face_says_what_it_takes_and_gives(thing):
    hints = dict(hints_of(thing))
    assert [where for where, hint in hints.items() if has_any(hint)] == []
    functions = [thing] if not inspect.isclass(thing) else []
    functions += [one for name, one in vars(thing).items() if inspect.isfunction(one) and not name.startswith("_")]
    for function in functions:
        parameters = [name for name in inspect.signature(function).parameters if name not in ("self", "cls")]
        told = {where.rpartition(": ")[2] for where in dict(hints_of(function))}
        assert {*parameters, "return"} <= told, f"{function.__qualname__} leaves out {({*parameters, 'return'}) - told}"
