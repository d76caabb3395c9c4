"""The toy world: repeatable, valid COCO, and left and right as in photographs."""

import contextlib
import io
import json

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from hrtoolkit import toy
from hrtoolkit.errors import DataError
from hrtoolkit.toy import files, scenes
from hrtoolkit.toy.people import FACE_MARKS, KEYPOINTS, Part, draw_outline, make_person
from hrtoolkit.toy.surfaces import make_surface

GREY = np.full(3, 128.0)
FACE = [KEYPOINTS.index(name) for name in FACE_MARKS]


def quietly(function, *arguments):
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints
        return function(*arguments)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("toy") / "coco"
    assert toy.write_coco(path, train=60, val=6, seed=3)
    return path


@pytest.fixture(scope="module")
def train(folder):
    return quietly(COCO, folder / "annotations" / "person_keypoints_train2017.json")


@pytest.fixture(scope="module")
def people(train):
    """Keypoints [N, 17, 3] and image sizes [N, 2] (width, height) of everyone who is not in a crowd."""
    records = [record for record in train.dataset["annotations"] if not record["iscrowd"]]
    images = [train.imgs[record["image_id"]] for record in records]
    keypoints = np.array([record["keypoints"] for record in records], float).reshape(-1, 17, 3)
    return keypoints, np.array([(image["width"], image["height"]) for image in images])


def test_images_and_annotations_depend_on_the_seed_but_not_on_the_count(folder, tmp_path):
    toy.write_coco(tmp_path / "few", train=4, val=6, seed=3)
    toy.write_coco(tmp_path / "other", train=4, val=0, seed=4)
    names = [f"train2017/{i:012d}.jpg" for i in range(1, 5)] + [
        f"val2017/{i:012d}.jpg" for i in range(500_001, 500_007)
    ]
    names += [f"{kind}/train2017/000000000003.png" for kind in ("labels", "depth", "normals")]
    for name in names:
        assert (folder / name).read_bytes() == (tmp_path / "few" / name).read_bytes()
    assert (folder / names[0]).read_bytes() != (tmp_path / "other" / names[0]).read_bytes()
    val = "annotations/person_keypoints_val2017.json"
    assert (folder / val).read_bytes() == (tmp_path / "few" / val).read_bytes()
    many, few = (
        json.loads((path / "annotations/person_keypoints_train2017.json").read_text())
        for path in (folder, tmp_path / "few")
    )
    assert few["annotations"] and many["annotations"][: len(few["annotations"])] == few["annotations"]


def test_ids_are_unique_over_both_splits_and_never_zero(folder, train):
    val = quietly(COCO, folder / "annotations" / "person_keypoints_val2017.json")
    assert len(train.imgs) + len(val.imgs) == 66 and not train.imgs.keys() & val.imgs.keys()
    assert len(train.anns) == len(train.dataset["annotations"])
    assert not train.anns.keys() & val.anns.keys() and min(train.anns) > 0
    for record in train.imgs.values():
        assert (folder / "train2017" / record["file_name"]).exists()


def test_ground_truth_scores_one_as_prediction(train):
    records = [record for record in train.dataset["annotations"] if record["num_keypoints"]]
    predictions = [{key: record[key] for key in ("image_id", "category_id", "keypoints")} for record in records]
    found = quietly(train.loadRes, [prediction | {"score": 1.0} for prediction in predictions])
    evaluation = COCOeval(train, found, "keypoints")
    for step in (evaluation.evaluate, evaluation.accumulate, evaluation.summarize):
        quietly(step)
    np.testing.assert_array_equal(evaluation.stats, 1)


def test_polygons_cover_the_area_and_fill_the_box(train):
    assert train.anns
    for record in train.anns.values():
        mask = train.annToMask(record)
        # A polygon has no holes, the mask may: between an arm and the trunk.
        assert record["area"] <= mask.sum() <= 1.1 * record["area"]
        rows, columns = np.nonzero(mask)
        box = [columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1]
        assert record["bbox"] == box


def test_outside_the_image_means_zeros_and_only_there(people):
    keypoints, sizes = people
    unlabelled = keypoints[..., 2] == 0
    assert unlabelled.any() and not keypoints[unlabelled].any()
    points = keypoints[..., :2]
    inside = ((points >= 0) & (points <= sizes[:, None] - 1)).all(axis=-1)
    assert inside.all() and (points[~unlabelled].max(axis=-1) > 0).all()


