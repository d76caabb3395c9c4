"""CVAT's XML for images and for video."""

import pytest

from hrtoolkit.errors import DataError

from .importing import Read, box, write, write_image

SVG = (
    '&lt;line data-type="edge" data-node-from="2" data-node-to="1"&gt;&lt;/line&gt;'
    '&lt;circle data-node-id="1" data-label-name="fin"&gt;&lt;/circle&gt;'
    '&lt;circle data-node-id="2" data-label-name="tail"&gt;&lt;/circle&gt;'
)
LABELS = f"""<labels>
<label><name>fish</name><type>skeleton</type><svg>{SVG}</svg></label>
<label><name>tail</name><type>points</type><parent>fish</parent></label>
<label><name>fin</name><type>points</type><parent>fish</parent></label>
<label><name>net</name><type>any</type></label>
<label><name>blurred</name><type>tag</type></label></labels>"""


@pytest.fixture
def export(tmp_path):
    """Write an export of annotations.xml and images of 100 x 50; gives what it becomes."""

    def make(body: str, images: list[str] = ("images/a.png",), meta: str = "", **options) -> Read:
        xml = f"<annotations><version>1.1</version><meta>{meta or f'<task>{LABELS}</task>'}</meta>{body}</annotations>"
        write(tmp_path / "export" / "annotations.xml", xml)
        for path in images:
            write_image(tmp_path / "export" / path, 100, 50)
        return Read(tmp_path / "export", tmp_path / "out", **options)

    return make


def image(shapes: str, name: str = "a.png", more: str = "") -> str:
    return f'<image id="0" name="{name}" width="100" height="50" {more}>{shapes}</image>'


def points(label: str, at: str, outside: int = 0, occluded: int = 0, more: str = "") -> str:
    return f'<points label="{label}" outside="{outside}" occluded="{occluded}" points="{at}" {more}/>'


def test_skeleton_in_the_order_of_its_sublabels(export):
    shapes = points("fin", "10.5,20", occluded=1) + points("tail", "1,1", outside=1)
    read = export(image(f'<skeleton label="fish" points="">{shapes}</skeleton><tag label="blurred"/>'))
    (one,) = read.objects
    assert read.names["fish"] == ["tail", "fin"] and one["points"] == [(0, 0, 0), (10.5, 20, 1)]
    assert read.categories["fish"]["skeleton"] == [[1, 2]]
    assert "blurred" not in read.names and "tags that are no objects: 1" in read.text


def test_shapes(export):
    read = export(
        image(
            '<box label="net" xtl="10" ytl="10" xbr="30" ybr="20" rotation="90.0">'
            '<attribute name="age">3</attribute></box>'
            '<box label="net" xtl="1.5" ytl="2" xbr="3" ybr="50"/>'
            '<polygon label="net" points="1,2;3,4;6,5"/>'
            '<ellipse label="net" cx="50" cy="25" rx="20" ry="10"/>'
            '<mask label="net" rle="1, 2, 2, 1" left="10" top="20" width="3" height="2"/>'
            '<polyline label="net" points="1,2;3,4"/><polygon label="" points="1,2;3,4;6,5"/>'
        )
    )
    turned, plain, polygon, ellipse, mask = read.objects
    assert box(turned) == pytest.approx([15, 5, 25, 25]) and turned["area"] == pytest.approx(200)
    assert turned["attributes"] == {"age": "3"}
    assert box(plain) == [1.5, 2, 3, 50]
    assert polygon["segmentation"] == [[1, 2, 3, 4, 6, 5]]
    assert box(ellipse) == pytest.approx([30, 15, 70, 35]) and ellipse["area"] == pytest.approx(628.3, rel=0.01)
    assert box(mask) == [11, 20, 13, 22] and mask["area"] == 3
    assert "lines that are no objects: 1" in read.text and "shapes without a label: 1" in read.text


def test_shape_of_points_is_an_object_of_numbered_keypoints(export):
    shapes = points("net", "1,2;3,4;5,6") + points("net", "1,2;3,4", occluded=1)
    read = export(image(shapes))
    assert read.names["net"] == ["1", "2", "3"]
    assert [one["points"] for one in read.objects] == [
        [(1, 2, 2), (3, 4, 2), (5, 6, 2)],
        [(1, 2, 1), (3, 4, 1), (0, 0, 0)],
    ]
    assert "another number of points" in read.text


PARTS = "<task><labels>" + "".join(
    f"<label><name>{name}</name><type>{kind}</type></label>"
    for name, kind in (("cat", "rectangle"), ("nose", "points"), ("paw", "points"))
)
PARTS += "</labels></task>"
BOX = '<box label="cat" xtl="0" ytl="0" xbr="40" ybr="40" group_id="{}"/>'


def test_points_of_one_keypoint_each_belong_to_boxes(export):
    shapes = points("nose", "5,5") + points("paw", "9,9") + BOX.format(0)
    grouped = points("nose", "60,5", more='group_id="2"') + BOX.format(2)
    read = export(image(shapes + grouped), meta=PARTS)
    assert read.names == {"cat": ["nose", "paw"]}
    assert [one["points"] for one in read.objects] == [[(5, 5, 2), (9, 9, 2)], [(60, 5, 2), (0, 0, 0)]]


