"""Whole runs on tiny detectors: training, resuming, testing, several processes, and the boxes that pose reads."""

import json

import numpy as np
import pytest
import torch
from mmengine import Config

from hrtoolkit.checkpoints import read_checkpoint
from hrtoolkit.coco_eval import BOX_NUMBERS
from hrtoolkit.engine import test as run_test
from hrtoolkit.engine import train
from hrtoolkit.engine.evaluation import Evaluation
from hrtoolkit.errors import DataError, UserError
from hrtoolkit.records import join
from hrtoolkit.samples import Inputs
from hrtoolkit.tasks.detection.datasets import CocoDetection
from hrtoolkit.tasks.detection.metric import CocoDetectionMetric
from hrtoolkit.tasks.detection.views import FitInside
from hrtoolkit.tasks.pose.datasets import CocoKeypoints
from tests.conftest import edit_json

from .conftest import CLASSES, TINY, tiny_model


def make_config(folder, ann_file="objects.json", head=None, **changes) -> Config:
    def loader(batch_size, **options):
        dataset = dict(type="CocoDetection", data_root=str(folder), ann_file=ann_file, image_dir="images", **options)
        return dict(batch_size=batch_size, num_workers=0, dataset=dataset)

    model = dict(
        backbone=TINY,
        neck=dict(type="Pyramid", channels=4),
        head=dict(type="FasterRCNNHead", roi_samples=32) | (head or {}),
        view=dict(type="FitInside", size=(96, 64)),
    )
    augmentation = dict(type="ResizeAugmentation", sizes=[(96, 64), (128, 96)], flip=0.5)
    return Config(
        {
            **dict(
                custom_imports=dict(imports=["hrtoolkit.tasks.detection"]),
                model=model,
                train_dataloader=loader(2, keep_empty=False) | dict(augmentation=augmentation),
                val_dataloader=loader(1),
                val_evaluator=dict(type="CocoDetectionMetric"),
                train_cfg=dict(max_epochs=2, val_interval=2),
                optim_wrapper=dict(
                    optimizer=dict(type="SGD", lr=0.01, momentum=0.9), clip_grad=dict(max_norm=35.0, norm_type=2)
                ),
                seed=0,
            ),
            **changes,
        }
    )


def test_a_run_resumed_after_an_epoch_equals_an_uninterrupted_one(objects_folder, tmp_path):
    whole = train(make_config(objects_folder), tmp_path / "whole")
    assert {*BOX_NUMBERS, "loss_box_reg", "loss_objectness"} <= whole.keys()
    for name in ("last.pth", "best.pth", "curves.png", "pictures/epoch_002.jpg"):
        assert (tmp_path / "whole" / name).stat().st_size > 0, name
    meta = read_checkpoint(tmp_path / "whole" / "best.pth")["meta"]
    assert meta["head"] == {"convention": "mmdet"}
    assert meta["output_names"] == ["background", "cat", "dog", "cow"]  # from the data
    train(make_config(objects_folder, train_cfg=dict(max_epochs=1)), tmp_path / "parts")
    train(make_config(objects_folder), tmp_path / "parts", resume=True)
    ours, theirs = (read_checkpoint(tmp_path / name / "last.pth")["state_dict"] for name in ("whole", "parts"))
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    tested = run_test(make_config(objects_folder), tmp_path / "whole" / "best.pth")
    assert all(tested[name] == whole[name] for name in tested)


def test_masks_are_said_once_and_trained_and_scored(objects_folder, tmp_path):
    config = make_config(objects_folder, head=dict(masks=True), train_cfg=dict(max_epochs=1))
    metrics = train(config, tmp_path / "work")
    assert {"mask_AP", "mask_AR_L", "loss_mask"} <= metrics.keys()


def test_classes_are_said_once_by_the_head(objects_folder, tmp_path):
    config = make_config(objects_folder, head=dict(scheme=["dog", "cat"]), train_cfg=dict(max_epochs=1))
    config.val_evaluator.per_class = True
    metrics = train(config, tmp_path / "work")
    assert {"AP/dog", "AP/cat"} <= metrics.keys() and "AP/cow" not in metrics