def test_the_count_of_keypoints_is_the_count_of_labels(train):
    for record in train.anns.values():
        assert record["num_keypoints"] == sum(flag > 0 for flag in record["keypoints"][2::3])


def test_a_small_set_holds_what_makes_coco_difficult(train, people):
    keypoints, _ = people
    assert {0, 1, 2} == set(keypoints[..., 2].ravel())
    images = train.imgs.values()
    assert any(image["width"] > image["height"] for image in images)
    assert any(image["width"] < image["height"] for image in images)
    heights = [record["bbox"][3] for record in train.anns.values() if not record["iscrowd"]]
    assert min(heights) < 80 and max(heights) > 240
    crowds = [record for record in train.anns.values() if record["iscrowd"]]
    assert crowds
    for record in crowds:
        runs = record["segmentation"]
        assert record["keypoints"] == [0] * 51 and sum(runs["counts"]) == np.prod(runs["size"])
    people_in_image = np.bincount([record["image_id"] for record in train.anns.values()])
    assert people_in_image.max() >= 3


def whole_person(seed: int, yaw_degrees: float) -> np.ndarray:
    """Keypoints [17, 3] of somebody in the middle of an empty image."""
    figure = make_person(np.random.default_rng(seed), 200, GREY, yaw_degrees).moved(np.array((200.0, 200.0)))
    part_map = scenes._rasterise(figure, 400, 400)
    return np.array(scenes._annotate(figure, part_map, part_map > 0)["keypoints"]).reshape(17, 3)


@pytest.mark.parametrize("seed", range(20))
def test_the_left_side_is_on_the_right_of_people_who_face_the_viewer(seed):
    front, back = whole_person(seed, 0), whole_person(seed, 180)
    for joint in ("ear", "shoulder", "hip"):
        left, right = (KEYPOINTS.index(f"{side}_{joint}") for side in ("left", "right"))
        # A head turns by up to 20 degrees and a trunk falls by up to 28: neither swaps the sides.
        assert front[left, 0] > front[right, 0] and back[left, 0] < back[right, 0]


def test_a_face_shows_from_in_front_only():
    fronts = np.array([whole_person(seed, 0)[FACE, 2] for seed in range(40)])
    backs = np.array([whole_person(seed, 180)[FACE, 2] for seed in range(40)])
    assert (fronts == 2).mean() > 0.9  # a raised hand may hide an eye
    assert (backs == 1).all()


def test_no_colour_tells_left_from_right():
    """A mirrored image must be a valid image, or flip augmentation would teach nonsense."""
    for seed in range(20):
        figure = make_person(np.random.default_rng(seed), 200, GREY)
        colors = {part.name: part.color for part in figure.parts}
        for name in (name for name in colors if name.startswith("left_")):
            # Depth shades a limb, all channels by one factor, until one of them saturates.
            left, right = colors[name], colors[name.replace("left_", "right_")]
            ratios = (left / right)[(left < 255) & (right < 255)]
            np.testing.assert_allclose(ratios, ratios.mean() if len(ratios) else 1)


def test_the_same_call_twice_writes_once(folder):
    before = (folder / "toy.json").stat().st_mtime_ns
    assert toy.write_coco(folder, train=60, val=6, seed=3) is False
    assert (folder / "toy.json").stat().st_mtime_ns == before


def test_an_interrupted_folder_is_finished_and_other_data_left_alone(tmp_path, monkeypatch):
    make_scene = scenes.make_scene
    calls = iter(range(3))
    monkeypatch.setattr(files, "make_scene", lambda rng: next(calls) < 2 and make_scene(rng))
    with pytest.raises(AttributeError):  # the third scene is False
        toy.write_coco(tmp_path / "toy", train=3, val=1)
    monkeypatch.undo()
    assert toy.write_coco(tmp_path / "toy", train=3, val=1)
    with pytest.raises(DataError, match=r"holds toy data made with .*'seed': 0.* delete the folder or choose another"):
        toy.write_coco(tmp_path / "toy", train=3, val=1, seed=1)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "photo.jpg").write_bytes(b"")
    with pytest.raises(DataError, match="is not empty and holds other data"):
        toy.write_coco(tmp_path / "mine", train=3, val=1)
    with pytest.raises(ValueError, match="got -1, 5 and 0"):
        toy.write_coco(tmp_path / "new", train=-1, val=5)


