"""Mean IoU and its kin; numbers of the official code, a plain NumPy computation, and two processes."""

import json
import logging

import numpy as np
import pytest
import torch
import torch.distributed
import torch.multiprocessing
from hrtoolkit.tasks.segmentation.classes import CITYSCAPES, ClassSet
from hrtoolkit.tasks.segmentation.metric import SegmentationMetric, count_confusions, score_confusions, write_labels
from PIL import Image

TRUE = np.array([[0, 0, 1, 1], [2, 2, 255, 0]], np.uint8)
PREDICTED = torch.tensor([[0, 1, 1, 1], [2, 0, 2, 0]], dtype=torch.uint8)


def test_confusions_and_scores_are_the_official_ones():
    matrix = count_confusions(PREDICTED, torch.from_numpy(TRUE), 3).numpy()
    np.testing.assert_array_equal(matrix, [[2, 1, 0], [0, 2, 0], [1, 0, 1]])
    scores, iou, _ = score_confusions(matrix, "zero")
    np.testing.assert_allclose(iou, [0.5, 2 / 3, 0.5])
    expected = {"mIoU": 0.555556, "pixel_accuracy": 0.714286, "mean_accuracy": 0.722222}
    assert scores == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("classes", [2, 19, 171])
def test_counting_bytes_equals_counting_pairs(classes):
    rng = np.random.default_rng(0)
    true, predicted = rng.integers(0, classes, (2, 70, 90), dtype=np.uint8)
    true[rng.random((70, 90)) < 0.2] = 255
    expected = np.zeros((classes, classes), int)
    np.add.at(expected, (true[true != 255], predicted[true != 255]), 1)
    counts = count_confusions(torch.from_numpy(predicted), torch.from_numpy(true), classes)
    np.testing.assert_array_equal(counts, expected)


def test_more_pixels_than_single_precision_can_count_are_counted():
    many = count_confusions(torch.ones(4100, 4100, dtype=torch.uint8), torch.ones(4100, 4100, dtype=torch.uint8), 2)
    assert many[1, 1] == 4100**2 and many.sum() == 4100**2


def test_an_absent_class_counts_as_zero_or_not_at_all():
    matrix = count_confusions(PREDICTED, torch.from_numpy(TRUE), 4).numpy()
    expected = {"mIoU": 0.416667, "pixel_accuracy": 0.714286, "mean_accuracy": 0.541667}
    assert score_confusions(matrix, "zero")[0] == pytest.approx(expected, abs=1e-6)
    expected = {"mIoU": 0.555556, "pixel_accuracy": 0.714286, "mean_accuracy": 0.722222}
    scores, iou, _ = score_confusions(matrix, "skip")
    assert scores == pytest.approx(expected, abs=1e-6) and np.isnan(iou[3])


CLASSES = ClassSet([f"class {index}" for index in range(7)])
IMAGES = 12


def make_image(index):
    rng = np.random.default_rng(index)
    size = rng.integers(10, 30, 2)
    true = rng.choice([0, 1, 2, 3, 4, 5, 255], size).astype(np.uint8)
    predicted = np.where(rng.random(size) < 0.6, true, rng.integers(0, 6, size)).astype(np.uint8)
    predicted[predicted == 255] = 3
    return {"index": index, "image_id": str(index), "label": true, "labels": torch.from_numpy(predicted)}


def numpy_scores():
    """Straight from the definition, one class after the other."""
    true = np.concatenate([make_image(index)["label"].ravel() for index in range(IMAGES)])
    predicted = np.concatenate([make_image(index)["labels"].numpy().ravel() for index in range(IMAGES)])
    predicted, true = predicted[true != 255], true[true != 255]
    ious, accuracies = [], []
    for index in range(7):
        both = ((true == index) & (predicted == index)).sum()
        either = ((true == index) | (predicted == index)).sum()
        ious.append(both / either if either else 0)
        accuracies.append(both / (true == index).sum() if (true == index).any() else 0)
    return {"mIoU": np.mean(ious), "pixel_accuracy": (true == predicted).mean(), "mean_accuracy": np.mean(accuracies)}


def score(indices, **options):
    metric = SegmentationMetric(**options)
    metric.dataset_meta = {"classes": CLASSES}
    metric.process(None, [make_image(index) for index in indices])
    return metric.evaluate(size=IMAGES), metric


