"""A predictor gives what testing scores, of any task, whatever the batches."""

import json

import numpy as np
import pytest
import torch

from hrtoolkit import load
from hrtoolkit.build import build_model
from hrtoolkit.checkpoints import load_checkpoint
from hrtoolkit.engine import train
from hrtoolkit.engine.assembly import Run
from hrtoolkit.engine.check_config import check_config
from hrtoolkit.engine.run import configure_test
from hrtoolkit.errors import CheckpointError, DataError, OptionError
from hrtoolkit.records import Objects
from hrtoolkit.runtime.geometry import to_xyxy
from hrtoolkit.toy.faces import write_faces
from tests.classification.conftest import class_folder  # noqa: F401 (a fixture)
from tests.classification.test_run import make_config as classes_config
from tests.detection.conftest import objects_folder  # noqa: F401 (a fixture)
from tests.detection.test_run import make_config as objects_config
from tests.engine.test_run import make_config as people_config
from tests.face.test_training import make_config as faces_config
from tests.segmentation.conftest import label_folder  # noqa: F401 (a fixture)
from tests.segmentation.test_run import make_config as labels_config

SHORT = dict(max_epochs=1, val_interval=1)


def train_briefly(config, folder):
    """A checkpoint of ours; the network's own weights stay random, which is as good for comparing."""
    torch.set_num_threads(1)
    config.train_cfg = SHORT
    train(config, folder)
    return folder / "last.pth"


@pytest.fixture(params=["pose", "face", "detection", "segmentation", "classification"])
def trained(request, tmp_path):
    """A config and a checkpoint."""
    if request.param == "face":
        write_faces(tmp_path / "faces", train=4, test=3)
        config = faces_config(tmp_path / "faces")
    elif request.param == "pose":
        config = people_config(request.getfixturevalue("coco_folder"))
        config.custom_hooks = []
    elif request.param == "detection":
        config = objects_config(request.getfixturevalue("objects_folder"), head=dict(masks=True))
    elif request.param == "segmentation":
        config = labels_config(request.getfixturevalue("label_folder"))
        config.val_dataloader.batch_size = 1
    else:
        config = classes_config(request.getfixturevalue("class_folder"))
    return config, train_briefly(config, tmp_path / "work")


def test_samples(config, checkpoint):
    """The test data, and the record of each sample as testing has it."""
    config = configure_test(config.copy())
    run = Run.build(config, check_config(config), ("test",))
    load_checkpoint(run.model.eval(), checkpoint)
    evaluation = run.evaluation("test")
    records = {}
    evaluation.watch = lambda sample, record, truth: records.update({sample: record})
    with torch.inference_mode():
        for batch in run.loader("test"):
            ready = run.model.data_preprocessor(batch)
            found = run.model(ready["images"], frames=ready["frames"], mode="predict")
            evaluation.add(batch["indices"], found, batch.get("truths"))
        evaluation.finish_samples(range(len(run.samples["test"])))
    return run.samples["test"], records


test_samples.__test__ = False


def assert_same(record, other, without=()):
    assert type(record) is type(other)
    for name, value, expected in zip(record._fields, record, other, strict=True):
        if name in without or expected is None:
            continue
        if name == "masks":
            value, expected = value.draw(), expected.draw()
        if name in ("masks", "labels", "label_map", "label"):
            np.testing.assert_array_equal(value, expected)
        else:
            np.testing.assert_allclose(value, expected, rtol=0, atol=1e-5, err_msg=name)


def test_predictions_are_those_of_testing(trained):
    config, checkpoint = trained
    samples, records = test_samples(config, checkpoint)
    paths = [path.decode() for path in samples.images.paths.tolist()]
    crops = samples.crops()
    boxes, without = None, ()
    if crops is not None:  # testing cuts windows out of the annotated boxes, which it keeps
        without = ("boxes_xyxy",)
        boxes = [to_xyxy(crops.windows_xywh[crops.samples == sample]) for sample in range(len(samples))]
    for size in (1, 3, "auto"):
        found = list(load(checkpoint, batch_size=size)(paths, boxes=boxes))
        assert [one.source.path for one in found] == paths
        for sample, record in records.items():
            assert_same(found[sample].record, record, without)
    if config.val_evaluator.type == "CocoDetectionMetric":
        assert sum(record.masks.draw().any() for record in records.values())  # there was something to compare
    predictor = load(checkpoint)
    backwards = list(predictor([samples.read(i) for i in range(len(samples))][::-1], boxes=boxes and boxes[::-1]))
    for sample, record in records.items():
        assert_same(backwards[::-1][sample].record, record, without)
    assert predictor.find(samples.read(0), boxes="whole" if boxes else None) is not None


@pytest.fixture
def poses(coco_folder, tmp_path):
    config = people_config(coco_folder)
    config.custom_hooks = []
    return load(train_briefly(config, tmp_path / "work"), batch_size=4)


IMAGE = np.full((90, 120, 3), 128, np.uint8)


