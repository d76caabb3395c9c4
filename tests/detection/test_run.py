"""Whole runs on tiny detectors: training, resuming, testing, several processes, and the boxes that pose reads."""

import json

import numpy as np
import pytest
import torch
from hrtoolkit.tasks.detection.datasets import CocoDetection
from hrtoolkit.tasks.detection.metric import COCO_STATS, CocoDetectionMetric
from hrtoolkit.tasks.detection.transforms import ResizeFlip
from hrtoolkit.tasks.pose.datasets import CocoKeypoints
from hrtoolkit.tasks.pose.transforms import TopDownAffine
from mmengine import Config

from hrtoolkit.checkpoints import read_checkpoint
from hrtoolkit.engine import test as run_test
from hrtoolkit.engine import train
from hrtoolkit.engine.run import build_model_for
from hrtoolkit.errors import DataError, UserError

from .conftest import TINY


def make_config(folder, ann_file="objects.json", masks=False, **changes) -> Config:
    def loader(batch_size, flip, **options):
        dataset = dict(
            type="CocoDetection",
            data_root=str(folder),
            ann_file=ann_file,
            image_dir="images",
            masks=masks,
            transform=dict(type="ResizeFlip", sizes=[(96, 64), (128, 96)], flip=flip),
            **options,
        )
        return dict(batch_size=batch_size, num_workers=0, dataset=dataset)

    neck = dict(type="Pyramid", channels=4)
    return Config(
        {
            **dict(
                custom_imports=dict(imports=["hrtoolkit.tasks.detection"]),
                model=dict(backbone=TINY, neck=neck, head=dict(type="FasterRCNNHead", masks=masks, roi_samples=32)),
                train_dataloader=loader(2, 0.5, keep_empty=False),
                val_dataloader=loader(1, 0.0),
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
    assert {*COCO_STATS, "loss_box_reg", "loss_objectness"} <= whole.keys()
    for name in ("last.pth", "best.pth", "curves.png", "pictures/epoch_002.jpg"):
        assert (tmp_path / "whole" / name).stat().st_size > 0, name
    meta = read_checkpoint(tmp_path / "whole" / "best.pth")["meta"]
    assert meta["head"] == {"convention": "mmdet", "classes": ["cat", "dog", "cow"]}  # from the data
    assert meta["output_names"] == ["background", "cat", "dog", "cow"]
    train(make_config(objects_folder, train_cfg=dict(max_epochs=1)), tmp_path / "parts")
    train(make_config(objects_folder), tmp_path / "parts", resume=True)
    ours, theirs = (read_checkpoint(tmp_path / name / "last.pth")["state_dict"] for name in ("whole", "parts"))
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    tested = run_test(make_config(objects_folder), tmp_path / "whole" / "best.pth")
    assert all(tested[name] == whole[name] for name in tested)


def test_a_run_with_masks_trains_and_scores_them(objects_folder, tmp_path):
    metrics = train(make_config(objects_folder, masks=True, train_cfg=dict(max_epochs=1)), tmp_path / "work")
    assert {"mask_AP", "mask_AR_L", "loss_mask"} <= metrics.keys()


def test_other_classes_than_the_heads_are_refused(objects_folder, tmp_path):
    config = make_config(objects_folder)
    config.model.head.classes = ["cat", "dog"]
    with pytest.raises(DataError, match=r"the data has 3 classes \(cat, dog, cow\), the head has 2 \(cat, dog\)"):
        train(config, tmp_path / "work")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (dict(classes=["cat", "cat"]), r"dataset: .*classes: \['cat'\] are named more than once"),
        (dict(transform=dict(type="ResizeFlip", sizes=[])), "dataset: .*ResizeFlip: sizes takes pairs"),
    ],
)
def test_arguments_that_a_dataset_refuses_are_no_traceback(objects_folder, tmp_path, change, told):
    config = make_config(objects_folder)
    config.train_dataloader.dataset.update(change)
    with pytest.raises(UserError, match=told):
        train(config, tmp_path / "work")


def test_a_head_goes_by_the_convention_of_its_data(objects_folder):
    config = make_config(objects_folder)
    for convention in ("mmdet", "torchvision", "authors"):
        dataset = CocoDetection(ResizeFlip(convention=convention), objects_folder, "objects.json", "images")
        config.model.head = dict(type="FasterRCNNHead", roi_samples=32)
        assert build_model_for(config, dataset).head.convention == convention
    config.model.head = dict(type="CascadeRCNNHead", convention="mmdet")
    with pytest.raises(DataError, match="resized as authors does, but the head computes as mmdet does"):
        build_model_for(config, dataset)


def test_detected_people_are_read_by_pose(coco_folder, tmp_path):
    """What `tools/test.py --out` of a person detector writes is the `box_file` of the pose task."""
    config = make_config(coco_folder, ann_file="people.json")
    dataset = CocoDetection(ResizeFlip([(96, 64)]), coco_folder, "people.json", "images")
    model = build_model_for(config, dataset)
    (stage,) = model.head.stages
    torch.nn.init.constant_(stage.box_predictor.cls_score.bias[:1], -1e3)  # everything is a person
    torch.save(model.state_dict(), tmp_path / "detector.pth")
    run_test(config, tmp_path / "detector.pth", out=tmp_path / "boxes.json")
    detections = json.loads((tmp_path / "boxes.json").read_text())
    assert {one["image_id"] for one in detections} == {11, 12, 13}
    transform = TopDownAffine(input_size=(48, 64))
    people = CocoKeypoints(transform, coco_folder, "people.json", "images", box_file=str(tmp_path / "boxes.json"))
    assert len(people) == len(detections)
    by_image = {i: [d for d in detections if d["image_id"] == i] for i in (11, 12, 13)}
    expected = [d["bbox"] for image in by_image.values() for d in image]
    np.testing.assert_allclose(people.boxes, expected, rtol=1e-6)
    assert people[0]["image"].shape == (64, 48, 3)


def score(folder, positions):
    dataset = CocoDetection(ResizeFlip(), folder, "objects.json", "images", masks=True)
    metric = CocoDetectionMetric(out_file=str(folder / "results.json"))
    metric.dataset_meta = dataset.metainfo
    rng = np.random.default_rng(0)
    found = [one | {"boxes": one["boxes"] + rng.normal(0, 2, one["boxes"].shape)} for one in dataset.truth()]
    metric.process(None, [found[position] for position in positions])
    return metric.evaluate(len(dataset))


SPLITS = {
    "interleaved": ([0, 2, 4], [1, 3]),
    "padded": ([0, 2, 4], [1, 3, 0]),
    "first has none": ([], range(5)),
}


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
