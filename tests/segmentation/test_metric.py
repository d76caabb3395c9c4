"""Mean IoU and its kin: numbers of the official code, a plain NumPy computation, and memory."""

import logging
import pickle
import tracemalloc

import numpy as np
import pytest
import torch
from PIL import Image

from hrtoolkit.errors import OptionError, UserError
from hrtoolkit.records import LabelMap
from hrtoolkit.schemes import ClassScheme
from hrtoolkit.schemes.classes import CITYSCAPES
from hrtoolkit.tasks.segmentation.metric import SegmentationMetric, count_confusions, score_confusions, sum_confusions
from hrtoolkit.tasks.segmentation.postprocess import best_labels, whole_image

TRUE = np.array([[0, 0, 1, 1], [2, 2, 255, 0]], np.uint8)
PREDICTED = np.array([[0, 1, 1, 1], [2, 0, 2, 0]], np.uint8)


def test_confusions_and_scores_are_the_official_ones():
    matrix = count_confusions(PREDICTED, TRUE, 3)
    np.testing.assert_array_equal(matrix, [[2, 1, 0, 0], [0, 2, 0, 0], [1, 0, 1, 0]])
    scores, iou, _ = score_confusions(matrix, "zero")
    np.testing.assert_allclose(iou, [0.5, 2 / 3, 0.5])
    expected = {"mIoU": 0.555556, "pixel_accuracy": 0.714286, "mean_accuracy": 0.722222}
    assert scores == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("classes", [2, 19, 171])
def test_counting_bytes_equals_counting_pairs(classes):
    rng = np.random.default_rng(0)
    true, predicted = rng.integers(0, classes, (2, 70, 90), dtype=np.uint8)
    true[rng.random((70, 90)) < 0.2] = 255
    predicted[rng.random((70, 90)) < 0.1] = 255
    expected = np.zeros((classes, classes + 1), int)
    np.add.at(expected, (true[true != 255], np.minimum(predicted[true != 255], classes)), 1)
    counts = count_confusions(predicted, true, classes)
    np.testing.assert_array_equal(counts, expected)


def test_more_pixels_than_single_precision_can_count_are_counted():
    many = count_confusions(np.ones((4100, 4100), np.uint8), np.ones((4100, 4100), np.uint8), 2)
    assert many[1, 1] == 4100**2 and many.sum() == 4100**2


def test_an_absent_class_counts_as_zero_or_not_at_all():
    matrix = count_confusions(PREDICTED, TRUE, 4)
    expected = {"mIoU": 0.416667, "pixel_accuracy": 0.714286, "mean_accuracy": 0.541667}
    assert score_confusions(matrix, "zero")[0] == pytest.approx(expected, abs=1e-6)
    expected = {"mIoU": 0.555556, "pixel_accuracy": 0.714286, "mean_accuracy": 0.722222}
    scores, iou, _ = score_confusions(matrix, "skip")
    assert scores == pytest.approx(expected, abs=1e-6) and np.isnan(iou[3])


SCHEME = ClassScheme([f"class {index}" for index in range(7)])
IMAGES = 12


def make_image(index):
    """A predicted and a true label map."""
    rng = np.random.default_rng(index)
    size = rng.integers(10, 30, 2)
    true = rng.choice([0, 1, 2, 3, 4, 5, 255], size).astype(np.uint8)
    predicted = np.where(rng.random(size) < 0.6, true, rng.integers(0, 6, size)).astype(np.uint8)
    predicted[predicted == 255] = 3
    return LabelMap(predicted), LabelMap(true)


def numpy_scores():
    """Straight from the definition, one class after the other."""
    pairs = [make_image(index) for index in range(IMAGES)]
    predicted, true = (np.concatenate([pair[side].label_map.ravel() for pair in pairs]) for side in (0, 1))
    predicted, true = predicted[true != 255], true[true != 255]
    ious, accuracies = [], []
    for index in range(7):
        both = ((true == index) & (predicted == index)).sum()
        either = ((true == index) | (predicted == index)).sum()
        ious.append(both / either if either else 0)
        accuracies.append(both / (true == index).sum() if (true == index).any() else 0)
    return {"mIoU": np.mean(ious), "pixel_accuracy": (true == predicted).mean(), "mean_accuracy": np.mean(accuracies)}


def measure_all(metric):
    return [metric.measure(*make_image(index), SCHEME) for index in range(IMAGES)]


def test_scores_equal_a_plain_numpy_computation_and_are_said(caplog):
    metric = SegmentationMetric()
    measures = measure_all(metric)
    with caplog.at_level(logging.INFO):
        assert metric.score(measures, SCHEME) == pytest.approx(numpy_scores())
    assert "1 classes are neither in the labels nor predicted and count as 0 (metric.absent): class 6" in caplog.text
    class_iou = score_confusions(sum_confusions(measures, SCHEME), "zero")[1]
    assert f"class 5  {class_iou[5]:.3f}" in caplog.text
    legend = metric.draw({"all": measures}, SCHEME)["legend"]
    assert legend.dtype == np.uint8 and any((legend == color).all(-1).any() for color in SCHEME.palette[1:])


