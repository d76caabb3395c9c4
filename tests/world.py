"""Data and weights that the pages of documentation have: small, drawn or random, under the names of real ones."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import timm
import torch
from safetensors.torch import save_file
from scipy.io import savemat

from hrtoolkit import build_model, toy

from .foreign.conftest import MMPOSE, OFFICIAL_POSE


def add_data(folder: Path) -> None:
    """Everything below data/ and beside it, from data/toy, which must be there."""
    toy.write_faces(folder / "data/toy_faces", 16, 4)
    toy.write_classes(folder / "data/toy_classes", 16, 8)
    _write_classes(folder)
    _write_labelme(folder / "data/toy", folder / "labelled", 12)
    _write_labelme(folder / "data/toy", folder / "labelme20", 20)
    _write_objects(folder / "data/toy", folder / "data/cats", ["cat"])
    _write_objects(folder / "data/toy", folder / "data/fruit", ["apple", "pear"])
    _write_dancers(folder / "data/toy", folder / "data/dancers")
    _write_spoilt(folder / "data/toy", folder / "data/spoilt")
    _write_field(folder / "data/field")
    _write_stuff(folder / "data")
    _write_leaves(folder / "leaves")
    _write_film(folder / "data/toy", folder)


def add_weights(folder: Path) -> None:
    """Random weights under published names, for HRTOOLKIT_WEIGHTS, and configs of other toolkits with theirs."""
    (folder / "weights").mkdir()
    torch.manual_seed(0)
    weights = build_model("pose/hrnet_w32_coco").state_dict()
    named = {key.split(".", 1)[1]: value for key, value in weights.items()}  # the authors have no backbone. and head.
    torch.save(named, folder / "weights/pose_hrnet_w32_256x192.pth")
    everybody = build_model("pose/higher_hrnet_w32_coco_512").state_dict()
    torch.save(
        {key.split(".", 1)[1]: value for key, value in everybody.items()},
        folder / "weights/pose_higher_hrnet_w32_512.pth",
    )
    (folder / "w32_256x192_adam_lr1e-3.yaml").write_text(OFFICIAL_POSE)
    (folder / "td-hm_hrnet-w32_udp-8xb64-210e_coco-256x192.py").write_text(MMPOSE)
    resolved = MMPOSE.partition("\n")[2]  # without the line of its base
    torch.save({"meta": {"cfg": resolved}, "state_dict": weights}, folder / "weights/mmpose.pth")
    start = timm.create_model("hrnet_w18_small_v2").state_dict()
    save_file(start, folder / "weights/hrnet_w18_small_v2.ms_in1k.safetensors")


def _write_classes(folder: Path) -> None:
    """A part of ImageNet and a folder of two classes, of pictures of two of the toy's classes."""
    classes = sorted(one.name for one in (folder / "data/toy_classes/val").iterdir())[:2]
    for split in ("train", "val"):
        for data, names in {"ants-bees": ("ants", "bees"), "imagenet": ("n01440764", "n01443537")}.items():
            for one, name in zip(classes, names, strict=True):
                shutil.copytree(folder / "data/toy_classes" / split / one, folder / "data" / data / split / name)


def _write_film(toy_folder: Path, folder: Path) -> None:
    """film/, frames of a camera that pans over a picture, and film.json, where the people in it are."""
    content, people = _read_people(toy_folder, "val")
    picture = next(one for one in content["images"] if one["id"] == people[0]["image_id"])
    image = cv2.imread(str(toy_folder / "val2017" / picture["file_name"]))
    (folder / "film").mkdir()
    boxes = {}
    for number in range(12):
        name, shift = f"{number:03d}.png", 2 * number
        cv2.imwrite(str(folder / "film" / name), np.roll(image, shift, axis=1))
        here = [one["bbox"] for one in people if one["image_id"] == picture["id"]]
        boxes[name] = [[x + shift, y, x + shift + w, y + h] for x, y, w, h in here if x + shift < image.shape[1]]
    (folder / "film.json").write_text(json.dumps(boxes))


def _read_people(toy_folder: Path, split: str) -> tuple[dict, list[dict]]:
    content = json.loads((toy_folder / f"annotations/person_keypoints_{split}2017.json").read_text())
    return content, [one for one in content["annotations"] if not one["iscrowd"] and one["num_keypoints"]]


def _write_objects(toy_folder: Path, out: Path, names: list[str]) -> None:
    """train.json, val.json and images/: the toy's people under other names, the first of two names with keypoints."""
    (out / "images").mkdir(parents=True)
    for split in ("train", "val"):
        content, people = _read_people(toy_folder, split)
        person = content["categories"][0]
        content["categories"] = [
            {"id": number, "name": name} | ({} if len(names) > 1 else {"keypoints": person["keypoints"]})
            for number, name in enumerate(names, start=1)
        ]
        for number, one in enumerate(people):
            one["category_id"] = number % len(names) + 1
        content["annotations"] = people
        for image in content["images"]:
            image["file_name"] = f"{split}_{image['file_name']}"
            source = toy_folder / f"{split}2017" / image["file_name"].removeprefix(f"{split}_")
            shutil.copy(source, out / "images" / image["file_name"])
        (out / f"{split}.json").write_text(json.dumps(content))


