"""Tables of keypoints or boxes."""

import cv2
import numpy as np
import pytest

from hrtoolkit.errors import DataError

from .importing import Read, box, write, write_image


@pytest.fixture
def folder(tmp_path):
    for name in "ab":
        write_image(tmp_path / f"in/{name}.png")
    return tmp_path / "in"


def read(folder, tmp_path, text):
    write(folder / "table.csv", text)
    return Read(folder, tmp_path / "out")


def test_keypoints_with_and_without_visibility(folder, tmp_path):
    got = read(
        folder, tmp_path, "image,left_eye_x,left_eye_y,left_eye_v,nose_x,nose_y\na.png,1.5,2,1,nan,\nb.png,1,2,0,3,4\n"
    )
    assert got.names == {"object": ["left_eye", "nose"]}
    assert [one["points"] for one in got.objects] == [[(1.5, 2, 1), (0, 0, 0)], [(0, 0, 0), (3, 4, 2)]]


@pytest.mark.parametrize(
    ("head", "names"),
    [
        ("filename;x1;y1;x2;y2;x3;y3", ["1", "2", "3"]),
        ("Path\tA x\tA y\tB.x\tB.y\tC-X\tC-Y", ["A", "B", "C"]),
        ("what,p_1_x,p_1_y,p_2_x,p_2_y,p_3_x,p_3_y", ["p_1", "p_2", "p_3"]),
    ],
)
def test_names_of_columns(folder, tmp_path, head, names):
    separator = max(",;\t", key=head.count)
    got = read(folder, tmp_path, f"{head}\n" + separator.join(["a.png", "1", "2", "3", "4", "5", "6"]) + "\n")
    assert got.names == {"object": names} and got.objects[0]["points"] == [(1, 2, 2), (3, 4, 2), (5, 6, 2)]


def test_boxes_of_rows_that_lie_apart(folder, tmp_path):
    top = "filename,width,height,class,xmin,ymin,xmax,ymax\n"
    got = read(folder, tmp_path, top + "a.png,64,48,dog,1,2,3,4\nb.png,64,48,cat,5,6,7,8\na.png,64,48,cat,9,9,20,30\n")
    assert [(one["image"], one["label"], box(one)) for one in got.objects] == [
        ("a.png", "dog", [1, 2, 3, 4]),
        ("a.png", "cat", [9, 9, 20, 30]),
        ("b.png", "cat", [5, 6, 7, 8]),
    ]


def test_boxes_by_their_size_beside_keypoints(folder, tmp_path):
    text = "image_id,bbox_x,bbox_y,bbox_w,bbox_h,nose_x,nose_y,label\na,1,2,3,4,2,3,dog\nb,,,,,,,dog\n"
    got = read(folder, tmp_path, text)
    assert box(got.objects[0]) == [1, 2, 4, 6] and got.names == {"dog": ["nose"]} and len(got.images) == 2


def test_images_in_cells(tmp_path):
    pixels = np.arange(256).reshape(16, 16)
    cells = " ".join(map(str, pixels.ravel()))
    text = f"nose_x,nose_y,eye_x,eye_y,Image\n1,2,3,4,{cells}\n5,6,,,{cells}\n"
    got = Read(write(tmp_path / "training.csv", text), tmp_path / "out")
    assert [one["points"] for one in got.objects] == [[(1, 2, 2), (3, 4, 2)], [(5, 6, 2), (0, 0, 0)]]
    assert (cv2.imread(str(tmp_path / "out" / got.images[0]), 0) == pixels).all() and len(set(got.images)) == 2


TOP = "image,nose_x,nose_y,eye_x,eye_y,ear_x,ear_y\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TOP + "a.png,1,2,3,4,5,six\n", "table.csv, line 2: 'six' where a number belongs"),
        (TOP + "a.png,1,2,3,4,5,\n", "line 2: '' where a number belongs"),
        (TOP + "a.png,1,2,3,4,5,6\na.png,1,2\n", "line 3 has 3 cells, its first line has 7"),
        (TOP + "a.png,10,20,30,4,5,6\nb.png,0.1,0.2,0.3,0.4,0.5,0.6\n", "line 3: all its points lie within one pixel"),
        (TOP + "a.png,,,,,,\n", "nothing is annotated in 1 pictures"),
        (TOP, "no rows as long as its first"),
        (TOP.replace("image", "what") + "1,1,2,3,4,5,6\n", "no column names the images"),
        (TOP + "zz.png,1,2,3,4,5,6\n", "image is not there"),
        ("image,nose_x,nose_v\na.png,1,2\n", "no columns NAME_x and NAME_y"),
        ("image,nose_x,nose_y,nose_v\na.png,1,2,7\n", "a visibility '7' of nose"),
        ("image,xmin,ymin,xmax,ymax\na.png,5,5,1,1\n", "its box ends before it begins"),
    ],
)
def test_faults(folder, tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        read(folder, tmp_path, text)
