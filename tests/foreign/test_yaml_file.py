"""Yaml of the official code, and files that are none."""

import pytest

from hrtoolkit.foreign.python_file import ForeignError
from hrtoolkit.foreign.yaml_file import read_yaml


def test_numbers_marks_and_line_ends(tmp_path):
    (tmp_path / "a.yaml").write_bytes(b"\xef\xbb\xbfTRAIN:\r\n  LR: 1e-3\r\n  WD: 5E-4\r\n  NAME: 300W\r\n  N: 12\r\n")
    assert read_yaml(tmp_path / "a.yaml") == {"TRAIN": {"LR": 1e-3, "WD": 5e-4, "NAME": "300W", "N": 12}}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty file"),
        ("  \n", "empty file"),
        ("- a\n- b\n", "list"),
        ("just words", "str"),
        ("a: 1\nb: 2\na: 3\n", r"line 3.*'a' is set twice, first in line 1"),
        ("a: [1, 2\nb: 3", "line 2"),
        ("a: !!python/object/apply:os.system ['true']", "line 1"),
        ("\ta: 1", "line 1"),
        ("a: 1\n---\nb: 2", "line"),
        ("a: &x [*x]", "more values"),
        (
            "a: &a [1]\n"
            + "".join(f"b{i}: &b{i} [*{p}, *{p}]\n" for i, p in enumerate(["a", *(f"b{i}" for i in range(40))])),
            "more values",
        ),
        ("a: &a {x: 1}\nb: {<<: *a}\n", "line 2"),
        ("? [1, 2]\n: 3", "line 1"),
        ("a: 1\n" + "#" * 2**18, "too long"),
        ("[" * 3000, "no yaml|more values"),
    ],
)
def test_what_is_no_config_is_one_error(tmp_path, text, said):
    path = tmp_path / "a.yaml"
    path.write_text(text)
    with pytest.raises(ForeignError, match=said):
        read_yaml(path)


def test_bytes_are_no_yaml(tmp_path):
    (tmp_path / "a.yaml").write_bytes(b"\x80\x02}q\x00")
    with pytest.raises(ForeignError, match="UTF-8"):
        read_yaml(tmp_path / "a.yaml")
