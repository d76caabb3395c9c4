"""From a foreign config to a model, a command line, and a few lines on a shipped config."""

import logging

import pytest
import torch

import hrtoolkit
from hrtoolkit.build import build_model
from hrtoolkit.commands import main
from hrtoolkit.config import ConfigError, load_config
from hrtoolkit.engine.check_config import check_config
from hrtoolkit.foreign import convert_foreign, is_foreign
from hrtoolkit.foreign.writing import write_config

from ..conftest import REPOSITORY
from .conftest import REFERENCE, edit


def plain(config):
    """The sections of a config, without those that are None."""

    def lists(value):
        if isinstance(value, dict):
            return {key: lists(item) for key, item in value.items()}
        return [lists(one) for one in value] if isinstance(value, list | tuple) else value

    return {name: lists(value) for name, value in config.to_dict().items() if value is not None}


def assert_same_when_written(path, tmp_path):
    """The file that is written gives the converted config, in fewer lines than a whole one has."""
    converted = convert_foreign(path)
    (tmp_path / "written.py").write_text(write_config(converted))
    assert plain(load_config(tmp_path / "written.py")) == plain(load_config(converted.config))
    return (tmp_path / "written.py").read_text()


def test_official_yaml_is_a_config_of_ours(official_pose, tmp_path, caplog):
    caplog.set_level(logging.INFO, "hrtoolkit")
    config = load_config(official_pose)
    check_config(config, files=False)
    assert "taken for a config of the official pose code; left out: LOSS" in caplog.text
    shipped = load_config("pose/hrnet_w32_coco")
    assert config.model.pop("flip_test")
    assert plain(config) == plain(shipped)
    text = assert_same_when_written(official_pose, tmp_path)
    assert '_base_ = "pose/hrnet_w32_coco"\n\nmodel = dict(flip_test=True)\n\n# Left out:' in text


def test_mmpose_config_is_a_config_of_ours(mmpose, tmp_path):
    config = load_config(mmpose, data_root=tmp_path)
    check_config(config, files=False)
    model = config.model
    assert model.flip_test and model.head.codec == {"type": "UDPHeatmap", "sigma": 2.0}
    assert model.head.scheme == "coco" and model.view == {"type": "TopDown", "input_size": (192, 256)}
    assert config.val_evaluator == {"type": "CocoKeypointMetric", "write_bbox": True}
    text = assert_same_when_written(mmpose, tmp_path)
    assert '_base_ = "pose/hrnet_w32_coco_udp"' in text
    assert 'box_file="person_detection_results/people.json"' in text


