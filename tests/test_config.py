"""Configs: what is written is what is loaded, and mistakes come back together, each with its place."""

import re
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from mmengine import Config

import hrtoolkit.config.load
from hrtoolkit.config import ConfigError, config_json, config_text, load_config, read_stored_config
from hrtoolkit.config.values import fits
from hrtoolkit.engine.check_config import check_config
from hrtoolkit.errors import UserError
from hrtoolkit.files import expand_path
from hrtoolkit.metric import BaseMetric
from hrtoolkit.parts import BaseHead
from hrtoolkit.ranges import Count, CountFrom0, NotNegative, Positive, Share
from hrtoolkit.registry import AUGMENTATIONS, BACKBONES, DATASETS, HEADS, LOSSES, METRICS, VIEWS
from hrtoolkit.samples import BaseSamples
from hrtoolkit.views import BaseAugmentation, BaseView

from .conftest import REPOSITORY

GOOD = """
_folder = "nowhere/at/all"
model = dict(backbone=dict(type="CheckedBackbone", width=32), head=dict(type="CheckedHead"),
    view=dict(type="CheckedView", size=(192, 256)))
train_dataloader = dict(batch_size=2, dataset=dict(type="CheckedDataset", data_root=_folder, ann_file="people.json"),
    augmentation=dict(type="CheckedAugmentation", flip=0.5))
val_dataloader = dict(dataset=dict(type="CheckedDataset", ann_file="people.json"))
val_evaluator = [dict(type="CheckedMetric")]
train_cfg = dict(max_epochs=3)
optim_wrapper = dict(optimizer=dict(type="Adam", lr=1e-3), clip_grad=dict(max_norm=1.0))
param_scheduler = [
    dict(type="LinearLR", start_factor=0.001, by_epoch=False, begin=0, end=500),
    dict(type="MultiStepLR", milestones=[1, 2], gamma=0.1),
]
custom_hooks = [dict(type="EMAHook", momentum=0.01, priority=49)]
"""


class CheckedBackbone:
    def __init__(self, width: int, upsample: "str | None" = None, stem: object = None): ...


class CheckedHead(BaseHead):
    moved = {"layout": "model.head.scheme"}  # noqa: RUF012

    def __init__(self, in_channels, in_strides, loss=None, terms=None): ...


class AnyBackbone:
    def __init__(self, name: str, **options): ...


class CheckedLoss:
    def __init__(self, x: int = 0): ...


class CheckedView(BaseView):
    told = ("unbiased",)

    def __init__(self, size=(1, 1), unbiased: bool = False): ...


class OtherView(BaseView):
    pass


class CheckedAugmentation(BaseAugmentation):
    views = (CheckedView,)

    def __init__(self, flip: float = 0.0): ...


class CheckedDataset(BaseSamples):
    how_to_get = "unpack people.zip"

    def __init__(
        self,
        ann_file: str,
        data_root: str = "data/checked",
        image_dir: str | None = None,
        box_file: str | None = None,
    ): ...


class CheckedMetric(BaseMetric):
    moved = {"out_file": lambda value: f"say --out {value} when testing"}  # noqa: RUF012


PARTS = {
    BACKBONES: [CheckedBackbone, AnyBackbone],
    HEADS: [CheckedHead],
    LOSSES: [CheckedLoss],
    VIEWS: [CheckedView, OtherView],
    AUGMENTATIONS: [CheckedAugmentation],
    DATASETS: [CheckedDataset],
    METRICS: [CheckedMetric],
}


@pytest.fixture(autouse=True)
def parts(monkeypatch):
    for registry, classes in PARTS.items():
        for part in classes:
            monkeypatch.setitem(registry.module_dict, part.__name__, part)


@pytest.fixture
def write(tmp_path):
    def write_config(text: str, name: str = "config.py") -> Path:
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write_config


def problems_of(config: Config, files: bool = False) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        check_config(config, files=files)
    return caught.value.problems


# Loading


def test_names_with_an_underscore_imports_and_functions_stay_private(write):
    path = write("import math\nfrom math import ceil\n_half = ceil(2.5)\ndef f(): ...\nseed = _half + int(math.pi)\n")
    assert dict(load_config(path).items()) == {"seed": 6}