def test_the_measures_of_images_add_up_to_the_matrix_of_all():
    predicted, true = zip(*(make_image(index) for index in range(IMAGES)), strict=True)
    together = sum(count_confusions(a.label_map, b.label_map, 7) for a, b in zip(predicted, true, strict=True))
    measures = measure_all(SegmentationMetric())
    np.testing.assert_array_equal(sum_confusions(measures, SCHEME), together)
    parts = sum_confusions(measures[:5], SCHEME) + sum_confusions(measures[5:], SCHEME)
    np.testing.assert_array_equal(parts, together)
    without = [None if index in (3, IMAGES - 1) else one for index, one in enumerate(measures)]  # no labels
    labelled = sum((one.label_map != 255).sum() for index, one in enumerate(true) if index not in (3, IMAGES - 1))
    assert sum_confusions(without, SCHEME).sum() == labelled


def make_scene(side):
    """Segments of an eighth of the image, and predictions that are wrong along their borders."""
    coarse = np.random.default_rng(0).integers(0, 12, (8, 8), dtype=np.uint8)
    true = coarse.repeat(side // 8, 0).repeat(side // 8, 1)
    return LabelMap(np.roll(true, 3, axis=1)), LabelMap(true)


def test_what_is_kept_of_an_image_does_not_grow_with_it():
    metric, scheme = SegmentationMetric(), ClassScheme([str(number) for number in range(150)])
    sizes = [len(pickle.dumps(metric.measure(*make_scene(side), scheme))) for side in (64, 1024)]
    assert sizes[0] == sizes[1] < 2000


def test_label_maps_of_five_thousand_images_do_not_raise_memory():
    metric, scheme = SegmentationMetric(), ClassScheme([str(number) for number in range(40)])
    tracemalloc.start()
    try:
        measures = [metric.measure(*make_scene(128), scheme) for _ in range(5000)]
        metric.score(measures, scheme)
        peak = tracemalloc.get_traced_memory()[1] / 2**20
    finally:
        tracemalloc.stop()
    assert peak < 10  # MiB; the label maps alone are 156


def test_label_files_are_written_with_the_values_and_colors_of_the_data(tmp_path):
    writer = SegmentationMetric.writer
    packed = writer.pack(str(tmp_path), "city/a", LabelMap(np.array([[0, 18]], np.uint8)), CITYSCAPES)
    writer.write(str(tmp_path), packed)
    image = Image.open(tmp_path / "city" / "a.png")
    np.testing.assert_array_equal(np.asarray(image), [[7, 33]])
    np.testing.assert_array_equal(np.asarray(image.convert("RGB")), [[(128, 64, 128), (119, 11, 32)]])
    many = ClassScheme(["a", "b"], ids=[3, 300])
    writer.pack(str(tmp_path), "b", LabelMap(np.array([[0, 1]], np.uint8)), many)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "b.png")), [[3, 300]])


def test_pixels_without_a_finite_score_are_missed_and_told(caplog):
    logits = torch.zeros(3, 2, 4)
    logits[0] = 5.0  # the right class, had the scores been finite
    logits[:, 0], logits[2, 1, 3] = torch.nan, torch.inf
    labels = best_labels(whole_image(logits, (2, 4), (2, 4)), (2, 4), (2, 4), (2, 4), align_corners=False).numpy()
    np.testing.assert_array_equal(labels, [[255] * 4, [0, 0, 0, 255]])
    metric, scheme = SegmentationMetric(), ClassScheme(["a", "b", "c"])
    measure = metric.measure(LabelMap(labels), LabelMap(np.zeros((2, 4), np.uint8)), scheme)
    scores = metric.score([measure], scheme)
    assert scores["pixel_accuracy"] == 3 / 8 and scores["mIoU"] == pytest.approx(3 / 8 / 3)
    assert "5 pixels (62.5 %) have scores that are NaN or infinite and count as missed" in caplog.text


def test_a_label_file_of_what_is_missed_has_a_value_that_is_no_class(tmp_path):
    for ids, ignored, value in (([3, 7], [], 255), ([0, 255], [9], 9), ([0, 255], [], 1)):
        scheme = ClassScheme(["a", "b"], ids=ids, ignored=ignored)
        SegmentationMetric.writer.pack(str(tmp_path), "a", LabelMap(np.array([[1, 255]], np.uint8)), scheme)
        assert np.asarray(Image.open(tmp_path / "a.png")).tolist() == [[ids[1], value]]


@pytest.mark.parametrize("name", ["/elsewhere/a", "../a", "b/../../a", "linked/a", "a\0"])
def test_label_files_stay_in_their_folder(name, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "linked").symlink_to(tmp_path)
    with pytest.raises(UserError, match="leads out of"):
        SegmentationMetric.writer.pack(str(out), name, LabelMap(np.zeros((2, 2), np.uint8)), ClassScheme(["a", "b"]))
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["linked", "out"]


def test_images_without_labels_have_no_score(caplog):
    metric = SegmentationMetric()
    measures = [metric.measure(make_image(0)[0], None, SCHEME)]
    assert measures == [None] and metric.score(measures, SCHEME) == {} and metric.draw({"all": measures}, SCHEME) == {}
    assert "none of 1 images has labels" in caplog.text


def test_an_unknown_treatment_of_absent_classes_is_refused():
    with pytest.raises(OptionError, match="'zero' or 'skip', got 'nan'"):
        SegmentationMetric(absent="nan")