def test_boxes_of_a_detector_are_taken_where_they_are(mmpose, tmp_path, caplog):
    caplog.set_level(logging.INFO, "hrtoolkit")
    assert "box_file" not in load_config(mmpose, data_root=tmp_path).val_dataloader.dataset
    assert "tests take annotated boxes" in caplog.text
    (tmp_path / "person_detection_results").mkdir()
    (tmp_path / "person_detection_results" / "people.json").write_text("[]")
    dataset = load_config(mmpose, data_root=tmp_path).val_dataloader.dataset
    assert dataset.box_file == "person_detection_results/people.json"


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("NAME: pose_hrnet", "NAME: pose_resnet", "MODEL.NAME"),
        ("[48, 64]", "[96, 128]", "MODEL.HEATMAP_SIZE"),
        ("COLOR_RGB: true", "COLOR_RGB: false", "DATASET.COLOR_RGB"),
        ("POST_PROCESS: true", "POST_PROCESS: false", "TEST.POST_PROCESS"),
        ("TARGET_TYPE: gaussian", "TARGET_TYPE: offset", "MODEL.TARGET_TYPE"),
        ("BLOCK: BASIC, NUM_BLOCKS: [4, 4],", "BLOCK: BOTTLENECK, NUM_BLOCKS: [4, 4],", "MODEL.EXTRA.STAGE2.BLOCK"),
        ("[32, 64, 128]", "[32, 64, 96]", "MODEL.EXTRA.STAGE3.NUM_CHANNELS"),
        ("NUM_BLOCKS: [4, 4]", "NUM_BLOCKS: 4", "MODEL.EXTRA.STAGE2.NUM_BLOCKS"),
        ("FINAL_CONV_KERNEL: 1", "FINAL_CONV_KERNEL: 3", "MODEL.EXTRA.FINAL_CONV_KERNEL"),
        ("SIGMA: 2", "SIGMA: two", "MODEL.SIGMA"),
        ("IN_VIS_THRE", "BLUR_KERNEL: 11, IN_VIS_THRE", "TEST.BLUR_KERNEL"),
        ("NUM_JOINTS: 17", "NUM_JOINTS: 1000000000", "MODEL.NUM_JOINTS"),
        ("IN_VIS_THRE", "IMAGE_THRE: 0.5, IN_VIS_THRE", "TEST.IMAGE_THRE"),
    ],
)
def test_what_changes_results_and_is_not_had_is_refused_by_its_key(official_pose, old, new, key):
    with pytest.raises(ConfigError) as error:
        load_config(edit(official_pose, old, new))
    assert any(problem.startswith(f"{key}: ") for problem in error.value.problems)


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("type='HeatmapHead'", "type='RTMCCHead'", "model.head.type"),
        ("type='UDPHeatmap'", "type='SimCCLabel'", "model.head.decoder.type"),
        ("shift_heatmap=False", "shift_heatmap=True", "model.test_cfg.shift_heatmap"),
        ("deconv_out_channels=None", "deconv_out_channels=(256, )", "model.head.deconv_out_channels"),
        ("use_udp=True", "use_udp=False", "test_dataloader.dataset.pipeline.2.use_udp"),
        ("bgr_to_rgb=True", "bgr_to_rgb=False", "model.data_preprocessor.bgr_to_rgb"),
        ("type='HRNet'", "type='ResNet'", "model.backbone.type"),
        ("in_channels=3, extra", "norm_cfg=dict(type='GN'), extra", "model.backbone.norm_cfg.type"),
        (
            "dict(type='LoadImage'),",
            "dict(type='LoadImage'), dict(type='Sharpen'),",
            "test_dataloader.dataset.pipeline.1.type",
        ),
        ("type='CocoMetric'", "type='CocoMetric', nms_mode='other'", "val_evaluator.nms_mode"),
        ("type='CocoMetric'", "type='CocoMetric', iou_type='keypoints_crowd'", "val_evaluator.iou_type"),
        ("type='TopdownPoseEstimator'", "type='BottomupPoseEstimator'", "model.type"),
        ("flip_test=True", "flip_test=True, new_switch=1", "model.test_cfg.new_switch"),
        ("input_size=codec['input_size']", "input_size=(96, 128)", "test_dataloader.dataset.pipeline.2.input_size"),
        ("test_mode=True", "test_mode=True, indices=10", "val_dataloader.dataset.indices"),
        ("test_evaluator = val_evaluator", "test_evaluator = dict(type='CocoMetric', nms_thr=.5)", "test_evaluator"),
        ("type='PoseDataPreprocessor'", "type='PoseDataPreprocessor', sharpen=1", "model.data_preprocessor.sharpen"),
        (
            "dict(type='LoadImage')",
            "dict(type='LoadImage', color_type='grayscale')",
            "test_dataloader.dataset.pipeline.0.color_type",
        ),
        ("out_channels=17", "out_channels=10**9", "model.head.out_channels"),
    ],
)
def test_mmpose_keys_are_refused_by_their_names(mmpose, old, new, key):
    with pytest.raises(ConfigError) as error:
        load_config(edit(mmpose, old, new))
    assert any(problem.startswith(f"{key}: ") for problem in error.value.problems)


def test_all_refusals_come_at_once(official_pose):
    edit(official_pose, "FINAL_CONV_KERNEL: 1", "FINAL_CONV_KERNEL: 3\n    UNKNOWN: {DEEP: 1}")
    with pytest.raises(ConfigError) as error:
        load_config(edit(official_pose, "POST_PROCESS: true", "POST_PROCESS: false"))
    keys = {problem.split(":")[0] for problem in error.value.problems}
    assert {"MODEL.EXTRA.FINAL_CONV_KERNEL", "MODEL.EXTRA.UNKNOWN.DEEP", "TEST.POST_PROCESS"} <= keys


def test_unknown_keypoints_can_be_predicted(mmpose):
    edit(mmpose, "type='CocoDataset'", "type='ZebraDataset'")
    config = load_config(edit(mmpose, "out_channels=17", "out_channels=9"))
    check_config(config, files=False)
    assert config.model.head.scheme == [f"keypoint {i}" for i in range(9)]
    assert "val_dataloader" not in config and "flip_test" not in config.model
    assert len(build_model(config).head.scheme.names) == 9


def test_keypoints_are_named_by_the_file_that_describes_the_data(mmpose, tmp_path):
    (tmp_path / "_base_" / "datasets").mkdir(parents=True)
    (tmp_path / "_base_" / "datasets" / "zebra.py").write_text(
        "dataset_info = dict(dataset_name='zebra', keypoint_info={"
        "0: dict(name='L_ear', id=0, type='upper', swap='R_ear'), 1: dict(name='R_ear', id=1, swap='L_ear'), "
        "2: dict(name='tail', id=2, swap='')}, skeleton_info={0: dict(link=('L_ear', 'tail'), "
        "id=0)}, sigmas=[.1, .1, .2])"
    )
    edit(mmpose, "type='CocoDataset'", "type='ZebraDataset'")
    config = load_config(edit(mmpose, "out_channels=17", "out_channels=3"))
    scheme = build_model(config).head.scheme
    assert scheme.names == ("L_ear", "R_ear", "tail") and scheme.flip_order() == [1, 0, 2]
    assert config.model.flip_test