def test_scores_equal_a_plain_numpy_computation_and_are_said(caplog):
    logging.getLogger("hrtoolkit").propagate = True
    with caplog.at_level(logging.INFO):
        scores, metric = score(range(IMAGES))
    assert scores == pytest.approx(numpy_scores())
    assert "1 classes are neither in the labels nor predicted and count as 0 (metric.absent): class 6" in caplog.text
    assert f"class 5  {metric.class_iou[5]:.3f}" in caplog.text
    legend = metric.draw()["legend"]
    assert legend.dtype == np.uint8 and any((legend == color).all(-1).any() for color in CLASSES.palette[1:])


SPLITS = {  # which images the two processes hold
    "neighbours": (range(6), range(6, IMAGES)),
    "in turns": (range(0, IMAGES, 2), range(1, IMAGES, 2)),
    "first has none": ([], range(IMAGES)),
}


def score_every_split(rank, folder):
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    for name, split in SPLITS.items():
        (folder / f"{name} {rank}.json").write_text(json.dumps(score(split[rank])[0]))
    with pytest.raises(RuntimeError, match="samples 2, 3, 4 were counted more than once; use a sampler"):
        score([range(5), range(2, IMAGES)][rank])
    torch.distributed.destroy_process_group()


def test_two_processes_give_the_numbers_of_one(tmp_path):
    expected = score(range(IMAGES))[0]
    torch.multiprocessing.spawn(score_every_split, args=(tmp_path,), nprocs=2)
    for name in SPLITS:
        for rank in range(2):
            assert json.loads((tmp_path / f"{name} {rank}.json").read_text()) == expected, (name, rank)


def test_one_matrix_is_kept_whatever_the_number_of_images():
    metric = SegmentationMetric()
    metric.dataset_meta = {"classes": CLASSES}
    for index in range(IMAGES):
        metric.process(None, [{**make_image(index), **({"label": None} if index in (3, IMAGES - 1) else {})}])
    kept = [result["confusion"] for result in metric.results if "confusion" in result]
    assert len(kept) == 1 and kept[0].shape == (7, 7)
    labelled = [make_image(index)["label"] for index in range(IMAGES) if index not in (3, IMAGES - 1)]
    assert kept[0].sum() == sum((label != 255).sum() for label in labelled)
    metric.results = []  # an evaluation that was given up
    metric.process(None, [make_image(index) for index in range(IMAGES)])
    assert metric.evaluate(size=IMAGES) == pytest.approx(numpy_scores())


def test_numbers_and_label_files_are_written(tmp_path):
    scores, _ = score(
        range(IMAGES), out_file=str(tmp_path / "out.json"), label_dir=str(tmp_path / "labels"), absent="skip"
    )
    content = json.loads((tmp_path / "out.json").read_text())
    assert content["mIoU"] == scores["mIoU"] and content["classes"]["class 6"]["IoU"] is None
    matrix = np.array(content["confusion"])
    assert score_confusions(matrix, "skip")[0] == scores
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "labels" / "3.png")), make_image(3)["labels"])


def test_label_files_carry_the_dataset_own_values_and_colours(tmp_path):
    write_labels(tmp_path / "city" / "a.png", np.array([[0, 18]], np.uint8), CITYSCAPES)
    image = Image.open(tmp_path / "city" / "a.png")
    np.testing.assert_array_equal(np.asarray(image), [[7, 33]])
    np.testing.assert_array_equal(np.asarray(image.convert("RGB")), [[(128, 64, 128), (119, 11, 32)]])


def test_images_without_labels_have_no_score(caplog):
    logging.getLogger("hrtoolkit").propagate = True
    metric = SegmentationMetric()
    metric.dataset_meta = {"classes": CLASSES}
    metric.process(None, [{**make_image(0), "label": None}])
    assert metric.evaluate(size=1) == {} and metric.draw() == {}
    assert "none of 1 images has labels" in caplog.text


def test_an_unknown_treatment_of_absent_classes_is_refused():
    with pytest.raises(ValueError, match="'zero' or 'skip', got 'nan'"):
        SegmentationMetric(absent="nan")
