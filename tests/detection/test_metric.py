"""COCO's numbers: the published example, any number of processes, result files."""

import json

import numpy as np
import pytest
from hrtoolkit.tasks.detection.metric import COCO_STATS, CocoDetectionMetric

from hrtoolkit.errors import DataError

EXPECTED = (0.5091, 0.9175, 0.5842, 0.4, 0.6, 0.9, 0.4, 0.625, 0.625, 0.4, 0.6, 0.9)


def example():
    """Two images, two of three categories, a crowd that absorbs a detection."""
    images = [{"id": 1, "width": 100, "height": 100}, {"id": 2, "width": 120, "height": 120}]
    annotations = [
        {
            "id": number,
            "image_id": image,
            "category_id": category,
            "bbox": box,
            "area": box[2] * box[3],
            "iscrowd": crowd,
        }
        for number, (image, category, box, crowd) in enumerate(
            [
                (1, 1, [10, 10, 20, 20], 0),
                (1, 3, [50, 50, 40, 40], 0),
                (2, 1, [0, 0, 100, 100], 0),
                (2, 1, [20, 20, 60, 60], 1),
            ]
        )  # ids from 0 on, which pycocotools would not match
    ]
    categories = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}, {"id": 3, "name": "cow"}]
    content = {"images": images, "annotations": annotations, "categories": categories}

    def prediction(index, boxes, labels, scores):
        boxes = np.array(boxes, np.float32)
        boxes[:, 2:] += boxes[:, :2]
        return {
            "index": index,
            "image_id": index + 1,
            "boxes": boxes,
            "labels": np.array(labels),
            "scores": np.array(scores, np.float32),
        }

    predictions = [
        # Labels follow the order of the classes, here not that of the category ids.
        prediction(0, [(12, 12, 20, 20), (60, 60, 10, 10), (50, 50, 40, 30)], [1, 1, 0], [0.9, 0.8, 0.7]),
        prediction(1, [(0, 0, 90, 100), (30, 30, 20, 20)], [1, 1], [0.6, 0.95]),
    ]
    return content, predictions


def make_metric(content, **options):
    metric = CocoDetectionMetric(**options)
    metric.dataset_meta = {
        "ann_file": "objects.json",
        "read_ground_truth": lambda: content,
        "classes": ("cow", "cat", "dog"),
        "category_ids": [3, 1, 2],
        "image_ids": [1, 2],
        "masks": False,
    }
    return metric


def test_the_published_example():
    content, predictions = example()
    metric = make_metric(content, per_class=True)
    metric.process(None, predictions[1:])
    metric.process(None, predictions[:1])
    numbers = metric.evaluate(2)
    assert [numbers[name] for name in COCO_STATS] == pytest.approx(EXPECTED, abs=1e-4)
    assert numbers["AR100"] == pytest.approx(0.625)  # mmdetection's seventh number: it counts 100, 300 and 1000
    assert numbers["AP/dog"] == -1
    assert (numbers["AP/cat"] + numbers["AP/cow"]) / 2 == pytest.approx(numbers["AP"])
    assert numbers["AP/cow"] == pytest.approx(0.6)  # overlap 0.75: right at six of ten thresholds
    assert content["annotations"][0]["id"] == 0  # what the dataset holds is not changed


def test_faster_coco_eval_gives_the_same_numbers(monkeypatch):
    faster = pytest.importorskip("faster_coco_eval")
    from hrtoolkit.tasks.detection import metric as module
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    for coco, evaluation in ((COCO, COCOeval), (faster.COCO, faster.COCOeval_faster)):
        monkeypatch.setattr(module, "COCO", coco)
        monkeypatch.setattr(module, "COCOeval", evaluation)
        content, predictions = example()
        metric = make_metric(content, per_class=True)
        metric.process(None, predictions)
        numbers = metric.evaluate(2)
        assert [numbers[name] for name in COCO_STATS] == pytest.approx(EXPECTED, abs=1e-4)
        assert numbers["AP/cow"] == pytest.approx(0.6)


def test_nothing_found_scores_zero_and_nothing_annotated_scores_nothing(caplog):
    content, predictions = example()
    metric = make_metric(content)
    for one in predictions:
        metric.process(None, [{**one, **{field: one[field][:0] for field in ("boxes", "labels", "scores")}}])
    assert metric.evaluate(2) == dict.fromkeys(COCO_STATS, 0.0)
    assert "nothing was detected in objects.json" in caplog.text
    metric = make_metric({**content, "annotations": []})
    metric.process(None, predictions)
    assert metric.evaluate(2) == {}
    assert "objects.json has no annotations" in caplog.text


def test_results_are_written_in_cocos_format(tmp_path):
    content, predictions = example()
    metric = make_metric(content, out_file=str(tmp_path / "out" / "boxes.json"))
    mask = {"size": [100, 100], "counts": "x"}
    predictions[0]["masks"] = [mask] * 3
    metric.process(None, predictions)
    metric.evaluate(2)
    written = json.loads((tmp_path / "out" / "boxes.json").read_text())
    assert len(written) == 5
    assert written[2] == {"image_id": 1, "category_id": 3, "score": pytest.approx(0.7), "bbox": [50, 50, 40, 30]}
    masks = json.loads((tmp_path / "out" / "boxes_masks.json").read_text())
    assert len(masks) == 3 and masks[0].keys() == {"image_id", "category_id", "score", "segmentation"}


def test_annotations_without_area_are_refused():
    content, predictions = example()
    del content["annotations"][2]["area"]
    metric = make_metric(content)
    metric.process(None, predictions)
    with pytest.raises(DataError, match="1 of 4 annotations lack `area` or `bbox`; the first is annotation 2"):
        metric.evaluate(2)
