"""Scoring once for all metrics: whole samples, in the order of ids, whatever was looked at."""

import numpy as np
import pytest

from hrtoolkit.engine.evaluation import Evaluation
from hrtoolkit.errors import UserError
from hrtoolkit.findings import Findings
from hrtoolkit.metric import BaseMetric
from hrtoolkit.records import Objects, join
from hrtoolkit.samples import BaseSamples, Crops, Images, Inputs
from hrtoolkit.schemes import ClassScheme
from hrtoolkit.views import BaseView

SCHEME = ClassScheme(("thing",))


def thing(value):
    return Objects(np.array([[value, 0.0, 1, 1]]), np.zeros(1, int), scores=np.ones(1))


class Things(BaseSamples):
    """Four images, of which the third has nobody to look at; ids are not in order."""

    scheme = SCHEME
    findings = Findings("data/things.json")
    images = Images(np.full(4, b""), np.array([30, 10, 40, 20]), np.zeros((4, 2)))
    known = True

    def truth(self, sample):
        return thing(float(sample)) if self.known else None

    def crops(self):
        boxes = np.zeros((4, 4))
        return Crops(np.array([0, 0, 1, 3], np.int32), boxes, boxes, np.ones(4), np.zeros(4, np.int32))

    @property
    def subsets(self):
        return {"late": np.array([False, False, True, True]), "none": np.zeros(4, bool)}


class Anything(BaseView):
    def __call__(self, image, ask=None):
        raise NotImplementedError

    def crops(self, windows_xywh, boxes_xyxy, scores):
        return list(windows_xywh)


class Counting(BaseMetric):
    """Lists what it is given."""

    headline = "count"

    def measure(self, prediction, truth, scheme):
        return int(truth.boxes_xyxy[0, 0]), 0 if prediction is None else len(prediction.labels)

    def score(self, measures, scheme):
        self.seen = getattr(self, "seen", [])
        self.seen.append(measures)
        return {"count": len(measures), "found": sum(count for _, count in measures)}


class Lines:
    folder = False

    def pack(self, path, sample_id, record, scheme):
        return [f"{sample_id}: {len(record.labels)}"]

    def write(self, path, packed):
        self.written = path, packed


def make(samples=None, metric=None, **options):
    inputs = Inputs(samples or Things(), Anything(), SCHEME)
    return Evaluation(inputs, [metric or Counting()], join, **options)


def run(evaluation, share=range(4)):
    evaluation.start()
    evaluation.add([0, 1], [thing(0), thing(1)])
    evaluation.add([2, 3], [thing(2), thing(3)])
    evaluation.finish_samples(share)
    return evaluation.score()


def test_samples_are_finished_whole_and_scored_in_the_order_of_their_ids():
    metric = Counting()
    numbers = run(make(metric=metric))
    # Two crops of the first image are one record; nobody looked at the third, which is measured all the same.
    assert numbers == {"count": 4, "found": 4, "count late": 2, "found late": 1}
    assert metric.seen == [[(1, 1), (3, 1), (0, 2), (2, 0)], [(3, 1), (2, 0)]]


def test_a_sample_that_is_missing_or_measured_twice_is_no_number():
    with pytest.raises(RuntimeError, match="3 measures for 4 samples"):
        run(make(), share=range(2))
    twice = make()
    twice.start()
    twice.add([0, 2, 0], [thing(0)] * 3)
    with pytest.raises(RuntimeError, match="measured twice"):
        twice.finish_samples(range(4))
        twice.score()


def test_a_set_without_truth_has_results_and_no_numbers(monkeypatch, caplog):
    samples, writer = Things(), Lines()
    samples.known = False
    metric = Counting()
    metric.writer = writer
    evaluation = make(samples, metric, out="results.txt")
    assert run(evaluation) == {}
    assert "nothing is known of any of the 4 samples" in caplog.text
    evaluation.write()
    assert writer.written == ("results.txt", ["30: 2", "10: 1", "20: 1"])


def test_a_metric_without_a_writer_refuses_a_file_before_anything_is_predicted():
    with pytest.raises(UserError, match="Counting writes no result files"):
        make(out="results.txt")


def test_what_a_crop_is_of_is_what_its_prediction_is_of():
    class Kinds(Things):
        def crops(self):
            return super().crops()._replace(labels=np.array([2, 0, 1, 3]))

    watched = []
    evaluation = make(Kinds(), watch=lambda sample, record, truth: watched.append(record.labels.tolist()))
    run(evaluation)
    assert watched == [[2, 0], [1], [3]]