def test_the_command_writes_and_refuses(official_pose, tmp_path, capsys):
    with pytest.raises(SystemExit) as end:
        main(["convert-config", str(official_pose), "--out", str(tmp_path / "mine.py")])
    assert end.value.code == 0 and "wrote" in capsys.readouterr().out
    assert load_config(tmp_path / "mine.py").model.flip_test
    with pytest.raises(SystemExit) as end:
        main(["convert-config", str(edit(official_pose, "pose_hrnet", "pose_resnet"))])
    assert end.value.code == 1 and "MODEL.NAME: 'pose_resnet'" in capsys.readouterr().err


def test_a_checkpoint_brings_its_config(mmpose, tmp_path, capsys):
    model = build_model(mmpose)
    text = mmpose.read_text().split("\n", 1)[1]  # in checkpoints bases are resolved
    torch.save({"meta": {"cfg": text}, "state_dict": model.state_dict()}, tmp_path / "theirs.pth")
    predictor = hrtoolkit.load(tmp_path / "theirs.pth", device="cpu")
    assert predictor.model.flip_test and type(predictor.model.head.codec).__name__ == "UDPHeatmap"
    with pytest.raises(SystemExit) as end:
        main(["convert-config", str(tmp_path / "theirs.pth")])
    assert end.value.code == 0 and '_base_ = "pose/hrnet_w32_coco_udp"' in capsys.readouterr().out
    torch.save({"meta": {"cfg": "_base_ = './x.py'\n" + text}, "state_dict": {}}, tmp_path / "other.pth")
    with pytest.raises(ConfigError, match=r"names another file, ./x.py"):
        hrtoolkit.load(tmp_path / "other.pth")


def test_an_optimiser_is_no_way_to_run_anything(mmpose):
    edit(mmpose, "type='Adam', lr=5e-4", "type='os.system', command='true', lr=5e-4")
    path = edit(
        mmpose,
        "val_dataloader = dict",
        "train_dataloader = dict(dataset=dict(type='CocoDataset'))\nval_dataloader = dict",
    )
    converted = convert_foreign(path)
    assert "optim_wrapper" not in converted.config and "os.system" not in str(converted.config)
    assert "not one of SGD" in converted.left_out["optim_wrapper"]


def test_names_in_a_file_cannot_leave_a_comment(official_pose, tmp_path):
    edit(official_pose, "CUDNN: {BENCHMARK: true}", 'DEBUG: {"A\\nimport os": 1, B: 2}')
    path = official_pose.rename(tmp_path / 'w"""32.yaml')
    text = write_config(convert_foreign(path))
    assert not any(line.startswith("import") for line in text.splitlines())
    compile(text, "written", "exec")


@pytest.mark.parametrize(
    "name", ["pose/hrnet_w32_coco", "segmentation/hrnetv2_w48_cityscapes", "detection/faster_rcnn_toy"]
)
def test_our_configs_are_not_foreign(name):
    assert not is_foreign(REPOSITORY / "configs" / f"{name}.py")


def test_a_mistake_in_our_config_does_not_make_it_foreign(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("_base_ = 'pose/hrnet_w32_coco'\noptimizer = dict(type='Adam')\n")
    assert not is_foreign(path)
    with pytest.raises(ConfigError, match="a config has no 'optimizer'"):
        check_config(load_config(path), files=False)


def test_a_foreign_file_is_told_before_it_is_run(tmp_path):
    marker = tmp_path / "ran"
    path = tmp_path / "config.py"
    path.write_text(
        f"import os\nos.system('touch {marker}')\nmodel = dict(type='TopDown', backbone=dict(type='HRNet'))\n"
    )
    with pytest.raises(ConfigError, match=r"line 2.*nothing is run here"):
        load_config(path)
    assert not marker.exists()
    (tmp_path / "child.py").write_text(f"_base_ = './config.py'\n__import__('os').system('touch {marker}')\n")
    with pytest.raises(ConfigError, match="nothing is run here"):
        load_config(tmp_path / "child.py")
    assert not marker.exists()


@pytest.mark.parametrize(
    "text", ["a: 1\n", "nc: 80\nnames: [a]\n", "MODEL: 3\n", "MODEL: {NAME: [1]}\n", "MODEL: {}\n"]
)
def test_yaml_that_nobody_knows_is_one_error(tmp_path, text):
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(ConfigError, match="MODEL"):
        load_config(tmp_path / "a.yaml")


@pytest.mark.parametrize("path", sorted(REFERENCE.rglob("*.yaml")), ids=lambda path: path.name)
def test_official_files_are_built_or_refused_by_key(path, tmp_path):
    if "resnet" in path.parts:
        with pytest.raises(ConfigError, match=r"MODEL\.NAME: 'pose_resnet'"):
            load_config(path)
        return
    check_config(load_config(path), files=False)
    assert_same_when_written(path, tmp_path)
