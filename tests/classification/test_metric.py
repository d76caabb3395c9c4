"""Top-1 and top-5 against a plain count, in one process and two, and pictures of two classes and a thousand."""

import json

import numpy as np
import pytest
import torch.distributed
import torch.multiprocessing
from hrtoolkit.tasks.classification.metric import ClassificationMetric
from torch.utils.data import Dataset

from hrtoolkit.data.loading import build_dataloader

SIZE, CLASSES = 23, 12  # with batches of 5, the last of neither one process nor two is full


def make_predictions(size=SIZE, classes=CLASSES, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, size)
    scores = rng.normal(0, 1, (size, classes)) + 1.5 * np.eye(classes)[labels]
    rows = zip(labels.tolist(), scores, strict=True)
    return [{"index": i, "image_id": str(i), "label": label, "scores": row} for i, (label, row) in enumerate(rows)]


def count(predictions):
    """The slow way: sort the scores of each image and look for its label."""
    ranks = [sorted(range(len(p["scores"])), key=lambda c, p=p: -p["scores"][c]).index(p["label"]) for p in predictions]
    return {"top1": np.mean([rank < 1 for rank in ranks]), "top5": np.mean([rank < 5 for rank in ranks])}


def score(batches, size, names=None, **options):
    metric = ClassificationMetric(**options)
    metric.dataset_meta = {"class_names": names}
    for batch in batches:
        metric.process(None, batch)
    return metric.evaluate(size), metric


def test_top1_and_top5_equal_a_plain_count():
    predictions = make_predictions()
    expected = count(predictions)
    assert 0.1 < expected["top1"] < expected["top5"] < 0.95
    numbers, metric = score([predictions[:20], predictions[20:]], SIZE)
    assert {name: numbers[name] for name in expected} == pytest.approx(expected)
    by_class = [
        np.mean([p["scores"].argmax() == c for p in predictions if p["label"] == c])
        for c in sorted({p["label"] for p in predictions})
    ]
    assert numbers["mean_class_accuracy"] == pytest.approx(np.mean(by_class))
    confusion = np.zeros((CLASSES, CLASSES), int)
    for p in predictions:
        confusion[p["label"], p["scores"].argmax()] += 1
    np.testing.assert_array_equal(metric.confusion, confusion)


def test_top5_of_fewer_than_five_classes_is_one():
    predictions = make_predictions(classes=3)
    numbers, _ = score([predictions], SIZE, names=("ant", "bee", "wasp"))
    assert numbers["top5"] == 1 and numbers["top1"] == pytest.approx(count(predictions)["top1"]) != 1
    assert {"accuracy_ant", "accuracy_bee", "accuracy_wasp"} <= numbers.keys()


def test_scores_that_are_not_numbers_are_no_hits():
    predictions = make_predictions()
    for p in predictions:
        p["label"], p["scores"] = 7, np.full(CLASSES, np.nan)
    assert score([predictions], SIZE)[0]["top1"] == 0


class Numbered(Dataset):
    """Positions as samples."""

    def __len__(self):
        return SIZE

    def __getitem__(self, index):
        return {"image": np.zeros((1, 1, 3), np.uint8), "meta": {"index": index}}


def score_part(rank, folder):
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    predictions = make_predictions()
    loader = build_dataloader(Numbered(), batch_size=5, num_workers=0, training=False)
    batches = [[predictions[meta["index"]] for meta in batch["meta"]] for batch in loader]
    assert len(batches[-1]) < 5
    numbers, _ = score(batches, SIZE)
    (folder / f"{rank}.json").write_text(json.dumps(numbers))
    torch.distributed.destroy_process_group()


def test_two_processes_give_the_numbers_of_one(tmp_path):
    torch.multiprocessing.spawn(score_part, args=(tmp_path,), nprocs=2)
    expected, _ = score([make_predictions()], SIZE)
    assert expected["top1"] == pytest.approx(count(make_predictions())["top1"])
    for rank in range(2):
        assert json.loads((tmp_path / f"{rank}.json").read_text()) == expected


@pytest.mark.parametrize("classes", [2, 1000])
def test_the_confusion_matrix_is_drawn(classes):
    predictions = make_predictions(4 * classes, classes)
    names = [f"n{c:08d}" for c in range(classes)]
    _, metric = score([predictions], 4 * classes, names=names)
    picture = metric.draw()["confusion"]
    assert picture.dtype == np.uint8 and picture.shape == (1050, 1500, 3)
    # Of the perfect one the diagonal is left, so that pictures differ; both are more than a blank page.
    metric.confusion = np.diag(metric.confusion.sum(1))
    perfect = metric.draw()["confusion"]
    assert (picture != perfect).any() and len(np.unique(perfect.reshape(-1, 3), axis=0)) > 10


def test_predictions_and_accuracies_are_written(tmp_path):
    predictions = make_predictions(classes=3)
    score([predictions], SIZE, names=("ant", "bee", "wasp"), out_file=tmp_path / "out.json")
    content = json.loads((tmp_path / "out.json").read_text())
    assert content["class_accuracy"].keys() == {"ant", "bee", "wasp"} and len(content["images"]) == SIZE
    assert content["images"][3]["top"][0] == predictions[3]["scores"].argmax()
