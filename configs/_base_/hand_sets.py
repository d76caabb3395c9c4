"""Hands in public keypoint sets as OpenMMLab trains them: HRNetV2-W18, whose maps are joined as for faces, 256x256."""

_base_ = "keypoint_sets.py"

custom_imports = dict(imports=["hrtoolkit.tasks.pose", "hrtoolkit.tasks.face"])
model = dict(
    _delete_=True,
    backbone=dict(type="HRNet", width=18, fuse_upsample="bilinear"),
    head=dict(type="FaceHead", codec=dict(type="GaussianHeatmap", sigma=2.0), bn_momentum=0.1),
    view=dict(type="TopDown", input_size=(256, 256)),
)
train_dataloader = dict(dataset=dict(apart=True), augmentation=dict(half_body=0.0, scale=0.3, rotation=90.0))
val_dataloader = dict(dataset=dict(apart=True))
val_evaluator = dict(_delete_=True, type="PckMetric", headline="AUC")
