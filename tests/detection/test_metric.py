"""COCO's numbers: the published example, images in which nobody looked, result files."""

import json

import numpy as np
import pytest

from hrtoolkit import coco_eval
from hrtoolkit.coco_eval import BOX_NUMBERS
from hrtoolkit.errors import DataError
from hrtoolkit.masks import Masks
from hrtoolkit.records import Objects
from hrtoolkit.schemes import ClassScheme
from hrtoolkit.tasks.detection.metric import CocoDetectionMetric

EXPECTED = (0.5091, 0.9175, 0.5842, 0.4, 0.6, 0.9, 0.4, 0.625, 0.625, 0.4, 0.6, 0.9)
# Labels follow the order of the classes, here not that of the category ids.
SCHEME = ClassScheme(("cow", "cat", "dog"), ids=(3, 1, 2))


def example():
    """Truth and prediction of two images with two of three categories, and a crowd that absorbs a detection."""

    def truth(boxes, categories, crowd):
        boxes = np.array(boxes, np.float64)
        areas = boxes[:, 2] * boxes[:, 3]
        boxes[:, 2:] += boxes[:, :2]
        labels = np.array([SCHEME.ids.index(category) for category in categories])
        crowd = np.array(crowd, bool)
        return Objects(boxes, labels, areas=areas, crowd=crowd, ignored=crowd)

    def prediction(boxes, labels, scores):
        boxes = np.array(boxes, np.float32)
        boxes[:, 2:] += boxes[:, :2]
        return Objects(boxes, np.array(labels), scores=np.array(scores, np.float32))

    truths = [
        truth([[10, 10, 20, 20], [50, 50, 40, 40]], [1, 3], [0, 0]),
        truth([[0, 0, 100, 100], [20, 20, 60, 60]], [1, 1], [0, 1]),
    ]
    predictions = [
        prediction([(12, 12, 20, 20), (60, 60, 10, 10), (50, 50, 40, 30)], [1, 1, 0], [0.9, 0.8, 0.7]),
        prediction([(0, 0, 90, 100), (30, 30, 20, 20)], [1, 1], [0.6, 0.95]),
    ]
    return truths, predictions


def score(truths, predictions, **options):
    metric = CocoDetectionMetric(**options)
    return metric.score([metric.measure(p, t, SCHEME) for t, p in zip(truths, predictions, strict=True)], SCHEME)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("field", ["boxes_xyxy", "scores"])
def test_what_is_not_finite_counts_as_missed_and_is_told(field, bad, caplog):
    truths, predictions = example()
    expected = score(truths, [one.select(np.arange(len(one.labels)) != 0) for one in predictions])
    for one in predictions:
        getattr(one, field)[0] = bad
    assert score(truths, predictions) == expected
    assert "2 of 5 predictions are not finite" in caplog.text


def test_the_published_example():
    numbers = score(*example(), per_class=True)
    assert [numbers[name] for name in BOX_NUMBERS] == pytest.approx(EXPECTED, abs=1e-4)
    assert numbers["AR100"] == pytest.approx(0.625)  # mmdetection's seventh number: it counts 100, 300 and 1000
    assert numbers["AP/dog"] == -1
    assert (numbers["AP/cat"] + numbers["AP/cow"]) / 2 == pytest.approx(numbers["AP"])
    assert numbers["AP/cow"] == pytest.approx(0.6)  # overlap 0.75: right at six of ten thresholds


def test_faster_coco_eval_gives_the_same_numbers(monkeypatch):
    faster = pytest.importorskip("faster_coco_eval")
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    for coco, evaluation in ((COCO, COCOeval), (faster.COCO, faster.COCOeval_faster)):
        monkeypatch.setattr(coco_eval, "COCO", coco)
        monkeypatch.setattr(coco_eval, "COCOeval", evaluation)
        numbers = score(*example(), per_class=True)
        assert [numbers[name] for name in BOX_NUMBERS] == pytest.approx(EXPECTED, abs=1e-4)
        assert numbers["AP/cow"] == pytest.approx(0.6)


