"""HigherHRNet-W32 bottom-up pose on COCO, short side 512, tested at half, single and twofold size (arXiv:1908.10357).

Scored on all of val2017 with the flip test. It is trained as `higher_hrnet_w32_coco_512`, and has its weights; any
config of HigherHRNet and DEKR is tested so by `--set model.inference.type=PoseMultiScale`.

    python tools/train.py configs/pose/higher_hrnet_w32_coco_512_multi_scale.py --set load_from=timm/hrnet_w32.ms_in1k
    python tools/test.py configs/pose/higher_hrnet_w32_coco_512_multi_scale.py official --flip
"""

published = {
    "official": {
        "AP": 69.9,
        "source": "HigherHRNet-Human-Pose-Estimation, README",
        "file": "https://storage.openvinotoolkit.org/repositories/open_model_zoo/public/2022.1/higher-hrnet-w32-human-pose-estimation/ckpt/pose_higher_hrnet_w32_512.pth",
    },
    "openmmlab": {
        "AP": 70.6,
        "file": "https://download.openmmlab.com/mmpose/bottom_up/higher_hrnet32_coco_512x512-8ae85183_20200713.pth",
    },
}

_base_ = "higher_hrnet_w32_coco_512.py"

model = dict(inference=dict(type="PoseMultiScale"))
