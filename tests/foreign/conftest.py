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

OFFICIAL_FACE = """\
GPUS: (0,)
DATASET: {DATASET: WFLW, ROOT: ./data/wflw/images/, TRAINSET: ./data/wflw/face_landmarks_wflw_train.csv,
  TESTSET: ./data/wflw/face_landmarks_wflw_test.csv, FLIP: true, SCALE_FACTOR: 0.25, ROT_FACTOR: 30}
MODEL:
  NAME: hrnet
  NUM_JOINTS: 98
  SIGMA: 1.5
  IMAGE_SIZE: [256, 256]
  HEATMAP_SIZE: [64, 64]
  EXTRA:
    FINAL_CONV_KERNEL: 1
STAGESTRAIN: {BATCH_SIZE_PER_GPU: 16, END_EPOCH: 60, OPTIMIZER: adam, LR: 0.0001, LR_STEP: [30, 50], WD: 0.0}
TEST: {BATCH_SIZE_PER_GPU: 16}
""".replace("STAGES", STAGES.format(18, 36, 72, 144))

FIRST_STAGE = "    STAGE1: {NUM_MODULES: 1, NUM_RANCHES: 1, BLOCK: BOTTLENECK, NUM_BLOCKS: [4], NUM_CHANNELS: [64]}\n"
OFFICIAL_CLASSES = """\
GPUS: (0,1,2,3)
MODEL:
  NAME: cls_hrnet
  IMAGE_SIZE: [224, 224]
  EXTRA:
    WITH_HEAD: true
STAGESDATASET: {DATASET: imagenet, ROOT: data/imagenet/, TEST_SET: val, TRAIN_SET: train}
TRAIN: {BATCH_SIZE_PER_GPU: 32, END_EPOCH: 100, OPTIMIZER: sgd, LR: 5e-2, WD: 1e-4, MOMENTUM: 0.9, NESTEROV: true,
  LR_FACTOR: 0.1, LR_STEP: [30, 60, 90]}
TEST: {BATCH_SIZE_PER_GPU: 32}
""".replace("STAGES", FIRST_STAGE + STAGES.format(18, 36, 72, 144))

OFFICIAL_OCR = """\
GPUS: (0,1,2,3)
DATASET: {DATASET: cityscapes, ROOT: data/, TEST_SET: list/val.lst, TRAIN_SET: list/train.lst, NUM_CLASSES: 19}
MODEL:
  NAME: seg_hrnet_ocr
  NUM_OUTPUTS: 2
  EXTRA:
    FINAL_CONV_KERNEL: 1
STAGESLOSS: {USE_OHEM: false, BALANCE_WEIGHTS: [0.4, 1]}
TRAIN: {IMAGE_SIZE: [1024, 512], BASE_SIZE: 2048, BATCH_SIZE_PER_GPU: 3, END_EPOCH: 484, OPTIMIZER: sgd, LR: 0.01,
  WD: 0.0005, MOMENTUM: 0.9, NESTEROV: false, FLIP: true, MULTI_SCALE: true, IGNORE_LABEL: 255, SCALE_FACTOR: 16}
TEST: {IMAGE_SIZE: [2048, 1024], BASE_SIZE: 2048, FLIP_TEST: false, MULTI_SCALE: false}
""".replace("STAGES", FIRST_STAGE + STAGES.format(48, 96, 192, 384))

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

NORMALISED = "mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True"
WIDTHS = BACKBONE.replace("(32, 64, 128, 256)", "(18, 36, 72, 144)").replace("(32, 64, 128)", "(18, 36, 72)")
WIDTHS = WIDTHS.replace("(32, 64)", "(18, 36)")