def test_a_config_inherits_and_deletes(write):
    write(GOOD, "base.py")
    path = write(
        '_base_ = "base.py"\nmodel = dict(head=dict(_delete_=True, type="Other"), flip_test=True)\n', "child.py"
    )
    model = load_config(path).model
    assert model == {
        "backbone": {"type": "CheckedBackbone", "width": 32},
        "head": {"type": "Other"},
        "view": {"type": "CheckedView", "size": (192, 256)},
        "flip_test": True,
    }


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("1e-3", 0.001),
        ("a/b.pth", "a/b.pth"),
        ("", ""),
        ("x=y", "x=y"),
        ("'3'", "3"),
        ("(192, 256)", (192, 256)),
        ("192,256", (192, 256)),
        ("[1, 2]", [1, 2]),
        ("{'a': {'b': 1}}", {"a": {"b": 1}}),
        ("true", True),
        ("FALSE", False),
        ("none", None),
        ("None", None),
    ],
)
def test_values_of_overrides_are_python_literals_or_strings(text, value):
    loaded = load_config(Config({"model": {"a": 0}}), [f"model.a={text}"]).model.a
    assert loaded == value
    assert isinstance(loaded, type(value))


def test_overrides_reach_into_dicts_and_lists_and_add_names(write):
    path = write(GOOD)
    overrides = ["param_scheduler.0.end=3", "model.flip_test=True", "seed=1", "param_scheduler.1={'type': 'A'}"]
    config = load_config(path, [*overrides, "param_scheduler.1.begin=2"])
    assert (config.param_scheduler[0].end, config.model.flip_test, config.seed) == (3, True, 1)
    assert config.param_scheduler[1] == {"type": "A", "begin": 2}


def test_a_part_that_a_config_lacks_begins_with_its_type(write):
    overrides = ["model.inference.type=MultiScale", "model.inference.scales=[1, 2]"]
    assert load_config(write(GOOD), overrides).model.inference == {"type": "MultiScale", "scales": [1, 2]}
    with pytest.raises(ConfigError, match="model has no 'inference'"):
        load_config(write(GOOD), overrides[::-1])


def test_every_override_that_does_not_fit_is_named(write):
    overrides = ["seed", "=3", "a..b=1", "modle.x=1", "param_scheduler.2.end=1", "param_scheduler.last.end=1"]
    with pytest.raises(ConfigError, match=r"config\.py: 8 problems") as caught:
        load_config(write(GOOD), [*overrides, "train_cfg.max_epochs.x=1", "model.backone.width=1"])
    *syntax, near, index, name, value, nested = caught.value.problems
    assert all("expected a.b=value" in problem for problem in syntax)
    assert "the config has no 'modle'; did you mean 'model'?" in near
    assert "param_scheduler is a list of 2, '2' is not an index" in index
    assert "'last' is not an index" in name
    assert "train_cfg.max_epochs is 3; set it as a whole" in value
    assert "model has no 'backone'; did you mean 'backbone'?" in nested


def test_a_given_config_is_copied():
    config = Config({"model": {"a": [1]}})
    load_config(config, ["model.a.0=2"])
    assert config.model.a == [1]


def test_data_root_reaches_every_dataset(write):
    config = load_config(write(GOOD), data_root="elsewhere")
    assert config.train_dataloader.dataset.data_root == "elsewhere"
    # This one does not state a data_root, but its class takes one.
    assert config.val_dataloader.dataset.data_root == "elsewhere"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed = 0\nmodel = dict(a=1", r"line 2: '\(' was never closed: model = dict"),
        ("seed = 0\n\nmodel = dict(a=1, a=2)", "line 3: keyword argument repeated: a"),
        ("seed = 0\nwork_dir = sed", "line 2: NameError: name 'sed' is not defined"),
        ("def f():\n    return 1 / 0\nseed = f()", "line 2: ZeroDivisionError"),
    ],
)
def test_an_error_in_a_config_or_its_base_names_file_and_line(write, text, message):
    with pytest.raises(ConfigError, match=rf"^\S*config\.py: 1 problem\n  \S*config\.py, {message}"):
        load_config(write(text))
    write(text, "base.py")
    with pytest.raises(ConfigError, match=rf"child\.py: 1 problem\n  \S*base\.py, {message}"):
        load_config(write("_base_ = ['./base.py']", "child.py"))


