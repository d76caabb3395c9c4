"""OpenMMLab's config files are evaluated and never run."""

import pytest

from hrtoolkit.foreign.python_file import ForeignError, read_python, read_text

PLAIN = """\
import os.path as osp
from mmengine.dataset import DefaultSampler
root = 'data'
size = (192, 256)
step = dict(type='Crop', size=size, sampler=DefaultSampler)
pipeline = [dict(type='Load'), step] + [dict(type=name) for name in ('Flip', 'Pack') if name != 'Flip']
names = list(range(3))
file = f'{root}/{size[0]}x{size[1]}.json'
first, *_rest = 1, 2
"""


def write(folder, **files):
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    return folder / f"{next(iter(files))}.py"


def test_plain_values_are_computed(tmp_path):
    values, missing = read_python(write(tmp_path, config=PLAIN.replace("first, *_rest = 1, 2\n", "a, b = 1, -2\n")))
    assert missing == []
    assert values["pipeline"] == [
        {"type": "Load"},
        {"type": "Crop", "size": (192, 256), "sampler": "DefaultSampler"},
        {"type": "Pack"},
    ]
    assert values["names"] == [0, 1, 2] and values["file"] == "data/192x256.json" and values["b"] == -2
    assert "osp" not in values and "DefaultSampler" not in values


def test_bases_are_merged_as_mmengine_does(tmp_path):
    base = "model = dict(a=1, inner=dict(x=1, y=2), steps=[dict(k=1), dict(k=2)])\nname = 'base'\n"
    child = """\
_base_ = ['./base.py', './other.py']
model = dict(a=2, inner=dict(_delete_=True, z=3), steps={'1': dict(k=5)})
copied = _base_.model.inner
old = {{_base_.name}}
"""
    values, _ = read_python(write(tmp_path, child=child, base=base, other="more = 1\n"))
    assert values["model"] == {"a": 2, "inner": {"z": 3}, "steps": [{"k": 1}, {"k": 5}]}
    assert values["copied"] == {"x": 1, "y": 2} and values["old"] == "base" and values["more"] == 1


def test_read_base_brings_names(tmp_path):
    (tmp_path / "_base_").mkdir()
    (tmp_path / "_base_" / "models.py").write_text("model = dict(a=dict(b=1), c=2)\n_hidden = 1\n")
    text = """\
from mmengine.config import read_base
with read_base():
    from ._base_.models import *
    from ._base_.default_runtime import *
model.update(dict(c=3))
model.merge(dict(a=dict(d=4)))
"""
    values, missing = read_python(write(tmp_path, config=text))
    assert values["model"] == {"a": {"b": 1, "d": 4}, "c": 3}
    assert missing == ["._base_.default_runtime"]


@pytest.mark.parametrize(
    "line",
    [
        "import os; os.system('touch {marker}')",
        "x = __import__('os').system('touch {marker}')",
        "x = open('{marker}', 'w')",
        "x = (lambda: 1)()",
        "x = [].__class__.__base__.__subclasses__()",
        "x = '{{0.__class__}}'.format(1)",
        "def f(): pass",
        "class A: pass",
        "while True: pass",
        "x = exec('1')",
        "x = dict(a=1).__class__",
        "x = eval('1')",
    ],
)
def test_nothing_is_run(tmp_path, line):
    marker = tmp_path / "marker"
    path = write(tmp_path, config="model = dict(type='TopDown')\n" + line.format(marker=marker))
    with pytest.raises(ForeignError, match="line 2"):
        read_python(path)
    assert not marker.exists()


@pytest.mark.parametrize(
    "text",
    [
        "a = 'x' * 10 ** 9",
        "a = [0] * 10 ** 9",
        "a = 10 ** 10 ** 10",
        "a = [1]\n" + "a = [a, a]\n" * 40,
        "a = dict(x=1)\n" + "a = dict(x=a, y=a)\n" * 40 + "b = f'{a}'",
        "a = [1]\n" + "a.extend(a)\n" * 40,
        "a = [1]\na.append(a)",
        "a = 'x' * 90000\nb = a.replace('x', a)",
        "a = list(range(10 ** 9))",
        "x = [i for i in range(1000) for j in range(1000)]",
        "a = " + "(" * 5000 + ")" * 5000,
        "a = " + "-" * 3000 + "1",
        "#" * 2**21,
        "_base_ = './config.py'",
        "a = b",
        "a = 1 / 0",
        "a = dict(x=1)['y']",
        "a = (",
        "_base_ = './needed.py'",
        "_base_ = 3",
        "x = 1\x00",
    ],
)
def test_what_is_no_config_is_one_error(tmp_path, text):
    with pytest.raises(ForeignError, match=r"config\.py"):
        read_python(write(tmp_path, config=text))


def test_marks_line_ends_and_backslashes(tmp_path):
    (tmp_path / "base.py").write_bytes(b"\xef\xbb\xbfa = dict(b=1)\r\n")
    (tmp_path / "config.py").write_bytes(b"\xef\xbb\xbf_base_ = '.\\\\base.py'\r\na = dict(\r\n  c=2)\r\n")
    assert read_python(tmp_path / "config.py")[0] == {"a": {"b": 1, "c": 2}}


def test_a_missing_base_is_named_unless_it_changes_nothing(tmp_path):
    path = write(
        tmp_path, config="_base_ = ['../_base_/default_runtime.py', '../_base_/schedules/schedule_1x.py']\na = 1\n"
    )
    assert read_python(path) == ({"a": 1}, ["../_base_/default_runtime.py", "../_base_/schedules/schedule_1x.py"])
    path.write_text("a = 1\n_base_ = ['../_base_/models/fcn_hr18.py']\n")
    with pytest.raises(ForeignError, match=r"line 2: needs ../_base_/models/fcn_hr18.py"):
        read_python(path)


def test_the_text_of_a_checkpoint_is_read_as_far_as_it_goes():
    text = "a = dict(b=[1, -2.5], c=unknown())\n_base_ = 'x.py'\nimport os\nos.system('x')\nd = (1, 'two')\n"
    values = read_text(text)
    assert values["a"] == {"b": [1, -2.5], "c": None} and values["d"] == (1, "two")
    assert read_text("a = (") == {}
