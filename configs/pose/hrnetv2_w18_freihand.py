"""HRNetV2-W18 on the hands of FreiHAND, 224x224.

The network looks at the middle 80 % of each image; PCK is at 0.2 of the image's side. OpenMMLab's freihand_train.json,
freihand_val.json and freihand_test.json split the training images at random, of which four each show one pose: test
numbers may be too good. 100 epochs from ImageNet weights, 64 hands on each of 8 GPUs, Adam 5e-4. Research only: any
commercial use is prohibited. Published: none for HRNet (a ResNet-50 of OpenMMLab: PCK 99.9, AUC 86.8, EPE 3.27).

    python tools/train.py configs/pose/hrnetv2_w18_freihand.py --set load_from=timm/hrnet_w18.ms_in1k
    python tools/test.py configs/pose/hrnetv2_w18_freihand.py CHECKPOINT --flip
"""

_base_ = "../_base_/hand_sets.py"

_dataset = dict(data_root="data/freihand", whole_images=True)
model = dict(head=dict(scheme="freihand"), view=dict(input_size=(224, 224), padding=0.8))
train_dataloader = dict(dataset=dict(**_dataset, ann_file="annotations/freihand_train.json"))
val_dataloader = dict(dataset=dict(**_dataset, ann_file="annotations/freihand_test.json"))
train_cfg = dict(max_epochs=100)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.001, by_epoch=False, begin=0, end=500),
    dict(type="MultiStepLR", by_epoch=True, milestones=[50 / 100, 70 / 100], gamma=0.1),
]