def test_a_missing_base_is_named_with_the_line_and_near_files(write):
    write("seed = 0", "schedule.py")
    path = write("\n_base_ = ['schedul.py']")
    with pytest.raises(ConfigError, match=r"line 2: no file .*schedul\.py, .*did you mean 'schedule\.py'\?"):
        load_config(path)


def test_a_missing_config_names_near_files(write, tmp_path):
    write("seed = 0", "hrnet_w32.py")
    with pytest.raises(ConfigError, match=r"no such file; did you mean '.*hrnet_w32\.py'"):
        load_config(tmp_path / "hrnet_w23.py")


def test_shipped_configs_go_by_name_from_any_folder(tmp_path, monkeypatch):
    # Given a checkout with two configs of one name and one of its own, and someone who is elsewhere.
    for name in ("pose/w32.py", "face/w32.py", "pose/w48.py"):
        (tmp_path / "configs" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "configs" / name).write_text(f"work_dir = {name!r}")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.setattr(hrtoolkit.files, "shipped_configs", lambda: tmp_path / "configs")
    for name in ("w48", "pose/w48.py", "configs/pose/w48.py"):
        assert load_config(name).work_dir == "pose/w48.py"
    with pytest.raises(ConfigError, match="face/w32, pose/w32"):
        load_config("w32")
    with pytest.raises(ConfigError, match="did you mean 'pose/w48'"):
        load_config("w84.py")


def test_a_shipped_config_is_a_base_in_any_folder(write, tmp_path):
    path = write('_base_ = "pose/hrnet_w32_coco"\nseed = 7\n')
    theirs, ours = load_config("pose/hrnet_w32_coco"), load_config(path)
    assert ours.seed == 7 and ours.model == theirs.model and ours.train_dataloader == theirs.train_dataloader
    assert load_config(write('_base_ = "config.py"', "child.py")).model == theirs.model
    with pytest.raises(ConfigError, match=r"line 1: no file .*; did you mean 'pose/hrnet_w32_coco'"):
        load_config(write('_base_ = "pose/hrnet_w32_cocoo"', "wrong.py"))
    # What lies beside the config comes first.
    (tmp_path / "pose").mkdir()
    (tmp_path / "pose/hrnet_w32_coco.py").write_text("seed = 1\n")
    assert load_config(write('_base_ = ["pose/hrnet_w32_coco.py"]', "own.py")).seed == 1


def test_a_dict_replaces_a_text_or_none_of_the_base(write):
    write("load_from = None\nmodel = dict(head=dict(scheme='coco', kept=1))", "base.py")
    text = "load_from = dict(_delete_=True, checkpoint='a.pth')\nmodel = dict(head=dict(scheme=dict(names=['a'])))"
    config = load_config(write(f"_base_ = 'base.py'\n{text}"))
    assert config.load_from == {"checkpoint": "a.pth"}
    assert config.model == {"head": {"scheme": {"names": ["a"]}, "kept": 1}}
    with pytest.raises(ConfigError, match=r"seed=.* is a dict in the child config"):
        write("seed = [1]", "base.py")
        load_config(write("_base_ = 'base.py'\nseed = dict(a=1)"))


def test_a_failing_import_is_a_problem_of_the_config(write):
    path = write('custom_imports = dict(imports=["tasks.juggling", "no_such_package"])')
    with pytest.raises(ConfigError, match=r"custom_imports: cannot import 'tasks.juggling': No module") as caught:
        load_config(path)
    assert len(caught.value.problems) == 2


def test_modules_beside_a_config_are_imported_after_those_that_are_installed(write, tmp_path, monkeypatch):
    monkeypatch.setattr("sys.path", list(sys.path))
    (tmp_path / "my_leaves_beside.py").write_text("FOUND = True\n")
    (tmp_path / "timm.py").write_text("raise RuntimeError\n")
    load_config(write('custom_imports = dict(imports=["my_leaves_beside", "timm"])'))
    assert sys.modules.pop("my_leaves_beside").FOUND


# Checking


def test_a_good_config_passes_and_an_error_can_be_told_from_a_fault(write):
    check_config(load_config(write(GOOD)), files=False)
    assert issubclass(ConfigError, UserError)
    assert issubclass(ConfigError, ValueError)