def test_other_classes_than_the_heads_are_refused(objects_folder, tmp_path):
    config = make_config(objects_folder, head=dict(scheme=["cat", "dog"]))
    config.train_dataloader.dataset.scheme = ["cat", "dog", "cow"]
    told = r"the train data has 3 classes \(cat, dog, cow\), the head has 2 classes \(cat, dog\)"
    with pytest.raises(DataError, match=told):
        train(config, tmp_path / "work")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"train_dataloader.dataset.scheme": ["cat", "cat"]}, r"train_dataloader.dataset: .*repeated: \['cat'\]"),
        ({"model.view.size": [0, 800]}, r"model.view.size: expected 2 numbers"),
        ({"train_dataloader.augmentation.sizes": []}, r"train_dataloader.augmentation: sizes takes pairs"),
        ({"train_dataloader.dataset.masks": True}, "train_dataloader.dataset.masks: the model's head decides 'masks'"),
        ({"model.flip_test": True}, "flip_test: FasterRCNNHead has no flip test"),
        ({"val_dataloader.dataset.keypoints": True}, "CocoDetection has no 'keypoints' any more"),
        (
            {"val_dataloader.dataset.transform": dict(type="ResizeFlip", sizes=[(160, 120), (320, 240)], flip=0.5)},
            r"write model.view=dict\(type='FitInside', size=\(160, 120\)\) and train_dataloader.augmentation=dict\("
            r"type='ResizeAugmentation', flip=0.5, sizes=\[\(160, 120\), \(320, 240\)\]\)",
        ),
    ],
)
def test_what_a_config_cannot_have_is_no_traceback(objects_folder, tmp_path, change, told):
    config = make_config(objects_folder)
    config.merge_from_dict(change)
    with pytest.raises(UserError, match=told):
        train(config, tmp_path / "work")


def test_a_test_set_without_annotations_gives_results_and_no_numbers(objects_folder, tmp_path):
    edit_json(objects_folder / "objects.json", lambda content: content.pop("annotations"))
    model = tiny_model(neck=dict(type="Pyramid", channels=4))
    (stage,) = model.head.stages
    torch.nn.init.constant_(stage.box_predictor.cls_score.bias[:1], -1e3)  # everything is an object
    torch.save(model.state_dict(), tmp_path / "detector.pth")
    config = make_config(objects_folder, head=dict(scheme=CLASSES))
    assert run_test(config, tmp_path / "detector.pth", out=tmp_path / "boxes.json") == {}
    assert {one["image_id"] for one in json.loads((tmp_path / "boxes.json").read_text())} == {21, 22, 23, 24, 25}


def test_detected_people_are_read_by_pose(coco_folder, tmp_path):
    """What `tools/test.py --out` of a person detector writes is the `box_file` of the pose task."""
    config = make_config(coco_folder, ann_file="people.json")
    model = tiny_model(dict(scheme=["person"]), neck=dict(type="Pyramid", channels=4))
    (stage,) = model.head.stages
    torch.nn.init.constant_(stage.box_predictor.cls_score.bias[:1], -1e3)  # everything is a person
    torch.save(model.state_dict(), tmp_path / "detector.pth")
    run_test(config, tmp_path / "detector.pth", out=tmp_path / "boxes.json")
    detections = json.loads((tmp_path / "boxes.json").read_text())
    assert {one["image_id"] for one in detections} == {11, 12, 13}
    people = CocoKeypoints(
        data_root=coco_folder, ann_file="people.json", image_dir="images", box_file=str(tmp_path / "boxes.json")
    )
    crops = people.crops()
    assert len(crops.samples) == len(detections)
    by_image = {i: [d for d in detections if d["image_id"] == i] for i in (11, 12, 13)}
    expected = [d["bbox"] for image in by_image.values() for d in image]
    np.testing.assert_allclose(crops.windows_xywh, expected, rtol=1e-6)


def score(folder, share):
    """Score noisy truth, of which this process has a share, and write the result file."""
    samples = CocoDetection(data_root=folder, ann_file="objects.json", image_dir="images", masks=True)
    rng = np.random.default_rng(0)
    found = [samples.truth(i).as_prediction() for i in range(len(samples))]
    found = [one._replace(boxes_xyxy=one.boxes_xyxy + rng.normal(0, 2, one.boxes_xyxy.shape)) for one in found]
    inputs = Inputs(samples, FitInside(), samples.scheme)
    evaluation = Evaluation(inputs, [CocoDetectionMetric()], join, str(folder / "results.json"))
    evaluation.add(share, [found[position] for position in share])
    evaluation.finish_samples(share)
    numbers = evaluation.score()
    evaluation.write()
    return numbers


SPLITS = {"halves": (range(2), range(2, 5)), "first has none": (range(0), range(5))}


def score_every_split(rank, folder):
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    for name, split in SPLITS.items():
        (folder / f"{name} {rank}.json").write_text(json.dumps(score(folder, split[rank])))
    torch.distributed.destroy_process_group()


def test_two_processes_give_the_numbers_and_the_files_of_one(objects_folder):
    expected = score(objects_folder, range(5))
    files = ("results.json", "results_masks.json")
    written = [(objects_folder / name).read_text() for name in files]
    assert 0.1 < expected["AP"] < 0.99 and expected["mask_AP"] == pytest.approx(1)
    torch.multiprocessing.spawn(score_every_split, args=(objects_folder,), nprocs=2)
    for name in SPLITS:
        for rank in range(2):
            assert json.loads((objects_folder / f"{name} {rank}.json").read_text()) == expected, (name, rank)
    assert [(objects_folder / name).read_text() for name in files] == written