def test_label_maps_show_the_parts_of_the_annotated_people(folder, train):
    seen = np.zeros(256, int)
    for image_id in train.imgs:
        labels = cv2.imread(str(folder / "labels" / "train2017" / f"{image_id:012d}.png"), cv2.IMREAD_UNCHANGED)
        record = train.imgs[image_id]
        assert labels.dtype == np.uint8 and labels.shape == (record["height"], record["width"])
        people, crowd = np.zeros(labels.shape, bool), np.zeros(labels.shape, bool)
        for annotation in train.imgToAnns[image_id]:
            area = crowd if annotation["iscrowd"] else people
            area |= quietly(train.annToMask, annotation).astype(bool)
            # A visible knee lies on its own leg.
            for name in ("left_knee", "right_knee"):
                x, y, flag = np.array(annotation["keypoints"]).reshape(-1, 3)[KEYPOINTS.index(name)]
                if flag == 2:
                    assert scenes.LABELS[labels[round(y), round(x)]] == name.replace("knee", "leg")
        shown = (labels > 0) & (labels < 255)
        assert not (shown & ~people).any() and not ((labels == 255) & ~crowd).any()
        # COCO's polygons are outer contours: what lies between an arm and the trunk is inside of them.
        assert (people & (labels == 0)).sum() <= 0.05 * people.sum()
        seen += np.bincount(labels.ravel(), minlength=256)
    assert (seen[: len(scenes.LABELS)] > 0).all() and seen.sum() == seen[: len(scenes.LABELS)].sum() + seen[255]


def read_maps(folder, image_id):
    """Labels [H, W], depth [H, W] in metres and normals [H, W, 3], as they are stored; of a crowd 0 and -1."""
    labels, depth, normals = (
        cv2.imread(str(folder / kind / "train2017" / f"{image_id:012d}.png"), cv2.IMREAD_UNCHANGED)
        for kind in ("labels", "depth", "normals")
    )
    assert depth.dtype == np.uint16 and normals.dtype == np.uint8
    return labels, depth / 1000, normals[..., ::-1] / 127.5 - 1


def test_depth_and_normals_are_known_but_for_crowds(folder, train):
    crowds = 0
    for image_id in train.imgs:
        labels, depth, normals = read_maps(folder, image_id)
        crowd = labels == scenes.UNLABELLED
        crowds += crowd.any()
        assert (depth[crowd] == 0).all() and (normals[crowd] == -1).all()
        lengths = np.linalg.norm(normals, axis=2)
        assert depth[~crowd].min() > 0.5 and depth.max() <= 12 and np.abs(lengths[~crowd] - 1).max() < 0.01
        # Nobody has a surface that looks away from the viewer; the ground looks at him.
        assert normals[~crowd][:, 2].min() > -0.01 and (depth[labels > 0] < 12).all()
        assert ((depth == 12) <= (normals[..., 2] > 0.99)).all()
    assert crowds


def test_whoever_is_drawn_larger_is_nearer(train, folder):
    heights, metres = [], []
    for record in train.anns.values():
        if not record["iscrowd"] and record["keypoints"][2::3].count(2) == 17:
            depth = read_maps(folder, record["image_id"])[1]
            image = train.imgs[record["image_id"]]
            heights.append(record["bbox"][3] / min(image["height"], image["width"]))
            metres.append(np.median(depth[quietly(train.annToMask, record) > 0]))
    assert len(heights) > 10 and np.corrcoef(np.log(heights), np.log(metres))[0, 1] < -0.9


def test_normals_are_those_of_the_height_field():
    outline = draw_outline(np.array([[30.0, 20], [40, 90]]), np.array([18.0, 14]))
    y, x = np.mgrid[:110, :70].astype(np.float32)
    surface = make_surface(Part("arm", outline, GREY, 5.0), np.stack([x.ravel(), y.ravel()])).reshape(4, 110, 70)
    height = surface[3] - 5
    slope = np.stack([np.gradient(height, axis=1), np.gradient(height, axis=0)])
    wanted = np.concatenate([-slope, np.ones((1, 110, 70))])
    wanted /= np.linalg.norm(wanted, axis=0)
    inner = height > 0.7 * height.max()  # nearer to the edge the surface is too steep for differences of pixels
    assert inner.sum() > 500 and 12 < height.max() < 18
    assert (wanted * surface[:3]).sum(axis=0)[inner].min() > np.cos(np.radians(4))
    left, right = surface[0, 50, 24], surface[0, 50, 46]
    assert left < -0.3 and right > 0.3  # to where the limb bends away