def test_all_mistakes_come_in_one_error_each_with_its_place(write):
    path = write(GOOD)
    config = load_config(
        path,
        [
            "model.backbone.widht=3",
            "model.backbone.width='32'",
            "model.head.type=CheckedHaed",
            "model.flip_tset=True",
            "train_dataloader.batchsize=3",
            "train_dataloader.training=True",
            "train_dataloader.augmentation.type=CheckdAugmentation",
            "val_dataloader.dataset.anfile=x",
            "val_evaluator.0.typ=x",
            "train_cfg.max_epoch=3",
            "optim_wrapper.optimizer.lrr=1",
            "optim_wrapper.acumulative_counts=1",
            "param_scheduler.1.milestone=[1]",
            "custom_hooks.0.type=EmaHook",
            "validation=None",
            "seed=zero",
        ],
    )
    with pytest.raises(ConfigError) as caught:
        check_config(config, files=False)
    assert str(caught.value).startswith(f"{path}: 16 problems\n  ")
    expected = [
        "model.backbone.widht: CheckedBackbone has no argument 'widht'; did you mean 'width'?",
        "model.backbone.width: expected int, got '32'",
        "model.head.type: there is no head 'CheckedHaed'; did you mean 'CheckedHead'",
        "model.flip_tset: model has no argument 'flip_tset'; did you mean 'flip_test'?",
        "train_dataloader.batchsize: train_dataloader has no argument 'batchsize'; did you mean 'batch_size'?",
        "train_dataloader.training: train_dataloader has no argument 'training'; it takes batch_size",
        "train_dataloader.augmentation.type: there is no augmentation 'CheckdAugmentation'; did you mean 'CheckedAug",
        "val_dataloader.dataset.anfile: CheckedDataset has no argument 'anfile'; did you mean 'ann_file'?",
        "val_evaluator.0.typ: CheckedMetric has no argument 'typ'; it takes none",
        "train_cfg.max_epoch: train_cfg has no argument 'max_epoch'; did you mean 'max_epochs'?",
        "optim_wrapper.optimizer.lrr: Adam has no argument 'lrr'; did you mean 'lr'",
        "optim_wrapper.acumulative_counts: optim_wrapper has no argument 'acumulative_counts'; did you mean 'acc",
        "param_scheduler.1.milestone: MultiStepLR has no argument 'milestone'; did you mean 'milestones'?",
        "custom_hooks.0.type: there is no hook 'EmaHook'; did you mean 'EMAHook'",
        "validation: a config has no 'validation'",
        "seed: expected a whole number from 0 to 4294967295, got 'zero'",
    ]
    problems = caught.value.problems
    assert not [text for text in expected if not any(problem.startswith(text) for problem in problems)]


def test_missing_arguments_are_named_but_not_those_that_the_builder_passes():
    config = Config({"model": {"backbone": {"type": "CheckedBackbone"}, "head": {"type": "CheckedHead"}}})
    assert problems_of(config) == ["model.backbone: CheckedBackbone needs 'width'"]
    config = Config({"model": {"backbone": {"type": "CheckedBackbone", "width": 1}}})
    assert problems_of(config) == ["model: needs 'head'"]


def test_parts_inside_parts_are_checked_and_plain_data_is_not(write):
    config = load_config(write(GOOD), ["model.head.loss={'type': 'CheckedLoss', 'x': 'a', 'y': 1}"])
    assert {problem.split(":")[0] for problem in problems_of(config)} == {"model.head.loss.y", "model.head.loss.x"}
    check_config(load_config(write(GOOD), ["model.head.terms={'y': [1, {'type': 'x'}]}"]), files=False)


def test_only_arguments_named_after_a_role_hold_parts(write):
    config = load_config(write(GOOD), ["model.head.terms={'type': 'CheckedLoss'}"])
    assert problems_of(config) == [
        "model.head.terms: 'terms' of CheckedHead is no part of a network: give it no `type`"
    ]


def test_a_part_of_one_role_does_not_stand_in_for_another(write):
    overrides = ["model.head.type=CheckedLoss", "model.backbone.type=HighestResolution"]
    assert problems_of(load_config(write(GOOD), overrides)) == [
        "model.backbone.type: there is no backbone 'HighestResolution'; is its package in custom_imports?",
        "model.head.type: there is no head 'CheckedLoss'; did you mean 'CheckedHead'?",
    ]