MMDET = f"""\
model = dict(
    type='FasterRCNN',
    data_preprocessor=dict(type='DetDataPreprocessor', {NORMALISED}, pad_size_divisor=32),
    backbone={WIDTHS},
    neck=dict(type='HRFPN', in_channels=[18, 36, 72, 144], out_channels=256),
    rpn_head=dict(type='RPNHead', in_channels=256, feat_channels=256,
        anchor_generator=dict(type='AnchorGenerator', scales=[8], ratios=[0.5, 1.0, 2.0], strides=[4, 8, 16, 32, 64]),
        bbox_coder=dict(type='DeltaXYWHBBoxCoder', target_means=[.0, .0, .0, .0], target_stds=[1.0, 1.0, 1.0, 1.0])),
    roi_head=dict(type='StandardRoIHead',
        bbox_roi_extractor=dict(type='SingleRoIExtractor', out_channels=256, featmap_strides=[4, 8, 16, 32],
            roi_layer=dict(type='RoIAlign', output_size=7, sampling_ratio=0)),
        bbox_head=dict(type='Shared2FCBBoxHead', in_channels=256, fc_out_channels=1024, roi_feat_size=7, num_classes=80,
            bbox_coder=dict(type='DeltaXYWHBBoxCoder', target_means=[0., 0., 0., 0.], target_stds=[0.1, 0.1, 0.2, 0.2]),
            reg_class_agnostic=False, loss_cls=dict(type='CrossEntropyLoss', use_sigmoid=False))),
    test_cfg=dict(
        rpn=dict(nms_pre=1000, max_per_img=1000, nms=dict(type='nms', iou_threshold=0.7), min_bbox_size=0),
        rcnn=dict(score_thr=0.05, nms=dict(type='nms', iou_threshold=0.5), max_per_img=100)))
test_pipeline = [dict(type='LoadImageFromFile'), dict(type='Resize', scale=(1333, 800), keep_ratio=True),
    dict(type='PackDetInputs', meta_keys=('img_id', ))]
val_dataloader = dict(batch_size=1, dataset=dict(type='CocoDataset', data_root='data/coco/',
    ann_file='annotations/instances_val2017.json', data_prefix=dict(img='val2017/'), pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(type='CocoMetric', ann_file='data/coco/annotations/instances_val2017.json', metric='bbox')
test_evaluator = val_evaluator
"""

MMSEG = f"""\
norm_cfg = dict(type='SyncBN', requires_grad=True)
model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(type='SegDataPreProcessor', {NORMALISED}, pad_val=0, seg_pad_val=255),
    backbone={WIDTHS},
    decode_head=dict(type='FCNHead', in_channels=[18, 36, 72, 144], in_index=(0, 1, 2, 3), channels=270,
        input_transform='resize_concat', kernel_size=1, num_convs=1, concat_input=False, dropout_ratio=-1,
        num_classes=150, norm_cfg=norm_cfg, align_corners=False, loss_decode=dict(type='CrossEntropyLoss')),
    test_cfg=dict(mode='slide', crop_size=(512, 480), stride=(341, 320)))
test_pipeline = [dict(type='LoadImageFromFile'), dict(type='Resize', scale=(2048, 512), keep_ratio=True),
    dict(type='LoadAnnotations', reduce_zero_label=True), dict(type='PackSegInputs')]
val_dataloader = dict(batch_size=1, dataset=dict(type='ADE20KDataset', data_root='data/ade',
    data_prefix=dict(img_path='images/validation', seg_map_path='annotations/validation'), pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
test_evaluator = val_evaluator
"""

MMPRETRAIN = f"""\
model = dict(type='ImageClassifier', backbone=dict(type='HRNet', arch='w18'),
    neck=[dict(type='HRFuseScales', in_channels=(18, 36, 72, 144)), dict(type='GlobalAveragePooling')],
    head=dict(type='LinearClsHead', in_channels=2048, num_classes=1000, topk=(1, 5)))
data_preprocessor = dict(num_classes=1000, {NORMALISED.replace("bgr_", "")})
test_pipeline = [dict(type='LoadImageFromFile'), dict(type='ResizeEdge', scale=256, edge='short', backend='pillow'),
    dict(type='CenterCrop', crop_size=224), dict(type='PackInputs')]
val_dataloader = dict(
    batch_size=32, dataset=dict(type='ImageNet', data_root='data/imagenet', split='val', pipeline=test_pipeline))
val_evaluator = dict(type='Accuracy', topk=(1, 5))
test_dataloader, test_evaluator = val_dataloader, val_evaluator
"""


@pytest.fixture
def write(tmp_path):
    """Writes a text into a file of a name."""

    def write_file(name: str, text: str) -> Path:
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write_file


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
