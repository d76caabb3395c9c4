"""Small configs as other toolkits write them."""

import os
from pathlib import Path

import pytest

REFERENCE = Path(os.environ.get("HRTOOLKIT_TEST_DATA", "nowhere")).parent / "reference" / "foreign_configs"

STAGES = """\
    STAGE2: {{NUM_MODULES: 1, NUM_BRANCHES: 2, BLOCK: BASIC, NUM_BLOCKS: [4, 4], NUM_CHANNELS: [{0}, {1}]}}
    STAGE3: {{NUM_MODULES: 4, NUM_BRANCHES: 3, BLOCK: BASIC, NUM_BLOCKS: [4, 4, 4], NUM_CHANNELS: [{0}, {1}, {2}]}}
    STAGE4: {{NUM_MODULES: 3, NUM_BRANCHES: 4, BLOCK: BASIC, NUM_BLOCKS: [4, 4, 4, 4],
      FUSE_METHOD: SUM, NUM_CHANNELS: [{0}, {1}, {2}, {3}]}}
"""

OFFICIAL_POSE = """\
GPUS: (0,1,2,3)
CUDNN: {BENCHMARK: true}
DATASET: {COLOR_RGB: true, DATASET: coco, FLIP: true, NUM_JOINTS_HALF_BODY: 8, PROB_HALF_BODY: 0.3, ROOT: data/coco/,
  ROT_FACTOR: 45, SCALE_FACTOR: 0.35, TEST_SET: val2017, TRAIN_SET: train2017}
MODEL:
  NAME: pose_hrnet
  NUM_JOINTS: 17
  TARGET_TYPE: gaussian
  IMAGE_SIZE: [192, 256]
  HEATMAP_SIZE: [48, 64]
  SIGMA: 2
  EXTRA:
    FINAL_CONV_KERNEL: 1
STAGESLOSS: {USE_TARGET_WEIGHT: true}
TRAIN: {BATCH_SIZE_PER_GPU: 32, END_EPOCH: 210, OPTIMIZER: adam, LR: 1e-3, LR_FACTOR: 0.1, LR_STEP: [170, 200],
  WD: 0.0001}
TEST: {IN_VIS_THRE: 0.2, OKS_THRE: 0.9, USE_GT_BBOX: true, FLIP_TEST: true, POST_PROCESS: true, SHIFT_HEATMAP: true}
""".replace("STAGES", STAGES.format(32, 64, 128, 256))

BACKBONE = """\
dict(type='HRNet', in_channels=3, extra=dict(
    stage1=dict(num_modules=1, num_branches=1, block='BOTTLENECK', num_blocks=(4, ), num_channels=(64, )),
    stage2=dict(num_modules=1, num_branches=2, block='BASIC', num_blocks=(4, 4), num_channels=(32, 64)),
    stage3=dict(num_modules=4, num_branches=3, block='BASIC', num_blocks=(4, ) * 3, num_channels=(32, 64, 128)),
    stage4=dict(num_modules=3, num_branches=4, block='BASIC', num_blocks=[4] * 4, num_channels=(32, 64, 128, 256))))"""

MMPOSE = f"""\
_base_ = ['../_base_/default_runtime.py']
train_cfg = dict(max_epochs=210, val_interval=10)
optim_wrapper = dict(optimizer=dict(type='Adam', lr=5e-4))
param_scheduler = [
    dict(type='LinearLR', begin=0, end=500, start_factor=0.001, by_epoch=False),
    dict(type='MultiStepLR', begin=0, end=210, milestones=[170, 200], gamma=0.1, by_epoch=True)]
auto_scale_lr = dict(base_batch_size=512)
codec = dict(type='UDPHeatmap', input_size=(192, 256), heatmap_size=(48, 64), sigma=2)
model = dict(
    type='TopdownPoseEstimator',
    data_preprocessor=dict(
        type='PoseDataPreprocessor', mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True),
    backbone={BACKBONE},
    head=dict(type='HeatmapHead', in_channels=32, out_channels=17, deconv_out_channels=None,
              loss=dict(type='KeypointMSELoss', use_target_weight=True), decoder=codec),
    test_cfg=dict(flip_test=True, flip_mode='heatmap', shift_heatmap=False))
data_root = 'data/coco/'
val_pipeline = [dict(type='LoadImage'), dict(type='GetBBoxCenterScale'),
    dict(type='TopdownAffine', input_size=codec['input_size'], use_udp=True), dict(type='PackPoseInputs')]
val_dataloader = dict(batch_size=32, dataset=dict(
    type='CocoDataset', data_root=data_root, data_mode='topdown', test_mode=True,
    ann_file='annotations/person_keypoints_val2017.json', data_prefix=dict(img='val2017/'), pipeline=val_pipeline,
    bbox_file=f'{{data_root}}person_detection_results/people.json'))
test_dataloader = val_dataloader
val_evaluator = dict(type='CocoMetric', ann_file=data_root + 'annotations/person_keypoints_val2017.json')
test_evaluator = val_evaluator
"""


@pytest.fixture
def official_pose(tmp_path) -> Path:
    path = tmp_path / "w32.yaml"
    path.write_text(OFFICIAL_POSE)
    return path


@pytest.fixture
def mmpose(tmp_path) -> Path:
    path = tmp_path / "td-hm_hrnet-w32.py"
    path.write_text(MMPOSE)
    return path


def edit(path: Path, old: str, new: str) -> Path:
    """Replace a text that is there."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return path