def test_what_the_head_decides_is_not_said_again(write):
    config = load_config(write(GOOD), ["model.view.unbiased=True"])
    assert problems_of(config) == ["model.view.unbiased: the model's head decides 'unbiased'; leave it out here"]


def test_data_is_looked_at_by_a_view_in_whose_terms_the_augmentation_speaks(write):
    config = load_config(write(GOOD), ["model.view={'type': 'OtherView'}"])
    assert problems_of(config) == [
        "train_dataloader.augmentation: CheckedAugmentation speaks to CheckedView, but model.view is OtherView"
    ]
    config = load_config(write(GOOD), ["model.view=None"])
    (problem,) = problems_of(config)
    assert problem.startswith("model.view: missing; it says how the model looks at images")
    config = load_config(write(GOOD), ["val_dataloader.augmentation={'type': 'CheckedAugmentation'}"])
    assert problems_of(config) == ["val_dataloader.augmentation: only training data is augmented"]


def test_boxes_are_not_for_a_view_of_whole_images(write):
    config = load_config(write(GOOD), ["val_dataloader.dataset.box_file=people.json"])
    assert problems_of(config) == [
        "val_dataloader.dataset.box_file: model.view CheckedView looks at whole images: leave boxes out (and --boxes)"
    ]


def test_arguments_that_moved_are_answered_with_their_new_place(write):
    overrides = ["model.head.layout=coco", "model.mean=[1,2,3]", "val_evaluator.0.out_file=x.json"]
    config = load_config(write(GOOD), [*overrides, "train_dataloader.dataset.transform={'type': 'TopDownAffine'}"])
    config.custom_imports = {"imports": ["hrtoolkit.tasks.pose"]}
    moved = dict(problem.split(": ", 1) for problem in problems_of(load_config(config)))
    assert moved["model.head.layout"] == "CheckedHead has no 'layout' any more; write model.head.scheme='coco'"
    assert moved["model.mean"] == "model has no 'mean' any more; write model.view.mean=[1, 2, 3]"
    assert (
        moved["val_evaluator.0.out_file"] == "CheckedMetric has no 'out_file' any more; say --out x.json when testing"
    )
    assert "write model.view=dict(type='TopDown'" in moved["train_dataloader.dataset.transform"]


def test_branches_have_names_and_parts(write):
    config = load_config(write(GOOD), ["model.branches={'pose': {'haed': {}}}"])
    assert problems_of(config) == [
        "model.branches: goes without head, view, which belong into the branches",
        "model.branches.pose.haed: a branch has no 'haed'; did you mean 'head'?",
        "model.branches.pose: needs 'head'",
    ]


def test_a_class_with_open_arguments_takes_any_and_a_type_may_be_an_object(write):
    config = load_config(write(GOOD))
    config.model.backbone = {"type": AnyBackbone, "name": "resnet18", "features": 3}
    check_config(config, files=False)


def test_an_unknown_type_without_near_names_points_to_custom_imports(write):
    config = load_config(write(GOOD), ["model.head.type=Qqqq"])
    assert problems_of(config) == ["model.head.type: there is no head 'Qqqq'; is its package in custom_imports?"]


def test_things_that_are_no_parts_are_named(write):
    config = load_config(
        write(GOOD),
        [
            "model.head=3",
            "model.neck=None",
            "train_dataloader.dataset=None",
            "train_cfg=[1]",
            "custom_hooks=[{'momentum': 1}]",
        ],
    )
    assert problems_of(config) == [
        "model.head: expected dict(type=...), got 3",
        "train_dataloader.dataset: expected dict(type=...), got None",
        "train_cfg: expected a dict, got [1]",
        "custom_hooks.0: expected dict(type=...), got {'momentum': 1}",
    ]


def test_sections_that_need_each_other_come_together(write):
    config = load_config(write(GOOD), ["train_cfg=None", "val_evaluator=None", "model=None"])
    assert problems_of(config) == [
        "model: missing",
        "train_cfg: missing; train_dataloader, train_cfg, optim_wrapper come together or not at all",
        "val_evaluator: missing; val_dataloader needs it",
    ]
    training = ["train_dataloader=None", "train_cfg=None", "optim_wrapper=None"]
    check_config(load_config(write(GOOD), training), files=False)


