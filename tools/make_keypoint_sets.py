"""Write docs/keypoint_sets.md from the layouts, the configs and the table below: python tools/make_keypoint_sets.py"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, NamedTuple

from mmengine import Config

from hrtoolkit.config import load_config
from hrtoolkit.files import write_atomically
from hrtoolkit.published import numbers_of
from hrtoolkit.schemes.known import KEYPOINTS
from hrtoolkit.zoo import read_zoo

PAGE = Path(__file__).parent.parent / "docs/keypoint_sets.md"


class Facts(NamedTuple):
    """What neither layout nor config says of a set.

    Args:
        size: how much there is of it, as its owners or OpenMMLab count.
        page: its own one.
        files: OpenMMLab's page with the annotation files that our configs read, where they are not the owners'.
        score: what is measured.
        remark: a sentence, or nothing.
    """

    size: str
    page: str
    files: str
    score: str
    remark: str = ""


OPENMMLAB = "https://mmpose.readthedocs.io/en/latest/dataset_zoo/2d_{}_keypoint.html"
BODY, HAND, ANIMAL, WHOLE = (OPENMMLAB.format(one) for one in ("body", "hand", "animal", "wholebody"))
WHOLE_BODY = "https://github.com/jin-s13/COCO-WholeBody"
SETS = {
    "crowdpose": Facts(
        "20,000 images, 80,000 people",
        "https://github.com/Jeff-sjtu/CrowdPose",
        BODY,
        "AP by areas of 0.53 of the box, also of easy, medium and hard images",
    ),
    "aic": Facts(
        "300,000 images, 700,000 people",
        "https://github.com/AIChallenger/AI_Challenger_2017",
        BODY,
        "AP by areas of 0.53 of the box and by fall-offs of its own, and the official code's mAP",
        "The original download is reported dead.",
    ),
    "posetrack18": Facts(
        "550 films, 153,615 poses",
        "https://posetrack.net",
        BODY,
        "AP, MOTA and HOTA of PoseTrack's own codes ([films](tracking.md))",
        "Ears are never labelled.",
    ),
    "humanart": Facts(
        "50,000 images, in 20 kinds of art",
        "https://github.com/IDEA-Research/HumanArt",
        "",
        "AP",
        "The keypoints are COCO's.",
    ),
    "humanart21": Facts(
        "the same people",
        "https://github.com/IDEA-Research/HumanArt",
        "",
        "AP",
        'Without a config: `scheme="humanart21"` and `parts=[dict(keypoints="keypoints_21")]` in the datasets of '
        "Human-Art's read them.",
    ),
    "jhmdb": Facts(
        "316 short films",
        "http://jhmdb.is.tue.mpg.de",
        BODY,
        "PCK by the box and by the torso",
        "`head` is the middle of the head.",
    ),
    "halpe26": Facts(
        "43,000 images, 50,000 people",
        "https://github.com/Fang-Haoshu/Halpe-FullBody",
        "",
        "AP",
        "The first 26 points of Halpe-136. `head` is its top.",
    ),
    "halpe136": Facts(
        "43,000 images, 50,000 people",
        "https://github.com/Fang-Haoshu/Halpe-FullBody",
        "",
        "AP of all points, and of body, feet, face and hands",
    ),
    "coco_wholebody": Facts(
        "the people of COCO 2017",
        WHOLE_BODY,
        "",
        "AP of all points, and of body, feet, face and hands",
        "A wrist and the root of its hand are two points.",
    ),
    "coco_wholebody_face": Facts(
        "the faces of the same people", WHOLE_BODY, "", "NME by the distance of the outer eye corners"
    ),
    "coco_wholebody_hand": Facts("the hands of the same people", WHOLE_BODY, "", "PCK, AUC and EPE"),
    "onehand10k": Facts(
        "10,000 and 1,703 images of a hand",
        "https://www.yangangwang.com/papers/WANG-MCC-2018-10.html",
        HAND,
        "PCK, AUC and EPE",
    ),
    "freihand": Facts(
        "130,240 and 3,960 images of a hand", "https://github.com/lmb-freiburg/freihand", HAND, "PCK, AUC and EPE"
    ),
    "rhd2d": Facts(
        "41,258 and 2,728 rendered images",
        "https://lmb.informatik.uni-freiburg.de/resources/datasets/RenderedHandposeDataset.en.html",
        HAND,
        "PCK, AUC and EPE",
        "Fingers run from tip to base, whatever the files' categories say.",
    ),
    "ap10k": Facts(
        "10,015 images, 13,028 animals of 54 species",
        "https://github.com/AlexTheBad/AP-10K",
        "",
        "AP, the mean over species",
    ),
    "animalpose": Facts(
        "4,608 images, 6,117 animals of 5 species", "https://github.com/noahcao/animal-pose-dataset", ANIMAL, "AP"
    ),
}

HEAD = """# Public keypoint sets