def test_ignored_objects_absorb_detections_as_crowds_do():
    truths, predictions = example()
    ignored = truths[1]._replace(crowd=np.zeros(2, bool))
    assert score([truths[0], ignored], predictions) == score(truths, predictions)


def test_an_image_in_which_nobody_looked_counts():
    truths, predictions = example()
    unseen = truths[1].select(slice(0, 1))
    numbers = score([*truths, unseen], [*predictions, None])
    # The cat is missed; a score of the other images alone would not know.
    empty = predictions[0].select(slice(0, 0))
    assert numbers == score([*truths, unseen], [*predictions, empty])
    assert numbers["AR100"] == pytest.approx((2 / 3 * 0.65 + 0.6) / 2)  # it was (0.65 + 0.6) / 2
    assert numbers["AP"] < score(truths, predictions)["AP"] - 0.05


def test_nothing_found_scores_zero(caplog):
    truths, predictions = example()
    assert score(truths, [p.select(slice(0, 0)) for p in predictions]) == dict.fromkeys(BOX_NUMBERS, 0.0)
    assert "no predictions to score: every number is 0" in caplog.text


def test_masks_are_scored_where_data_and_model_have_them():
    truths, predictions = example()
    with_masks = [t._replace(masks=polygons(t)) for t in truths]
    assert not [name for name in score(with_masks, predictions) if name.startswith("mask_")]
    found = [p._replace(masks=polygons(p)) for p in predictions]
    assert not [name for name in score(truths, found) if name.startswith("mask_")]
    numbers = score(with_masks, found)
    # Boxes of whole pixels are their masks.
    assert [numbers[f"mask_{name}"] for name in BOX_NUMBERS] == pytest.approx(EXPECTED, abs=1e-4)


def polygons(objects):
    corners = objects.boxes_xyxy.tolist()
    return Masks((120, 120), [[[x1, y1, x2, y1, x2, y2, x1, y2]] for x1, y1, x2, y2 in corners])


def test_measures_hold_run_lengths_and_no_polygons():
    truths, predictions = example()
    truth, found = (
        truths[0]._replace(masks=polygons(truths[0])),
        predictions[0]._replace(masks=polygons(predictions[0])),
    )
    for record in CocoDetectionMetric().measure(found, truth, SCHEME):
        assert all(isinstance(one["counts"], str) for one in record.masks.segmentations)
    assert CocoDetectionMetric().measure(predictions[0], truth, SCHEME)[0].masks is None


def test_results_are_written_in_cocos_format(tmp_path):
    _, predictions = example()
    mask = {"size": [100, 100], "counts": "x"}
    predictions[0] = predictions[0]._replace(masks=Masks((100, 100), [mask] * 3))
    writer, path = CocoDetectionMetric.writer, tmp_path / "out" / "boxes.json"
    packed = [one for i, p in enumerate(predictions, start=1) for one in writer.pack(str(path), i, p, SCHEME)]
    writer.write(str(path), packed)
    written = json.loads(path.read_text())
    assert len(written) == 5
    assert written[2] == {"image_id": 1, "category_id": 3, "score": pytest.approx(0.7), "bbox": [50, 50, 40, 30]}
    masks = json.loads((tmp_path / "out" / "boxes_masks.json").read_text())
    assert len(masks) == 3 and masks[0].keys() == {"image_id", "category_id", "score", "segmentation"}


def test_annotations_without_area_are_refused():
    truths, predictions = example()
    truths[1].areas[0] = np.nan
    with pytest.raises(DataError, match="1 of 4 annotated objects lack `area` or `bbox`; add what is missing"):
        score(truths, predictions)


@pytest.mark.parametrize("field", ["boxes_xyxy", "scores"])
def test_what_is_not_finite_counts_as_missed(caplog, field):
    truths, _ = example()
    perfect = [truth.as_prediction() for truth in truths]
    spoiled = [one._replace(**{field: np.full_like(getattr(one, field), np.nan)}) for one in perfect]
    assert score(truths, perfect)["AP"] == 1
    numbers = score(truths, spoiled)
    assert {numbers[name] for name in BOX_NUMBERS} == {0.0}
    assert "are not finite" in caplog.text
