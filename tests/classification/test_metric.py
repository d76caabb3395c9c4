"""Top-1 and top-5 against a plain count, and pictures of two classes and a thousand."""

import json

import numpy as np
import pytest

from hrtoolkit.records import Category
from hrtoolkit.runtime.drawing import draw
from hrtoolkit.schemes import ClassScheme, resolve_scheme
from hrtoolkit.tasks.classification.metric import ClassificationMetric, count_confusions, draw_confusions

SIZE, CLASSES = 23, 12


def make_predictions(size=SIZE, classes=CLASSES, seed=0):
    """Predictions, and true classes."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, size)
    scores = rng.normal(0, 1, (size, classes)) + 1.5 * np.eye(classes)[labels]
    return [Category(int(row.argmax()), row) for row in scores], labels.tolist()


def count(predictions, labels):
    """The slow way: sort the scores of each image and look for its label."""
    ranks = [
        sorted(range(len(p.class_scores)), key=lambda c, p=p: -p.class_scores[c]).index(label)
        for p, label in zip(predictions, labels, strict=True)
    ]
    return {"top1": np.mean([rank < 1 for rank in ranks]), "top5": np.mean([rank < 5 for rank in ranks])}


def measure(predictions, labels, scheme):
    pairs = zip(predictions, labels, strict=True)
    return [ClassificationMetric().measure(prediction, Category(label), scheme) for prediction, label in pairs]


def score(predictions, labels, scheme):
    scheme = resolve_scheme(scheme, ClassScheme)
    return ClassificationMetric().score(measure(predictions, labels, scheme), scheme)


def test_top1_and_top5_equal_a_plain_count():
    predictions, labels = make_predictions()
    expected = count(predictions, labels)
    assert 0.1 < expected["top1"] < expected["top5"] < 0.95
    numbers = score(predictions, labels, CLASSES)
    assert {name: numbers[name] for name in expected} == pytest.approx(expected)
    by_class = [
        np.mean([p.label == c for p, label in zip(predictions, labels, strict=True) if label == c])
        for c in sorted(set(labels))
    ]
    assert numbers["mean_class_accuracy"] == pytest.approx(np.mean(by_class))
    confusion = np.zeros((CLASSES, CLASSES), int)
    for prediction, label in zip(predictions, labels, strict=True):
        confusion[label, prediction.label] += 1
    measures = measure(predictions, labels, resolve_scheme(CLASSES, ClassScheme))
    np.testing.assert_array_equal(count_confusions(measures)[:, :-1], confusion)


def test_top5_of_fewer_than_five_classes_is_one():
    predictions, labels = make_predictions(classes=3)
    numbers = score(predictions, labels, ["ant", "bee", "wasp"])
    assert numbers["top5"] == 1 and numbers["top1"] == pytest.approx(count(predictions, labels)["top1"]) != 1
    assert {"accuracy_ant", "accuracy_bee", "accuracy_wasp"} <= numbers.keys()


def test_scores_that_are_not_numbers_are_no_hits():
    nothing = Category(0, np.full(CLASSES, np.nan))
    assert score([nothing] * SIZE, [7] * SIZE, CLASSES)["top1"] == 0


def test_truth_is_a_perfect_prediction_and_without_truth_there_is_no_score():
    metric, scheme = ClassificationMetric(), ClassScheme(["ant", "bee", "wasp"])
    truths = [Category(label) for label in (0, 2, 2)]
    numbers = metric.score([metric.measure(one.as_prediction(), one, scheme) for one in truths], scheme)
    assert numbers == {"top1": 1, "top5": 1, "mean_class_accuracy": 1, "accuracy_ant": 1, "accuracy_wasp": 1}
    unknown = [metric.measure(make_predictions(classes=3)[0][0], None, scheme)]
    assert metric.score(unknown, scheme) == {} and metric.draw({"all": unknown}, scheme) == {}


def test_data_of_numbered_classes_may_know_fewer_than_the_network_predicts():
    predictions, labels = make_predictions(classes=8)
    assert score(predictions, labels, 2) == score(predictions, labels, 8)


@pytest.mark.parametrize("classes", [2, 1000])
def test_the_confusion_matrix_is_drawn(classes):
    predictions, labels = make_predictions(4 * classes, classes)
    scheme = ClassScheme([f"n{c:08d}" for c in range(classes)])
    measures = measure(predictions, labels, scheme)
    picture = ClassificationMetric().draw({"all": measures}, scheme)["confusion"]
    assert picture.dtype == np.uint8 and picture.shape == (1050, 1500, 3)
    # Of the perfect one the diagonal is left, so that pictures differ; both are more than a blank page.
    totals = count_confusions(measures).sum(1)
    perfect = draw_confusions(np.eye(len(totals), len(totals) + 1, dtype=int) * totals[:, None], scheme)
    assert (picture != perfect).any() and len(np.unique(perfect.reshape(-1, 3), axis=0)) > 10


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_an_image_whose_scores_are_not_finite_is_missed_and_told(bad, caplog, tmp_path):
    scheme, labels = ClassScheme(["ant", "bee"]), [0, 0, 1, 1]
    scores = np.array([[0.9, 0.1], [bad, bad], [0.2, 0.8], [0.3, bad]])
    predictions = [Category(int(row.argmax()), row) for row in scores]  # NumPy takes NaN for the highest
    measures = measure(predictions, labels, scheme)
    numbers = ClassificationMetric().score(measures, scheme)
    expected = dict(top1=0.5, top5=0.5, mean_class_accuracy=0.5, accuracy_ant=0.5, accuracy_bee=0.5)
    assert numbers == expected
    assert "2 of 4 images have scores that are NaN or infinite and count as missed" in caplog.text
    np.testing.assert_array_equal(count_confusions(measures), [[1, 0, 1], [0, 1, 1]])
    assert draw_confusions(count_confusions(measures), scheme).shape == (1050, 1500, 3)
    assert draw(np.zeros((20, 30, 3), np.uint8), predictions[1], scheme).shape == (288, 640, 3)
    writer = ClassificationMetric.writer
    writer.write(str(tmp_path / "out.json"), writer.pack(str(tmp_path / "out.json"), "a", predictions[1], scheme))
    assert json.loads((tmp_path / "out.json").read_text(), parse_constant=pytest.fail)["images"][0]["top_scores"] == []


def test_a_class_that_is_alone_is_scored_and_drawn():
    scheme = ClassScheme(["ant"])
    measures = measure([Category(0, np.ones(1))] * 2, [0, 0], scheme)
    assert ClassificationMetric().score(measures, scheme)["top5"] == 1
    assert ClassificationMetric().draw({"all": measures}, scheme)["confusion"].shape == (1050, 1500, 3)


def test_classes_are_drawn_beside_their_image():
    image, scheme = np.full((20, 30, 3), 90, np.uint8), ClassScheme(["ant", "bee", "wasp"])
    truth = draw(image, Category(1), scheme)
    predicted = [draw(image, Category(1, np.array(scores)), scheme) for scores in ([0.1, 0.8, 0.1], [0.7, 0.2, 0.1])]
    assert truth.shape == (288, 320, 3) and all(picture.shape == (288, 640, 3) for picture in predicted)
    assert (predicted[0] != predicted[1]).any()


def test_predictions_are_written(tmp_path):
    predictions, _ = make_predictions(classes=3)
    writer, scheme, packed = ClassificationMetric.writer, ClassScheme(["ant", "bee", "wasp"]), []
    for number, prediction in enumerate(predictions):
        packed += writer.pack(str(tmp_path / "out.json"), f"{number}.jpg", prediction, scheme)
    writer.write(str(tmp_path / "out.json"), packed)
    images = json.loads((tmp_path / "out.json").read_text())["images"]
    best = int(predictions[3].class_scores.argmax())
    assert len(images) == SIZE and images[3]["image_id"] == "3.jpg"
    assert images[3]["class"] == scheme.names[best] and images[3]["top"][0] == best
    assert images[3]["top_scores"] == sorted(predictions[3].class_scores, reverse=True)