def test_points_of_labels_of_any_type(export):
    meta = PARTS.replace("points", "any").replace("rectangle", "any")
    read = export(image(points("nose", "5,5") + points("paw", "9,9") + BOX.format(0)), meta=meta)
    assert read.names == {"cat": ["nose", "paw"]}
    read = export(image(points("nose", "5,5") + points("nose", "9,9")), meta=meta)  # objects of one point
    assert [one["label"] for one in read.objects] == ["nose", "nose"]


def test_box_and_skeleton_are_joined_where_that_is_wanted(export):
    shapes = points("fin", "10.5,20") + points("tail", "1,1")
    box_around = '<box label="net" xtl="0" ytl="0" xbr="40" ybr="40"/>'
    body = image(f'<skeleton label="fish" points="">{shapes}</skeleton>{box_around}')
    assert len(export(body).objects) == 2
    (one,) = export(body, join=True).objects
    assert one["label"] == "net" and box(one) == [0, 0, 40, 40] and len(one["points"]) == 2


def test_project_of_subsets(export):
    meta = f"<project>{LABELS}<tasks><task><id>1</id><subset>Train</subset></task></tasks></project>"
    line = '<box label="net" xtl="0" ytl="0" xbr="4" ybr="4"/>'
    body = image(line, "one/a.png", 'subset="Train" task_id="1"') + image(line, "two/a.png", 'subset="Validation"')
    body += image("", "b.png", 'subset="default"')
    read = export(body, ["Train/one/a.png", "Validation/two/a.png", "b.png"], meta)
    assert dict(read.imported.splits) == {"train": 1, "val": 1, "annotations": 1}


VIDEO = (
    f"<task><id>5</id>{LABELS}<start_frame>0</start_frame><stop_frame>9</stop_frame>"
    "<original_size><width>100</width><height>50</height></original_size></task>"
)


def track(label: str, shapes: str) -> str:
    return f'<track id="7" label="{label}" source="manual">{shapes}</track>'


def test_tracks_of_a_video(export):
    edges = 'xtl="1" ytl="2" xbr="{}" ybr="4"'.format
    boxes = f'<box frame="0" keyframe="1" outside="0" {edges(3)}/><box frame="1" keyframe="0" outside="0" {edges(4)}/>'
    boxes += f'<box frame="2" keyframe="1" outside="1" {edges(4)}/>'
    parts = points("tail", "5,6") + points("fin", "7,8", outside=1)
    gone = points("tail", "5,6", outside=1) + points("fin", "7,8", outside=1)
    skeletons = f'<skeleton frame="1" keyframe="1">{parts}</skeleton><skeleton frame="2" keyframe="1">{gone}</skeleton>'
    frames = [f"images/frame_00000{number}.PNG" for number in range(4)]
    read = export(track("net", boxes) + track("fish", skeletons), frames, VIDEO)
    assert len(read.images) == 4  # a frame without objects is a picture too
    assert [box(one) for one in read.of("frame_000000.PNG")] == [[1, 2, 3, 4]]
    interpolated, fish = read.of("frame_000001.PNG")
    assert box(interpolated) == [1, 2, 4, 4] and interpolated["attributes"] == {"track": 7}
    assert fish["points"] == [(5, 6, 2), (0, 0, 0)] and not read.of("frame_000002.PNG")


def test_frames_under_other_names(export):
    shape = '<box frame="{}" xtl="1" ytl="2" xbr="3" ybr="4"/>'
    read = export(track("net", shape.format(3) + shape.format(12)), ["clip-003.jpg", "clip-012.jpg"], VIDEO)
    assert [one["image"] for one in read.objects] == [
        "clip-003.jpg",
        "clip-012.jpg",
    ] and "number at the end" in read.text
    assert "whose image is not there: 1 (frame_000004.PNG)" in export(track("net", shape.format(4)), [], VIDEO).text


@pytest.mark.parametrize(
    "body, message",
    [
        (image('<box label="cat" xtl="0" ytl="0" xbr="4" ybr="4"/>'), "a.png, box 1: cat"),
        (image('<box label="net" xtl="0" ytl="x" xbr="4" ybr="4"/>'), "a.png, box 1: 'x' where a number belongs"),
        (image('<box label="net" xtl="0" ytl="0" xbr="4"/>'), "a.png, box 1: None where"),
        (image('<polygon label="fish" points="1,2;3,4;6,5"/>'), "label that is a skeleton.*polygon 1: fish"),
        (image(f'<skeleton label="fish">{points("eye", "1,2")}</skeleton>'), "'eye', which 'fish' does not have"),
        (image('<mask label="net" rle="1, 2" left="0" top="0" width="3" height="2"/>'), "3 pixels in a mask of 3x2"),
        (image('<box label="net" xtl="0" ytl="0" xbr="4" ybr="4"/>').replace('"50"', '"60"'), "another size.*a.png"),
        (image(""), "nothing is annotated in 1 pictures"),
        (image("") + "<image", "not valid XML"),
    ],
)
def test_one_clear_error(export, body, message):
    with pytest.raises(DataError, match=message):
        export(body)


def test_points_without_an_instance(export):
    far = points("nose", "90,45")
    with pytest.raises(
        DataError, match=r"points without an instance: 1 \(annotations.xml, image a.png, points 3: nose\)"
    ):
        export(image(BOX.format(0) + points("nose", "5,5") + far), meta=PARTS)


def test_two_images_of_one_name(export):
    with pytest.raises(DataError, match="several have the name"):
        export(image('<box label="net" xtl="0" ytl="0" xbr="4" ybr="4"/>'), ["x/a.png", "y/a.png"])
