"""Reading json piece by piece: the same as reading it whole, with the same errors."""

import json
import os

import numpy as np
import pytest

from hrtoolkit.data import reading
from hrtoolkit.data.mat import read_mat
from hrtoolkit.data.reading import read_json, read_lines, stream_json
from hrtoolkit.errors import DataError


def gather(path):
    """What `stream_json` yields, put together again."""
    content = {}
    for name, value in stream_json(path):
        content.setdefault(name, []).append(value)
    return content


@pytest.mark.parametrize("size", [1, 7, 64, 2**20])
def test_windows_of_any_size_give_what_is_in_the_file(tmp_path, monkeypatch, size):
    monkeypatch.setattr(reading._JsonWindow, "SIZE", size)
    rng = np.random.default_rng(0)
    records = [
        {
            "id": i,
            "name": 'añ\\"é\n猫',
            "numbers": rng.normal(scale=1e6, size=5).tolist(),
            "nested": {"a": [None, True]},
        }
        for i in range(20)
    ]
    content = {"info": {"year": 2017}, "images": records, "empty": [], "numbers": [1234567, -1.5e-7, 0], "last": 12345}
    for number, options in enumerate(({}, {"indent": 2}, {"separators": (",", ":"), "ensure_ascii": False})):
        path = tmp_path / f"{number}.json"
        path.write_text(json.dumps(content, **options), encoding="utf-8")
        assert gather(path) == {
            "info": [{"year": 2017}],
            "images": records,
            "numbers": [1234567, -1.5e-7, 0],
            "last": [12345],
        }
        path.write_text(json.dumps(records, **options), encoding="utf-8")
        assert gather(path) == {"": records}


def test_memory_does_not_grow_with_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(reading._JsonWindow, "SIZE", 1000)
    longest = []
    read_on = reading._JsonWindow._read_on
    monkeypatch.setattr(
        reading._JsonWindow, "_read_on", lambda window: (longest.append(len(window.text)), read_on(window))[1]
    )
    (tmp_path / "long.json").write_text(json.dumps({"annotations": [{"id": i} for i in range(10_000)]}))
    assert len(gather(tmp_path / "long.json")["annotations"]) == 10_000
    assert len(longest) > 100 and max(longest) < 3000


@pytest.mark.parametrize(
    "text",
    ['{"a": [1,\n 2}', '{"a": [1, 2', '{"a" 1}', '{"a": tru}', "[1, 2] 3", '{"a": 1,\n\n}', '["abc', "  \n "],
)
def test_malformed_files_are_told_at_the_same_place_as_by_python(tmp_path, monkeypatch, text):
    monkeypatch.setattr(reading._JsonWindow, "SIZE", 4)
    path = tmp_path / "bad.json"
    path.write_text(text)
    with pytest.raises(json.JSONDecodeError) as expected:
        json.loads(text)
    with pytest.raises(DataError, match=f"line {expected.value.lineno}, column "):
        gather(path)
    with pytest.raises(DataError, match=f"line {expected.value.lineno}, column {expected.value.colno}"):
        read_json(path)


def test_a_mark_before_the_text_is_no_error(tmp_path):
    (tmp_path / "bom.json").write_bytes(b'\xef\xbb\xbf{"a": [1]}')
    assert gather(tmp_path / "bom.json") == {"a": [1]}
    assert read_json(tmp_path / "bom.json") == {"a": [1]}


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_a_mark_names_the_encoding(tmp_path, encoding):
    mark = "" if encoding in ("utf-16", "utf-32") else "\ufeff"  # which Python's own writers put before the text
    (tmp_path / "a.json").write_bytes(f'{mark}{{"a": ["é"]}}'.encode(encoding))
    assert gather(tmp_path / "a.json") == read_json(tmp_path / "a.json") == {"a": ["é"]}
    (tmp_path / "a.txt").write_bytes(f"{mark}é.jpg 1\n".encode(encoding))
    assert read_lines(tmp_path / "a.txt") == [(1, "é.jpg 1")]


@pytest.mark.parametrize("text", ["[" * 200_000, '{"a": [' + "[" * 200_000, '{"a": 1' + "0" * 5000 + "}"])
def test_json_that_python_cannot_hold_is_one_error(tmp_path, text):
    (tmp_path / "deep.json").write_text(text)
    for read in (gather, read_json):
        with pytest.raises(DataError, match=r"deep\.json: the json (is nested too deeply|cannot be read)"):
            read(tmp_path / "deep.json")


def test_what_is_no_file_is_one_error(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for read in (gather, read_json, read_lines, read_mat):
        for name, said in (
            ("pipe", "a pipe or a device"),
            ("folder", "a folder"),
            ("gone", "no such file"),
            ("\0", "NUL"),
        ):
            with pytest.raises(DataError, match=said):
                read(tmp_path / name)


def test_other_than_text_is_told(tmp_path):
    (tmp_path / "image.json").write_bytes(b'{"a": ["\xff\xd8\xff"]}')
    with pytest.raises(DataError, match=r"image\.json: not a text file"):
        gather(tmp_path / "image.json")