def test_names_and_plain_values(poses):
    (one,) = poses([IMAGE], boxes=[[10, 10, 60, 80, 1], [50, 20, 110, 85, 0.5]])
    people = one.record
    assert len(people.labels) == 2 and people.scores[0] >= people.scores[1]
    np.testing.assert_array_equal(one["left_wrist"][:, :2], people.points[:, 9])
    with pytest.raises(KeyError, match="left_wing"):
        one["left_wing"]
    assert one.draw().shape == IMAGE.shape and (one.draw() != IMAGE).any()
    first = one.to_dict()["objects"][0]
    assert list(first["keypoints"]) == list(one.scheme.names) and len(first["box_xyxy"]) == 4


def test_people_for_supervision(poses):
    supervision = pytest.importorskip("supervision")
    (one,) = poses([IMAGE], boxes="whole")
    people = one.to_supervision()
    assert isinstance(people, supervision.KeyPoints)
    np.testing.assert_array_equal(people.xy, one.record.points)
    np.testing.assert_array_equal(people.keypoint_confidence, one.record.point_scores)


def test_who_looks_at_crops_is_told_where(poses):
    with pytest.raises(OptionError, match=r"--boxes.*--detector"):
        list(poses([IMAGE]))
    nobody = poses.find(IMAGE, boxes=[])
    assert isinstance(nobody, Objects) and nobody.points.shape == (0, 17, 2)
    whole = poses.find(IMAGE, boxes="whole")
    assert_same(whole, poses.find(IMAGE, boxes=[[0, 0, 120, 90]]))


@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        ([[10, 10, 5, 80]], "width and height"),
        ([[10, 10, float("nan"), 80]], "row 0 is not finite"),
        ([[1, 2, 3]], "rows of x1, y1, x2, y2"),
        ({"other.jpg": []}, "no boxes for it"),
        ([[0, 0, 50, 50], [120, 10, 150, 50]], r"image_0: the box \[120.0, .* lies outside the picture \(120 x 90\)"),
        ([[-30, -10, 0, 50]], "lies outside"),
        ([[-30, -10, 1, 50]], None),
        ([np.zeros((0, 4))] * 2, None),
        (3, "takes 'whole'"),
    ],
)
def test_boxes_that_are_none(poses, boxes, message):
    if message is None:
        assert len(list(poses([IMAGE, IMAGE], boxes=boxes))) == 2
        return
    with pytest.raises((DataError, OptionError), match=message):
        list(poses([IMAGE], boxes=boxes))


def test_too_few_boxes(poses):
    with pytest.raises(DataError, match="boxes for 1 pictures, and this is number 2"):
        list(poses([IMAGE, IMAGE], boxes=[np.array([[0, 0, 50, 50]])]))


def test_a_function_or_a_predictor_detects(poses):
    poses.detect = None
    from hrtoolkit.predict import Predictor

    seeing = Predictor(poses.model, detector=lambda image: np.array([[0, 0, *image.shape[1::-1], 0.25]]))
    found = seeing.find(IMAGE)
    whole = poses.find(IMAGE, boxes=[[0, 0, 120, 90, 0.25]])
    assert_same(found, whole)
    with pytest.raises(OptionError, match="no detector is called 'fasterrcn'"):
        Predictor(poses.model, detector="fasterrcn")


def test_a_detector_looks_at_some_frames_of_a_film(poses, monkeypatch):
    from hrtoolkit.predict import Predictor

    monkeypatch.setattr("hrtoolkit.predict.sparse_detection.SEEN", -1.0)  # this network is sure of nothing
    calls = []

    def detect(image):
        calls.append(1)
        return np.array([[20, 10, 60, 90, 0.9]])

    predictor = Predictor(poses.model, detector=detect, detect_every=4, batch_size=8)
    frames = [np.full((100, 80, 3), value, np.uint8) for value in range(9)]
    assert all(len(one.record.points) for one in predictor(frames, frame_rate=10))
    assert 3 <= len(calls) < 9  # an untrained network finds people anywhere, also outside
    calls.clear()
    assert len([*predictor(frames)]) == len(calls) == 9  # pictures by themselves are no film
    for options in (dict(detect_every=4), dict(detector=detect, detect_every=0)):
        with pytest.raises(OptionError, match="detect_every"):
            list(Predictor(poses.model, **options)(frames, boxes=None))


def test_pictures_are_read_lazily_and_in_order(poses):
    read = []

    def frames():
        for number in range(20):
            read.append(number)
            yield np.full((40, 30, 3), number, np.uint8)

    predictions = poses(frames(), boxes="whole")
    first = next(predictions)
    assert first.image[0, 0, 0] == 0 and len(read) < 20
    assert [int(one.image[0, 0, 0]) for one in predictions] == list(range(1, 20))


@pytest.mark.parametrize(
    ("seconds", "best"),
    [
        # W32 on two cores: more than 4 or 8 gains nothing, and 16 take more than a second.
        ({1: 0.144, 2: 0.130, 4: 0.116, 8: 0.115, 16: 0.114}, 4),
        ({1: 0.001, 2: 0.001, 4: 0.0009, 8: 0.0006, 16: 0.0005, 32: 0.0004, 64: 0.00039}, 32),
        ({1: 0.01, 2: 0.008}, 2),  # no memory for more
        ({1: 3.0}, 1),
    ],
)
def test_auto_finds_the_batch_size(poses, monkeypatch, seconds, best):
    calls = []

    def take(inputs):
        size = len(inputs)
        if size not in seconds:
            raise torch.OutOfMemoryError
        calls.append(size)
        return seconds[size] * (2 if calls.count(size) < 3 else 1)  # at first, and in slow moments, it takes longer

    monkeypatch.setattr(poses, "_time", take)
    assert poses._measure(None) == best