def _write_dancers(toy_folder: Path, out: Path) -> None:
    """The toy's people as a set of its own: body and crown in two fields, pixels from 1, no names, no areas."""
    (out / "images").mkdir(parents=True)
    for split in ("train", "val"):
        content, people = _read_people(toy_folder, split)
        content["categories"] = [{"id": 1, "name": "dancer"}]
        dancers = []
        for one in people:
            points = np.reshape(one["keypoints"], (17, 3)).astype(float)
            points[:, :2] += points[:, 2:] > 0  # counted from 1
            crown = points[0] - [0, 4, 0] if points[0, 2] else points[0]
            x, y, *size = one["bbox"]
            kept = {key: one[key] for key in ("id", "image_id", "category_id")}
            body = {"body": points[5:].ravel().tolist(), "crown": crown.tolist()}
            dancers.append(kept | body | {"bbox": [x + 1, y + 1, *size]})
        content["annotations"] = dancers
        (out / f"{split}.json").write_text(json.dumps(content))
        for image in content["images"]:
            shutil.copy(toy_folder / f"{split}2017" / image["file_name"], out / "images")


def _write_spoilt(toy_folder: Path, out: Path) -> None:
    """The toy's people with annotations that have faults."""
    shutil.copytree(toy_folder, out)
    content, people = _read_people(toy_folder, "train")
    people[0]["image_id"] = 99
    people[1]["area"] = people[2]["area"] = 0
    people[3]["keypoints"], people[3]["num_keypoints"] = [0] * 51, 0
    (out / "annotations/person_keypoints_train2017.json").write_text(json.dumps(content))


def _write_field(out: Path) -> None:
    """Label maps of soil (10), crop (20), weed (30), and a margin of 0 that is not labelled."""
    rng = np.random.default_rng(0)
    colors = {0: (60, 60, 60), 10: (30, 70, 110), 20: (60, 180, 60), 30: (50, 50, 220)}
    for split, count in (("train", 6), ("val", 2)):
        for name in ("images", "labels"):
            (out / split / name).mkdir(parents=True)
        for number in range(count):
            labels = np.full((96, 128), 10, np.uint8)
            labels[:4] = 0
            for value in (20, 30):
                x, y = rng.integers(20, 70, 2).tolist()
                cv2.circle(labels, (x, y), 14, value, -1)
            image = np.array([colors.get(value, (0, 0, 0)) for value in range(31)], np.uint8)[labels]
            cv2.imwrite(str(out / split / "images" / f"{number}.png"), image)
            cv2.imwrite(str(out / split / "labels" / f"{number}.png"), labels)


def _write_stuff(data: Path) -> None:
    """COCO-Stuff 10k and PASCAL-Context as released, with one picture a split."""
    for name in ("annotations", "images", "imageLists"):
        (data / "cocostuff-10k" / name).mkdir(parents=True)
    for name in ("VOC2010/JPEGImages", "VOC2010/ImageSets/Main", "trainval"):
        (data / "voc" / name).mkdir(parents=True)
    picture = np.zeros((2, 3, 3), np.uint8)
    for split, name in (("train", "COCO_train2014_000000000077"), ("test", "COCO_train2014_000000000092")):
        (data / f"cocostuff-10k/imageLists/{split}.txt").write_text(f"{name}\n")
        cv2.imwrite(str(data / f"cocostuff-10k/images/{name}.jpg"), picture)
        savemat(data / f"cocostuff-10k/annotations/{name}.mat", {"S": np.array([[0, 1, 13], [90, 92, 182]], np.uint8)})
    for split, name in (("train", "2008_1"), ("val", "2008_2")):
        (data / f"voc/VOC2010/ImageSets/Main/{split}.txt").write_text(f"{name}\n")
        cv2.imwrite(str(data / f"voc/VOC2010/JPEGImages/{name}.jpg"), picture)
        savemat(data / f"voc/trainval/{name}.mat", {"LabelMap": np.array([[2, 9, 459], [458, 284, 1]], np.uint16)})


def _write_leaves(out: Path) -> None:
    """Pictures of a leaf, and a csv with its tip and stem."""
    out.mkdir()
    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        with (out / f"{split}.csv").open("w", newline="") as file:
            for number in range(8):
                name, image = f"{split}{number}.png", np.full((80, 100, 3), 240, np.uint8)
                tip, stem = rng.integers(20, 60, (2, 2)).tolist()
                cv2.line(image, tip, stem, (40, 160, 40), 3)
                cv2.imwrite(str(out / name), image)
                csv.writer(file).writerow([name, *tip, *stem])


def _write_labelme(people: Path, folder: Path, most: int) -> None:
    """Drawn people as if they had been labelled by hand with labelme: a box a person, and points in its group."""
    content = json.loads((people / "annotations/person_keypoints_train2017.json").read_text())
    names = content["categories"][0]["keypoints"]
    folder.mkdir()
    for image in content["images"][:most]:
        shapes = []
        here = [one for one in content["annotations"] if one["image_id"] == image["id"] and not one["iscrowd"]]
        for group, person in enumerate(here):
            x, y, width, height = person["bbox"]
            shape = {"group_id": group, "flags": {}}
            corners = [[x, y], [x + width, y + height]]
            shapes.append({**shape, "label": "person", "points": corners, "shape_type": "rectangle"})
            points = zip(names, *(person["keypoints"][start::3] for start in range(3)), strict=True)
            shapes += [
                {**shape, "label": name, "points": [[px, py]], "shape_type": "point"} for name, px, py, v in points if v
            ]
        size = {"imageHeight": image["height"], "imageWidth": image["width"]}
        labels = {"version": "5.5.0", "flags": {}, "shapes": shapes, "imagePath": image["file_name"], "imageData": None}
        shutil.copy(people / "train2017" / image["file_name"], folder)
        (folder / image["file_name"]).with_suffix(".json").write_text(json.dumps(labels | size))