`python tools/make_keypoint_sets.py` writes this page, `python tools/draw_keypoint_sets.py` its pictures. COCO, MPII and
the benchmarks of faces have pages of their own: [pose.md](pose.md), [face.md](face.md).

Each set is known by a name for `scheme`, and has configs that say in their headers how they are scored and what their
files need. `hrtoolkit train CONFIG --data-root FOLDER` trains one; `hrtoolkit check CONFIG --data-root FOLDER` tells
first what is missing or wrong. A file of another of these sets than the config's is refused, by the names of its
keypoints. A number is that of OpenMMLab's weights for the first config, by the config's protocol; others are below.

"""
PICTURES = """
## Points, files, configs

A number in a picture is the channel; left is orange, right blue, and green what has no side. Files lie below the folder
that is named first, which `--data-root` replaces, and images in the one that is named with them; where none is, the
file's own names lead from there."""
TERMS = """

## Terms

`hrtoolkit train` tells the terms of a set once, when its config is trained: of each set whose `scheme` the config
names, so of all sets of a mixed training. They are of the set's own files; of data of yours with the same keypoints
they say nothing. They may reach weights that were trained on the set: when published weights are fetched, the terms of
both are told once. What is told is what was found stated, and no legal advice; [model_zoo.md](model_zoo.md) has the
terms of all other data.
"""


def write_page() -> str:
    """The page."""
    configs = {name: find_configs(name) for name in SETS}
    lines = ["| set | points | size | terms of use | files | config: published |", "|---|---|---|---|---|---|"]
    lines += [_write_row(name, configs[name]) for name in SETS]
    sections = [section for name in SETS for section in _write_section(name, configs[name])]
    return HEAD + "\n".join([*lines, PICTURES, *sections]) + TERMS


@functools.cache
def find_configs(layout: str) -> dict[str, tuple[Config, str]]:
    """The shipped configs of a set, and what is published of each, by name; top-down ones first."""
    rows: list[dict[str, Any]] = [row for row in read_zoo()["configs"] if row["data"] == layout]
    configs = {row["name"]: load_config(row["name"]) for row in rows}
    numbers = {row["name"]: _headline(configs[row["name"]], row["published"]) for row in rows}
    own = [name for name, one in configs.items() if one.model.get("head", {}).get("scheme") == layout]
    own.sort(key=lambda name: "input_size" not in configs[name].model.view)
    return {name: (configs[name], numbers[name]) for name in own}


def _headline(config: Config, published: dict[str, dict[str, Any]]) -> str:
    """The number that a config is best by, or else the first one, as OpenMMLab publishes it, or who else does."""
    entry = published.get("openmmlab") or next(iter(published.values()), {})
    metrics = config.val_evaluator
    headline = (metrics[0] if isinstance(metrics, list) else metrics).get("headline")
    return numbers_of({headline: entry[headline]} if headline in entry else entry).partition(",")[0]


def _write_row(layout: str, configs: dict[str, tuple[Config, str]]) -> str:
    scheme, facts = KEYPOINTS[layout], SETS[layout]
    where = f"[its page]({facts.page})" + (f", [OpenMMLab's]({facts.files})" if facts.files else "")
    name, (_, numbers) = next(iter(configs.items()), ("", (None, "")))
    config = f"`{name}`: {numbers or 'none'}" if name else "-"
    title = f"[{_title(layout)}](#{_title(layout).lower().replace(' ', '-')})"
    cells = [title, str(len(scheme.names)), facts.size, scheme.terms, where, config]
    return f"| {' | '.join(cells)} |"


def _write_section(layout: str, configs: dict[str, tuple[Config, str]]) -> list[str]:
    scheme, facts = KEYPOINTS[layout], SETS[layout]
    remark = f" {facts.remark}" if facts.remark else ""
    lines = [f"\n### {_title(layout)}\n", f"`{layout}`: {facts.score}.{remark}\n"]
    if configs:
        told = (f"`{name}` ({numbers})" if numbers else f"`{name}`" for name, (_, numbers) in configs.items())
        config = next(iter(configs.values()))[0]
        root, train = _files(config.train_dataloader)
        lines += [f"- `{root}`: {train} to train on, {_files(config.val_dataloader)[1]} to validate on"]
        lines += [f"- {', '.join(told)}\n"]
    title = f"The keypoints of {scheme.title}"
    return [*lines, f"![{title}](images/keypoints/{layout}.svg)"]


def _files(loader: Config) -> tuple[str, str]:
    """The folder of a data set, and its file and images below it."""
    data = loader.dataset
    images = f" with `{data.image_dir}`" if data.get("image_dir") else ""
    return data.data_root, f"`{data.ann_file}`{images}"


def _title(layout: str) -> str:
    """What a set is called, at the beginning of a line."""
    title = KEYPOINTS[layout].title
    return title[0].upper() + title[1:] if title.startswith("the ") else title


if __name__ == "__main__":
    with write_atomically(PAGE) as file:
        file.write(write_page())
    print(f"{PAGE}: {len(SETS)} sets")
