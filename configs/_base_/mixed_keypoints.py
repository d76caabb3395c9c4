"""Top-down pose of one HRNet-W32 on several keypoint sets at once, by the recipe of keypoint_sets.py.

Channels are found by the names of keypoints; a set's loss is that of the keypoints that it has. Every step takes people
of each set, and an epoch is as long as the longest one. Each set is scored by itself, as its own config scores it: by
its own keypoints, fall-offs and metric, of those keypoints that the network has.
"""

_base_ = "pose_210_epochs_openmmlab.py"

custom_imports = dict(imports=["hrtoolkit.tasks.pose"])
model = dict(
    backbone=dict(type="HRNet", width=32, num_outputs=1),
    branches=dict(
        pose=dict(
            neck=dict(type="HighestResolution"),
            head=dict(type="HeatmapHead", codec=dict(type="GaussianHeatmap", sigma=2.0)),
            view=dict(type="TopDown", input_size=(192, 256)),
            finish=dict(type="PoseFinish"),
        ),
    ),
)
train_dataloader = dict(num_workers=4)