def test_ctrl_c_leaves_what_is_written_whole_and_the_next_run_goes_on(poses, tmp_path):
    def pictures(end=None):
        for number in range(12):
            if number == end:
                raise KeyboardInterrupt
            yield np.full((40, 30, 3), number, np.uint8)

    poses.batch_size, out = 2, tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        poses.run(pictures(8), out, boxes="whole")
    written = [json.loads(line)["source"] for line in (out / "predictions.jsonl").read_text().splitlines()]
    names = [f"image_{number}" for number in range(12)]
    assert 0 < len(written) <= 8 and written == names[: len(written)]
    assert not list(out.rglob(".*"))
    seen = []
    summary = poses.run(pictures(), out, boxes="whole", watch=lambda one: seen.append(one.source.name))
    assert seen == names[len(written) :]
    assert (summary.earlier, summary.predicted) == (len(written), 12 - len(written))
    assert [json.loads(line)["source"] for line in (out / "predictions.jsonl").read_text().splitlines()] == names


def test_a_picture_that_cannot_be_read_is_reported(poses, tmp_path, coco_folder):
    (tmp_path / "images" / "12.jpg").write_bytes(b"nothing")
    failed = []
    found = list(poses(coco_folder / "images", boxes="whole", on_failure=lambda one, error: failed.append(str(error))))
    assert [one.source.name for one in found] == ["11.jpg", "13.jpg"]
    assert len(failed) == 1 and "12.jpg" in failed[0]
    with pytest.raises(DataError, match=r"12\.jpg"):
        list(poses(coco_folder / "images", boxes="whole"))


def test_configs_and_checkpoints_that_are_exchanged(coco_folder, tmp_path):
    config = people_config(coco_folder)
    config.dump(tmp_path / "config.py")
    torch.save({"a": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(OptionError, match="give the checkpoint"):
        load(tmp_path / "config.py")
    with pytest.raises(OptionError, match="where the config belongs"):
        load(tmp_path / "other.pth", tmp_path / "config.py")
    with pytest.raises(CheckpointError, match="holds no config"):
        load(tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match="does not fit"):
        load(tmp_path / "config.py", tmp_path / "other.pth")


def test_a_checkpoint_with_a_config_of_an_earlier_version(coco_folder, tmp_path):
    config = people_config(coco_folder)
    config.custom_hooks = []
    content = torch.load(train_briefly(config, tmp_path / "work"), weights_only=True)
    text = content["meta"]["config"].replace("hrtoolkit.tasks.pose", "tasks.pose")
    old = tmp_path / "old.pth"
    torch.save(content | {"meta": content["meta"] | {"config": text}}, old)
    assert load(old).sees_crops  # the names of our modules alone are understood
    text = text.replace('"scheme"', '"layout"')
    torch.save(content | {"meta": content["meta"] | {"config": text}}, old)
    with pytest.raises(CheckpointError, match=r"old\.pth: the config in it is not one of today's.*\n.*write scheme="):
        load(old)
    assert load(config, old).sees_crops


def test_one_of_several_branches_looks(coco_folder, tmp_path):
    config = people_config(coco_folder)
    parts = {name: config.model.pop(name) for name in ("neck", "head", "view", "finish") if name in config.model}
    config.model.branches = {"body": parts, "hands": parts | {"head": parts["head"] | {"scheme": ["left", "right"]}}}
    torch.save({"state_dict": build_model(config).state_dict()}, tmp_path / "two.pth")
    with pytest.raises(OptionError, match=r"name one of the model's branches \(body, hands\)"):
        load(config, tmp_path / "two.pth")
    whole = {name: load(config, tmp_path / "two.pth", branch=name).find(IMAGE, "whole") for name in ("body", "hands")}
    assert [found.points.shape for found in whole.values()] == [(1, 17, 2), (1, 2, 2)]
    del config.model.branches["hands"]
    torch.save({"state_dict": build_model(config).state_dict()}, tmp_path / "one.pth")
    assert load(config, tmp_path / "one.pth").find(IMAGE, "whole").points.shape == (1, 17, 2)


def test_a_checkpoint_names_no_modules_to_import(coco_folder, tmp_path):
    config = people_config(coco_folder)
    config.custom_hooks = []
    path = train_briefly(config, tmp_path / "work")
    content = torch.load(path, weights_only=True)
    content["meta"]["config"] = content["meta"]["config"].replace("hrtoolkit.tasks.pose", "this.that")
    torch.save(content, tmp_path / "evil.pth")
    with pytest.raises(CheckpointError, match=r"needs the module 'this\.that'"):
        load(tmp_path / "evil.pth")
