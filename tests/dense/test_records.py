"""Maps of numbers as records: by name, drawn, in words, in files, and in another scheme."""

from contextlib import closing

import numpy as np
import pytest

from hrtoolkit.errors import DataError, UserError
from hrtoolkit.predict.output import Output
from hrtoolkit.predict.prediction import Prediction
from hrtoolkit.predict.sources import Source
from hrtoolkit.records import ValueMap, join
from hrtoolkit.schemes import ValueScheme, check_same, convert, resolve_scheme, scheme_fields

IMAGE = np.full((120, 160, 3), 200, np.uint8)
DEPTH, NORMALS = (resolve_scheme(name, ValueScheme) for name in ("depth", "normals"))
RAMP = np.tile(np.linspace(1, 5, 160, dtype=np.float32), (120, 1))[None]


def test_numbers_are_found_by_name_and_summed_up():
    prediction = Prediction(Source("a.png"), ValueMap(RAMP), DEPTH, IMAGE)
    np.testing.assert_array_equal(prediction["depth"], RAMP[0])
    assert prediction.to_dict() == {
        "source": "a.png",
        "width": 160,
        "height": 120,
        "values": {"depth": {"min": 1.0, "median": 3.0, "max": 5.0}},
    }
    nothing = Prediction(Source("a.png"), ValueMap(np.full_like(RAMP, np.nan)), DEPTH, IMAGE)
    assert nothing.to_dict()["values"] == {"depth": {}}
    assert join([prediction.record]) is prediction.record and prediction.record.as_prediction() is prediction.record


def test_depth_is_brighter_where_it_is_larger_and_the_image_stays_where_nothing_is_known():
    values = RAMP.copy()
    values[:, 100:] = np.nan
    drawn = Prediction(Source("a.png"), ValueMap(values), DEPTH, IMAGE).draw()
    assert drawn.shape == IMAGE.shape and (drawn[100:] == 70).all()  # 0.35 of 200
    brightness = drawn[60].astype(int).sum(axis=1)
    assert (np.diff(brightness[2:-2]) >= -4).all() and brightness[-3] > brightness[2] + 400
    nothing = Prediction(Source("a.png"), ValueMap(np.full_like(RAMP, np.nan)), DEPTH, IMAGE).draw()
    assert (nothing[60:] == 70).all()
    two = Prediction(Source("a.png"), ValueMap(np.concatenate([RAMP, -RAMP])), ValueScheme(("u", "v")), IMAGE).draw()
    assert two.shape == (120, 320, 3)


def test_a_normal_is_its_color():
    values = np.zeros((3, 120, 160), np.float32)
    values[2, :, :80], values[0, :, 80:], values[:, :9] = 1, -1, np.nan
    drawn = Prediction(Source("a.png"), ValueMap(values), NORMALS, IMAGE).draw()
    assert drawn[60, 40].tolist() == [128, 128, 255] and drawn[60, 120].tolist() == [0, 128, 128]
    assert (drawn[:9] == 70).all()


def test_a_folder_of_predictions_has_arrays(tmp_path):
    output = Output(tmp_path / "found", NORMALS, {}, save=["values"])
    values = np.random.default_rng(0).normal(size=(3, 120, 160)).astype(np.float32)
    output.add(Prediction(Source("a.png"), ValueMap(values), NORMALS, IMAGE))
    files = output.finish()
    output.close()
    assert tmp_path / "found" / "values" in files
    np.testing.assert_array_equal(np.load(tmp_path / "found/values/a.png.npy"), values.transpose(1, 2, 0))


@pytest.mark.parametrize("name", ["csv", "coco"])
def test_a_table_has_no_maps(tmp_path, name):
    with pytest.raises(UserError, match=r"save (values|maps)"):
        output = Output(tmp_path / "found", DEPTH, {}, pictures=False, save=[name])
        output.add(Prediction(Source("a.png"), ValueMap(RAMP), DEPTH, IMAGE))
        with closing(output):
            output.finish()


def test_values_of_another_order_are_turned_by_name_and_other_ones_refused():
    other = ValueScheme(("z", "x", "y"), values="unit_vector", directions=(("y", "down"), ("x", "right")))
    check_same(other, NORMALS)
    values = np.arange(3, dtype=np.float32).reshape(3, 1, 1)
    assert convert(ValueMap(values), other, NORMALS).values.ravel().tolist() == [1, 2, 0]
    up = ValueScheme(("x", "y", "z"), values="unit_vector", directions=(("x", "right"), ("y", "up")))
    with pytest.raises(DataError, match=r"the data has the directions .*'y': 'up'.*, the head .*'down'.* one scheme"):
        check_same(up, NORMALS)
    with pytest.raises(DataError, match="the data has the values 'any', the head 'positive'"):
        check_same(ValueScheme(("depth",)), DEPTH)
    with pytest.raises(DataError, match=r"the data has 1 values \(disparity\), the head has 1 values \(depth\)"):
        check_same(ValueScheme(("disparity",), values="positive"), DEPTH)


@pytest.mark.parametrize("scheme", [DEPTH, NORMALS])
def test_a_scheme_comes_back_from_its_fields(scheme):
    assert resolve_scheme(scheme_fields(scheme), ValueScheme) == scheme
