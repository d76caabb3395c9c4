"""The XML of dlib's imglab."""

import pytest

from hrtoolkit.errors import DataError

from .importing import Read, box, write, write_image

TOP = "<?xml version='1.0' encoding='ISO-8859-1'?>\n<dataset>\n<name>é</name>\n<images>\n"
END = "</images>\n</dataset>"


def write_latin(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes((TOP + text + END).encode("latin-1"))
    return path


def test_boxes_and_parts(tmp_path):
    write_image(tmp_path / "in/a.png")
    write_image(tmp_path / "in/sub/empty.png")
    text = (
        "<image file='a.png' width='64' height='48'>"
        "<box top='2' left='1' width='10' height='20' pose='3'><label>café</label><part name='nose' x='5' y='6'/></box>"
        "<box top='0' left='0' width='4' height='4' ignore='1'><label>café</label>"
        "<part name='eye' x='1' y='2'/><part name='nose' x='3' y='4'/></box>"
        "<box top='1' left='2' width='3' height='4'/></image>\n<image file='sub\\empty.png'/>"
    )
    read = Read(write_latin(tmp_path / "in/faces.xml", text), tmp_path / "out")
    first, second, third = read.of("a.png")
    assert box(first) == [1, 2, 11, 22] and first["attributes"] == {"pose": "3"}
    assert (first["label"], first["points"]) == ("café", [(0, 0, 0), (5, 6, 2)])
    assert second["points"] == [(1, 2, 2), (3, 4, 2)] and second["ignore"] == 1
    assert (third["label"], third["points"]) == ("object", [])
    assert read.names == {"café": ["eye", "nose"], "object": None}  # in dlib's order
    assert len(read.images) == 2


def test_numbers_are_in_their_order(tmp_path):
    write_image(tmp_path / "in/a.png")
    parts = "".join(f"<part name='{n}' x='{n}' y='1'/>" for n in (2, 10, 1))
    text = f"<image file='a.png'><box top='0' left='0' width='20' height='9'>{parts}</box></image>"
    read = Read(write_latin(tmp_path / "in/faces.xml", text), tmp_path / "out")
    assert read.names == {"object": ["1", "2", "10"]}
    assert [point[0] for point in read.objects[0]["points"]] == [1, 2, 10]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<image file='a.png'><box top='0' left='x' width='2' height='2'/></image>", r"image 1 \(a.png\): 'x' where a"),
        ("<image file='a.png'><box top='0' left='1' height='2'/></image>", "None where a number belongs"),
        (
            "<image file='a.png'><box top='0' left='0' width='9' height='9'>"
            "<part name='1' x='1' y='1'/><part name='1' x='2' y='2'/></box></image>",
            "part '1' comes twice",
        ),
        (
            "<image><box top='0' left='0' width='9' height='9'/></image>",
            r"images without a name: 1 \(faces.xml, image 1",
        ),
        ("<image file='a.png'/><image file='a.png'/>", "annotated twice"),
        ("<image file='a.png'>", "not valid XML"),
        ("", "nothing is annotated in 0 pictures"),
    ],
)
def test_faults(tmp_path, text, message):
    write_image(tmp_path / "in/a.png")
    with pytest.raises(DataError, match=message):
        Read(write_latin(tmp_path / "in/faces.xml", text), tmp_path / "out")


def test_entities_are_refused(tmp_path):
    path = write(tmp_path / "faces.xml", '<!DOCTYPE a [<!ENTITY b "c">]><dataset><images/></dataset>')
    with pytest.raises(DataError, match="declares a document type"):
        Read(path, tmp_path / "out")
