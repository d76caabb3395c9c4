"""A predictor of the runtime gives the records of hrtoolkit's, for all five tasks."""

import json

import cv2
import numpy as np
import pytest
import torch

from hrtoolkit.errors import CheckpointError, DataError, OptionError
from hrtoolkit.masks import Masks
from hrtoolkit.records import Objects
from hrtoolkit.runtime.masks import paste_masks
from hrtoolkit.runtime.predictor import make_batch
from hrtoolkit.tasks.detection.conventions import CONVENTIONS

from .exporting import assert_same, both, small_model

POSE = (
    ("pose/hrnet_toy", {}),
    ("pose/hrnet_w32_coco_udp", {}),
    ("face/hrnetv2_w18_300w", {"integer_points": True}),
    ("face/hrnetv2_w18_wflw_dark", {}),
)


def boxes_in(images, count=4):
    rng = np.random.default_rng(1)
    found = []
    for image in images:
        corners = np.sort(rng.uniform(0, 1, (count, 2, 2)) * image.shape[1::-1], axis=1).reshape(count, 4)
        corners[-1] = corners[0] + 0.5  # nearly the same person
        found.append(np.concatenate([corners, rng.random((count, 1))], axis=1))
    found[0] = found[0][:0]  # nobody there
    return found


def assert_alike(mine, theirs, images, **options):
    predictions = list(theirs(images, **options))
    assert len(predictions) == len(images)
    for found, wanted in zip(predictions, mine(images, **options), strict=True):
        assert_same(found.record, wanted.record)
        np.testing.assert_array_equal(found.draw(), wanted.draw())
        assert_near(json.loads(json.dumps(found.to_dict())), json.loads(json.dumps(wanted.to_dict())))


def assert_near(value, wanted):
    """Values of json are the same, but for the last digits of floats."""
    assert type(value) is type(wanted)
    if isinstance(value, dict):
        assert list(value) == list(wanted)
        for name in value:
            assert_near(value[name], wanted[name])
    elif isinstance(value, list):
        for one, other in zip(value, wanted, strict=True):
            assert_near(one, other)
    else:
        assert value == (pytest.approx(wanted, abs=1e-4) if isinstance(value, float) else wanted)


@pytest.mark.parametrize(("name", "head"), POSE)
def test_people_and_faces(name, head, photos):
    mine, theirs = both(small_model(name, **head))
    assert_alike(mine, theirs, photos, boxes=boxes_in(photos))


@pytest.mark.parametrize("nms", ["soft", None])
@pytest.mark.parametrize("score", ["box", "keypoint"])
def test_people_are_finished_in_every_way(nms, score, photos):
    model = small_model("pose/hrnet_toy")
    model.branch().finish.nms, model.branch().finish.score = nms, score
    mine, theirs = both(model)
    assert_alike(mine, theirs, photos[:3], boxes=boxes_in(photos[:3], 30))


@pytest.mark.parametrize(
    "view",
    [
        dict(type="WholeImage"),
        dict(type="WholeImage", short_side=64, pad_to=32),
        dict(type="WholeImage", fit=(90, 60), pad_to=32, crop_padding=False),
    ],
)
@pytest.mark.parametrize("align_corners", [False, True])
def test_label_maps(view, align_corners, photos):
    model = small_model("segmentation/hrnetv2_toy", view=view)
    model.head.align_corners = align_corners
    mine, theirs = both(model)
    for found, wanted in zip(theirs(photos), mine(photos), strict=True):
        # Between two classes that are equal up to rounding either is right.
        assert (found.record.label_map != wanted.record.label_map).mean() < 1e-4
        assert found.record.label_map.dtype == np.uint8 and wanted.scheme.names == found.scheme.names


def test_classes(photos):
    mine, theirs = both(small_model("classification/hrnet_toy", scheme=["ant", "bee", "wasp"]))
    assert_alike(mine, theirs, photos)


@pytest.mark.parametrize("convention", list(CONVENTIONS))
def test_objects(convention, photos):
    model = small_model(
        "detection/mask_rcnn_hrnetv2p_w18_coco",
        view=dict(type="FitInside", size=(160, 120)),
        convention=convention,
    )
    rules = CONVENTIONS[convention]
    recorded = []

    def run(inputs):
        rng = np.random.default_rng(len(recorded))
        ((height, width),) = inputs["sizes_hw"]
        boxes = np.sort(rng.uniform(0, 1, (1, 9, 2, 2)) * [width, height], axis=2).reshape(1, 9, 4).astype(np.float32)
        labels = np.array([[3, 0, 79, 5, 5, 1, 2, -1, -1]])
        scores = np.sort(rng.random((1, 9)).astype(np.float32))[:, ::-1]
        recorded.append((boxes, labels, scores, rng.random((1, 9, 28, 28)).astype(np.float32)))
        return list(recorded[-1])

    read = {"kind": "objects", "masks": rules.masks, "last_pixel": rules.last_pixel}
    names = ["boxes", "labels", "scores", "masks"]
    mine, theirs = both(model, run, batch_size=1, outputs=names, read=read)
    found = list(theirs(photos))
    for image, prediction, (boxes, labels, scores, masks) in zip(photos, found, recorded, strict=True):
        frame, there = mine.view(image)[1], labels[0] >= 0
        in_image = frame.boxes_to_image(torch.from_numpy(boxes[0][there]))
        ends = in_image - torch.tensor([0.0, 0, 1, 1]) if rules.last_pixel else in_image
        pasted = paste_masks(masks[0][there], ends.numpy(), image.shape[:2], rules.masks)
        wanted = Objects(in_image.double().numpy(), labels[0][there], scores[0][there], masks=None)
        assert_same(prediction.record, wanted._replace(masks=Masks(image.shape[:2], pasted)), pixels=0)
        assert prediction.draw().shape == image.shape and prediction["person"].labels.tolist() == [0]
        assert prediction.to_dict()["objects"][0]["mask"]["size"] == list(image.shape[:2])


