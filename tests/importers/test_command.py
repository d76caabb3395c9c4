"""`hrtoolkit import`, and the way of predictions to a labelling tool and back."""

import json

import numpy as np
import pytest

from hrtoolkit.commands import main
from hrtoolkit.importers import import_annotations
from hrtoolkit.predict.output import Output
from hrtoolkit.predict.prediction import Prediction
from hrtoolkit.predict.sources import Source
from hrtoolkit.records import Objects
from hrtoolkit.schemes import ClassScheme, KeypointScheme


def run(*arguments):
    with pytest.raises(SystemExit) as left:
        main(["import", *map(str, arguments)])
    return left.value.code


def shape(label, points, kind="point", group=1):
    return {"label": label, "points": points, "shape_type": kind, "group_id": group, "flags": {}}


def cat(number, where=10.0):
    points = [shape(name, [[where + place, where]]) for place, name in enumerate(("left_ear", "right_ear", "nose"))]
    box = shape("cat", [[where - 5, where - 5], [where + 20, where + 20]], "rectangle")
    size = {"imagePath": f"{number}.png", "imageHeight": 48, "imageWidth": 64, "imageData": None}
    return {"version": "5.4.1", "flags": {}, "shapes": [box, *points], **size}


def test_it_says_what_it_read_and_what_comes_next(export, capsys):
    for number in range(5):
        export.picture(f"{number}.png")
        export.write(f"{number}.json", cat(number))
    assert run(export.folder, "--out", export.out, "--val", "0.2") == 0
    said = capsys.readouterr().out
    assert "labelme's json, 5 files: 5 pictures" in said and "5 objects (5 cat); with keypoints: 5" in said
    assert said.splitlines()[-1] == f"next: hrtoolkit train pose/hrnet_w32_custom --data {export.out}"
    assert {path.name for path in export.out.iterdir()} == {"train.json", "val.json"}


def test_what_keeps_training_from_starting_is_an_exit_status(export, capsys):
    export.picture("0.png")
    export.write("0.json", cat(0, where=500.0) | {"imageHeight": 48})
    export.picture("1.png")
    export.write("1.json", cat(1, where=500.0))
    assert run(export.folder, "--out", export.out) == 1
    assert "stop: " in capsys.readouterr().out


def test_mistakes_are_one_sentence(export, capsys):
    assert run(export.folder / "gone", "--out", export.out) == 1
    assert run(export.folder, "--out", export.out, "--format", "labelmee") == 1
    said = capsys.readouterr().err
    assert "no such file or folder" in said and "did you mean 'labelme'" in said


@pytest.mark.parametrize("save", ["yolo", "coco"])
def test_predictions_come_back_as_they_went(export, save):
    names = ("left_ear", "right_ear", "nose")
    scheme = KeypointScheme(names, mirrored=(("left_ear", "right_ear"),), classes=ClassScheme(("cat",), ids=(1,)))
    points = np.array([[[10.25, 12.5], [20.5, 12.0], [15.0, 20.0]]], np.float32)
    record = Objects(
        boxes_xyxy=np.array([[5.0, 6.0, 45.0, 36.0]]),
        labels=np.zeros(1, np.int64),
        scores=np.array([0.9]),
        points=points,
        point_scores=np.array([[0.9, 0.8, 0.1]], np.float32),
    )
    path = export.picture("images/a.png")
    output = Output(export.folder, scheme, {}, pictures=False, save=[save])
    output.add(
        Prediction(Source(str(path) if save == "coco" else "a.png"), record, scheme, np.zeros((48, 64, 3), np.uint8))
    )
    output.finish()
    output.close()
    source = export.folder / ("yolo" if save == "yolo" else "predictions.coco.json")
    import_annotations(source, export.out, images=export.folder / "images")
    written = json.loads(next(export.out.glob("*.json")).read_text())
    (annotation,) = written["annotations"]
    flat = np.array(annotation["keypoints"]).reshape(3, 3)
    np.testing.assert_allclose(flat[:, :2], points[0], atol=1e-4)
    assert flat[:, 2].tolist() == [2, 2, 1] and annotation["bbox"] == pytest.approx([5, 6, 40, 30], abs=1e-4)
    assert written["categories"][0]["keypoints"] == list(names)
