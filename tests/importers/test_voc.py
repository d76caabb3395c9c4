"""Pascal VOC's XML."""

import pytest

from hrtoolkit.errors import DataError

from .importing import Read, box, write, write_image

OBJECT = (
    "<object><name>{name}</name><pose>Left</pose><difficult>{difficult}</difficult><bndbox><xmax>{x2}</xmax>"
    "<xmin>{x1}</xmin><ymin>2</ymin><ymax>20</ymax></bndbox>{more}</object>"
)
PART = "<part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>5</xmax><ymax>5</ymax></bndbox></part>"


def one(name="dog", x1=1, x2=10, difficult=0, more=""):
    return OBJECT.format(name=name, x1=x1, x2=x2, difficult=difficult, more=more)


def write_voc(folder, stem, *objects, database="Unknown", name=None, size=(64, 48)):
    sides = "<size><width>{}</width><height>{}</height><depth>3</depth></size>".format(*size)
    text = f"<annotation><filename>{name or stem + '.png'}</filename><source><database>{database}</database></source>"
    return write(folder / f"{stem}.xml", f"{text}{sides}{''.join(objects)}</annotation>")


@pytest.fixture
def voc(tmp_path):
    folder = tmp_path / "in"
    for stem in "abc":
        write_image(folder / f"JPEGImages/{stem}.png")
    return folder


OWN = "The VOC2007 Database"


@pytest.mark.parametrize(
    ("database", "options", "first", "said"),
    [
        (OWN, {}, [0, 1, 10, 20], "whole pixels from 1: 1 (a.xml calls VOC its source); --format voc0"),
        ("Unknown", {}, [1, 2, 10, 20], "edges from 0: 1 (a.xml does not call VOC its source); --format voc1"),
        ("Unknown", {"format": "voc1"}, [0, 1, 10, 20], ""),
        (OWN, {"format": "voc0"}, [1, 2, 10, 20], ""),
    ],
)
def test_where_coordinates_begin(voc, tmp_path, database, options, first, said):
    write_voc(voc / "Annotations", "a", one(), database=database)
    read = Read(voc, tmp_path / "out", **options)
    assert box(read.objects[0]) == first and said in read.text


def test_a_box_at_0_tells(voc, tmp_path):
    write_voc(voc / "Annotations", "a", one(), database=OWN)
    write_voc(voc / "Annotations", "b", one(x1=0), database=OWN)
    read = Read(voc, tmp_path / "out")
    assert box(read.of("a.png")[0]) == [1, 2, 10, 20] and "b.xml has a box that begins at 0" in read.text


def test_parts_difficult_objects_splits_and_empty_pictures(voc, tmp_path):
    write_voc(voc / "Annotations", "a", one(more=PART), one("cat", difficult=1))
    write_voc(voc / "Annotations", "b", one(), name="stale name.jpg", size=(0, 0))
    write_voc(voc / "Annotations", "c")
    write(voc / "ImageSets/Main/train.txt", "a\nc\n")
    write(voc / "ImageSets/Main/val.txt", "b\n")
    write(voc / "ImageSets/Main/dog_val.txt", "b 1\n")
    read = Read(voc, tmp_path / "out")
    assert dict(read.imported.splits) == {"train": 2, "val": 1}
    first, second = read.of("a.png")
    assert (first["label"], first["attributes"], second["ignore"]) == ("dog", {"pose": "Left"}, 1)
    assert len(read.of("b.png")) == 1 and "boxes of parts: 1 (a.xml, object 1)" in read.text


def test_images_beside_the_files_of_each_split_and_outlines(tmp_path):
    corners = "<polygon><x1>1</x1><y1>2</y1><x2>10</x2><y2>2</y2><x3>10</x3><y3>20</y3></polygon>"
    for split in ("train", "valid"):
        write_image(tmp_path / f"in/{split}/a.png")
        write_voc(tmp_path / f"in/{split}", "a", one(more=corners), database="roboflow.com")
    read = Read(tmp_path / "in", tmp_path / "out")
    assert dict(read.imported.splits) == {"train": 1, "val": 1}
    assert read.objects[0]["segmentation"] == [[1, 2, 10, 2, 10, 20]]


@pytest.mark.parametrize(
    ("objects", "message"),
    [
        ([one(name="")], "object 1: it has no name"),
        ([one(), one(x1="left")], "object 2: it has no bndbox with xmin"),
        ([one(x1=30)], "its box ends before it begins"),
        (["<object"], "not in VOC's format(.|\n)*a.xml: not valid XML"),
        ([], "nothing is annotated in 1 pictures"),
    ],
)
def test_faults(voc, tmp_path, objects, message):
    write_voc(voc / "Annotations", "a", *objects)
    with pytest.raises(DataError, match=message):
        Read(voc, tmp_path / "out")


def test_another_size_than_annotated(voc, tmp_path):
    write_voc(voc / "Annotations", "a", one(), size=(640, 480))
    with pytest.raises(DataError, match=r"another size than annotated: 1 \(a.png: 640x480, its file has 64x48\)"):
        Read(voc, tmp_path / "out")