@pytest.mark.parametrize("convention", ["mmdet", "authors"])
def test_objects_of_a_network(convention, photos):
    view = dict(type="FitInside", size=(160, 120))
    model = small_model(
        "detection/mask_rcnn_hrnetv2p_w18_coco", view=view, convention=convention, scheme=["cat", "dog"]
    )
    model.head.stages[-1].detections_per_img = 20

    def predict(maps, frames, flipped):
        """By `decode`: of random weights many scores are equal, and `predict` orders those another way."""
        found = model.head.decode(maps, None, torch.from_numpy(np.asarray(frames.input_hw, np.int64)))
        return model.head.read({name: value.numpy() for name, value in found.items()}, frames)

    model.head.predict = predict
    mine, theirs = both(model, batch_size=1)
    assert len(theirs.find(photos[0]).labels) > 3
    assert_alike(mine, theirs, photos[1:2])


def test_inputs_are_normalised_and_padded_as_in_testing(photos):
    model = small_model("detection/mask_rcnn_hrnetv2p_w18_coco", view=dict(type="FitInside", size=(160, 120)))
    mine, theirs = both(model, len, outputs=["boxes"], read={"kind": "objects", "masks": None, "last_pixel": False})
    for image in photos:
        inputs = mine._look(0, type("Picture", (), {"image": image}), None)
        wanted = model.data_preprocessor(mine.collate(inputs))["images"].numpy()
        batch = make_batch([theirs.view.look(image)], theirs.network.input)
        np.testing.assert_array_equal(batch, wanted)
        reversed_colors = make_batch([theirs.view.look(image)], theirs.network.input._replace(color_order="bgr"))
        assert reversed_colors.shape == wanted.shape and (reversed_colors != wanted).any()


def test_batches_of_one_size_give_the_same_as_any(photos):
    model = small_model("pose/hrnet_toy")
    boxes = boxes_in(photos)
    sizes = []

    def run(inputs):
        sizes.append(len(inputs["images"]))
        with torch.inference_mode():
            maps = model.extract(torch.from_numpy(inputs["images"]).contiguous(memory_format=torch.channels_last))
            return [value.numpy() for value in model.head.decode(maps).values()]

    _, theirs = both(model, run)
    theirs.network.input = theirs.network.input._replace(shape=(5, *theirs.network.input.shape[1:]))
    theirs.batch_size = 5
    mine = both(model)[0]
    for found, wanted in zip(theirs(photos, boxes=boxes), mine(photos, boxes=boxes), strict=True):
        assert_same(found.record, wanted.record)
    assert set(sizes) == {5}


def test_who_says_nothing_is_told_what_to_say(photos):
    _, pose = both(small_model("pose/hrnet_toy"))
    _, classes = both(small_model("classification/hrnet_toy", scheme=["ant", "bee"]))
    with pytest.raises(OptionError, match="say where by boxes"):
        pose(photos)
    with pytest.raises(OptionError, match="this one looks at whole pictures"):
        classes(photos, boxes="whole")
    with pytest.raises(OptionError, match="a detector finds boxes"):
        type(classes)(classes.network, classes.scheme, detector=len)
    with pytest.raises(OptionError, match="batch_size is 1 or more"):
        type(pose)(pose.network, pose.scheme, batch_size=0)
    pose.network.settings["read"]["kind"] = "smells"
    with pytest.raises(CheckpointError, match="read is 'smells'"):
        type(pose)(pose.network, pose.scheme)


def test_failures_are_told_and_the_rest_goes_on(tmp_path, photos):
    for name, image in zip("abc", photos, strict=False):
        cv2.imwrite(str(tmp_path / f"{name}.png"), image)
    (tmp_path / "b.png").write_bytes((tmp_path / "b.png").read_bytes()[:-30])
    _, pose = both(small_model("pose/hrnet_toy"))
    with pytest.raises(DataError, match="cut short"):
        list(pose(tmp_path, boxes="whole"))
    failed = []
    found = list(pose(tmp_path, boxes="whole", on_failure=lambda source, error: failed.append(source.name)))
    assert [one.source.name for one in found] == ["a.png", "c.png"] and failed == ["b.png"]
    with pytest.raises(DataError, match="there are no boxes for it"):
        list(pose(tmp_path / "a.png", boxes={"b.png": [[0, 0, 5, 5]]}))


def test_a_detector_says_where_to_look(photos):
    model = small_model("pose/hrnet_toy")
    _, pose = both(model)
    wanted = pose.find(photos[0], boxes=[[10, 10, 60, 90]])
    looked = type(pose)(pose.network, pose.scheme, detector=lambda image: np.array([[10, 10, 60, 90, 1.0]]))
    assert_same(looked.find(photos[0]), wanted)

    class Finder:
        scheme = pose.scheme.__class__("classes", ("person", "dog"))

        def find(self, image):
            boxes = np.array([[10, 10, 60, 90], [0, 0, 9, 9], [0, 0, 20, 20.0]])
            return Objects(boxes, np.array([0, 0, 1]), np.array([1.0, 0.3, 0.9]))

    assert_same(type(pose)(pose.network, pose.scheme, detector=Finder()).find(photos[0]), wanted)