def test_a_missing_data_root_is_one_problem_and_says_how_to_get_the_data(write):
    places = ["train_dataloader.dataset", "val_dataloader.dataset"]
    assert problems_of(load_config(write(GOOD), data_root="nowhere"), files=True) == [
        ", ".join(f"{place}.data_root" for place in places) + ": no folder nowhere; unpack people.zip"
    ]


def test_missing_files_are_named_with_near_names(write, tmp_path):
    path = write(GOOD)
    (tmp_path / "poeple.json").touch()
    images = ["train_dataloader.dataset.image_dir=train2017", "load_from=x.pth"]
    problems = problems_of(load_config(path, images, data_root=tmp_path), files=True)
    assert len(problems) == 3
    assert re.search(r"ann_file, .*ann_file: no file .*people\.json; did you mean 'poeple\.json'\?", problems[0])
    missing = f"train_dataloader.dataset.image_dir: no folder {tmp_path / 'train2017'}"
    assert problems[1].endswith(f"{missing}; unpack people.zip")
    assert problems[2] == "load_from: no file x.pth"


def test_files_that_are_there_pass_in_both_layouts(write, tmp_path):
    path = write(GOOD)
    (tmp_path / "people.json").touch()
    (tmp_path / "images" / "train2017").mkdir(parents=True)
    overrides = ["train_dataloader.dataset.image_dir=train2017", "load_from=timm/hrnet_w32.ms_in1k"]
    check_config(load_config(path, overrides, data_root=tmp_path))
    check_config(load_config(path, ["load_from=https://example.org/x.pth"], data_root=tmp_path))


# Writing


def test_the_text_of_a_config_reads_back_as_the_same_config(write, tmp_path):
    config = load_config(write(GOOD), ["model.flip_test=True", "work_dir=it's"])
    again = Config.fromstring(config_text(config), ".py")
    assert again.to_dict() == config.to_dict()
    odd = Config({"a": {"type": Config, "path": tmp_path, "t": (1,)}, "b": {"x y": float("inf")}})
    expected = {"a": {"type": "mmengine.config.config.Config", "path": str(tmp_path), "t": (1,)}, "b": odd.b}
    assert Config.fromstring(config_text(odd), ".py").to_dict() == expected


def test_checkpoints_keep_configs_as_json_and_older_ones_are_read_without_running_them(write):
    config = load_config(write(GOOD), ["model.flip_test=True"])
    again = read_stored_config(config_json(config))
    assert again.model.view.size == [192, 256]
    assert again.param_scheduler == config.param_scheduler
    assert read_stored_config(config_text(config)).to_dict() == config.to_dict()
    assert read_stored_config("x = {'y': float('inf')}\n").x.y == float("inf")
    for text in ("import os", "a = __import__('os').getcwd()", "a, b = 1", "("):
        with pytest.raises(ConfigError, match="the config in this checkpoint: 1 problem"):
            read_stored_config(text)


def test_the_tool_reports_every_config_and_its_exit_status(write, monkeypatch, capsys):
    good = write(
        "model = dict(backbone=dict(type='CheckedBackbone', width=1), head=dict(type='CheckedHead'))", "good.py"
    )
    bad = write("modle = 3", "bad.py")
    tool = REPOSITORY / "tools" / "check_config.py"
    monkeypatch.setattr(sys, "argv", [str(tool), str(bad), str(good), "--set", "seed=1"])
    with pytest.raises(SystemExit) as left:
        runpy.run_path(str(tool), run_name="__main__")
    assert left.value.code == 1
    assert capsys.readouterr().out.splitlines() == [
        f"{bad}: 2 problems",
        "  model: missing",
        "  modle: a config has no 'modle'; did you mean 'model'?",
        f"ok {good}",
    ]


# Paths, ranges, and what is no config


def test_home_folders_and_environment_variables_are_written_out(write, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DATA", "/data")
    text = """
work_dir = "~/runs"
load_from = dict(checkpoint="$DATA/best.pth")
train_dataloader = dict(dataset=dict(type="CheckedDataset", data_root="${DATA}/coco", ann_file="$DATA/a.json"))
"""
    config = load_config(write(text))
    dataset = config.train_dataloader.dataset
    assert config.work_dir == f"{tmp_path}/runs" and config.load_from.checkpoint == "/data/best.pth"
    assert (dataset.data_root, dataset.ann_file) == ("/data/coco", "/data/a.json")
    assert load_config(write(text), data_root="~/coco").train_dataloader.dataset.data_root == f"{tmp_path}/coco"
    with pytest.raises(ConfigError, match=r"work_dir: \$NOWHERE/x: there is no environment variable \$NOWHERE"):
        load_config(write(text), ["work_dir=$NOWHERE/x"])
    assert expand_path("https://a.b/~c//d") == "https://a.b/~c//d"
    with pytest.raises(UserError, match="there is no home folder ~nobody_of_this_name"):
        expand_path("~nobody_of_this_name/x")


@pytest.mark.parametrize("name", ["config.json", "config.yaml", "config.yml", "config.txt"])
def test_only_python_files_are_configs_and_nothing_else_is_read(write, name):
    path = write("model: !!python/object/apply:os.abort []", name)
    # Yaml may be a config of the official code, which is read as data.
    said = r"line 1: no yaml that could be" if ".y" in name else r"a config is a Python file that ends with \.py"
    with pytest.raises(ConfigError, match=said):
        load_config(path)
    with pytest.raises(ConfigError, match=r"line 1: .*: a config is a Python file"):
        load_config(write(f"_base_ = './{name}'", "child.py"))


@pytest.mark.parametrize(
    ("value", "hint", "fitting"),
    [
        (1, Count, True),
        (0, Count, False),
        (True, Count, False),
        ("3", Count, False),
        (0, CountFrom0, True),
        (-1, CountFrom0, False),
        (1, Share, True),
        (1.1, Share, False),
        (float("nan"), NotNegative, False),
        (float("nan"), float, False),
        (0.0, Positive, False),
        ((1, 2), tuple[Count, Count], True),
        ([1, 2], tuple[Count, Count], True),
        ((1, 0), tuple[Count, Count], False),
        ((1, 2, 3), tuple[Count, Count], False),
        (1, tuple[Count, Count], False),
        (None, Count | None, True),
        (0, Count | None, False),
        ((0.5, 1), Sequence[Positive], True),
        ("ab", Sequence[str], False),
    ],
)
def test_numbers_are_held_against_their_ranges(value, hint, fitting):
    assert fits(value, hint) is fitting


def test_values_out_of_range_are_named_with_what_they_may_be():
    config = load_config(
        "segmentation/hrnetv2_toy",
        [
            *("train_cfg.max_epochs=0", "train_cfg.val_interval=0", "train_cfg.save_minutes=-1", "seed=-1"),
            *("base_batch_size=0", "train_dataloader.batch_size=0", "val_dataloader.num_workers=-1"),
            *("train_dataloader.augmentation.crop_size=(64,0)", "model.view.short_side=-3"),
            *("model.backbone.width=0", "model.backbone.modules=(1,'1',1)", "train_dataloader.augmentation.flip=2"),
        ],
    )
    with pytest.raises(ConfigError) as caught:
        check_config(config, files=False)
    found = {
        path: text
        for paths, _, text in (problem.partition(": expected ") for problem in caught.value.problems)
        for path in paths.split(", ")
    }
    count = "a whole number from 1 on, got 0"
    assert found == {
        "base_batch_size": count,
        "model.backbone.modules": "3 numbers, each a whole number from 1 on, got (1, '1', 1)",
        "model.backbone.width": count,
        "model.view.short_side": "a whole number from 1 on or None, got -3",
        "seed": "a whole number from 0 to 4294967295, got -1",
        "train_cfg.max_epochs": count,
        "train_cfg.val_interval": count,
        "train_cfg.save_minutes": "a number from 0 on, got -1",
        "train_dataloader.batch_size": count,
        "train_dataloader.augmentation.crop_size": "2 numbers, each a whole number from 1 on, got (64, 0)",
        "train_dataloader.augmentation.flip": "a number from 0 to 1, got 2",
        "val_dataloader.num_workers": "a whole number from 0 on, got -1",
    }
