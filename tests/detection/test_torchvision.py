"""With torchvision's settings the detector is torchvision's: detections, masks and losses on the same weights."""

from collections import OrderedDict

import pytest
import torch
from torch import nn
from torchvision.models.detection import FasterRCNN, MaskRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.ops import MultiScaleRoIAlign

from hrtoolkit.checkpoints import load_checkpoint
from hrtoolkit.data.loading import build_dataloader
from hrtoolkit.masks import encode_masks
from hrtoolkit.samples import Inputs
from hrtoolkit.tasks.detection.datasets import CocoDetection

from .conftest import DETECTIONS, ROIS, decode_masks, make_frames, make_target, tiny_model

SIZES = [(192, 256), (160, 224)]


class Wrapped(nn.Module):
    """Our backbone and neck as torchvision wants them: a dict of maps."""

    def __init__(self, model):
        super().__init__()
        self.body, self.neck, self.out_channels = model.backbone, model.neck, 8

    def forward(self, images):
        maps = self.neck(self.body(images))
        return OrderedDict((str(i), x) for i, x in enumerate(maps))


def make_torchvision(model, masks):
    """Stock torchvision parts; only sizes and the number of levels differ from its defaults."""
    options = dict(
        min_size=190,
        max_size=250,
        rpn_anchor_generator=AnchorGenerator(
            tuple((size,) for size in (32, 64, 128, 256, 512)), ((0.5, 1.0, 2.0),) * 5
        ),
        box_roi_pool=MultiScaleRoIAlign(["0", "1", "2", "3"], 7, 2),
        box_head=TwoMLPHead(8 * 49, 1024),
        box_predictor=FastRCNNPredictor(1024, 4),
        box_batch_size_per_image=ROIS,
        box_detections_per_img=DETECTIONS,
    )
    if not masks:
        return FasterRCNN(Wrapped(model), **options)
    return MaskRCNN(
        Wrapped(model),
        **options,
        mask_roi_pool=MultiScaleRoIAlign(["0", "1", "2", "3"], 14, 2),
        mask_head=MaskRCNNHeads(8, (256,) * 4, 1),
        mask_predictor=MaskRCNNPredictor(256, 256, 4),
    )


@pytest.fixture(params=[False, True], ids=["faster", "mask"])
def pair(request):
    """Both detectors with the same weights, spread enough to find something, and a padded batch of two sizes."""
    masks = request.param
    view = dict(type="FitInside", size=(250, 190))
    model = tiny_model(dict(masks=masks, convention="torchvision"), view=view)
    theirs = make_torchvision(tiny_model(dict(masks=masks)), masks)
    torch.manual_seed(3)
    for name, weight in theirs.named_parameters():
        if name.endswith("cls_logits.weight") or name.endswith("cls_score.weight"):
            nn.init.normal_(weight, std=0.1)
    report = load_checkpoint(model, theirs.state_dict())
    assert report.ok, report.details()
    images = torch.randn(2, 3, 192, 256)
    images[1, :, 160:] = 0
    images[1, :, :, 224:] = 0
    return model, theirs, images, masks


def assert_detections(found, expected, masks, size_hw):
    boxes = torch.from_numpy(found.boxes_xyxy).float()
    torch.testing.assert_close(boxes, expected["boxes"], atol=1e-3, rtol=1e-5)
    torch.testing.assert_close(torch.from_numpy(found.scores), expected["scores"], atol=1e-5, rtol=1e-5)
    assert found.labels.tolist() == (expected["labels"] - 1).tolist()
    if masks:
        binary = expected["masks"][:, 0].numpy() >= 0.5
        assert binary.any()
        packed = found.masks.segmentations
        assert decode_masks(packed, size_hw).tolist() == binary.tolist()
        assert packed == encode_masks(binary)


def test_detections_and_masks_are_torchvisions(pair):
    model, theirs, images, masks = pair
    model.eval(), theirs.eval()
    with torch.no_grad():
        batch = ImageList(images, SIZES)
        maps = theirs.backbone(images)
        proposals, _ = theirs.rpn(batch, maps)
        expected, _ = theirs.roi_heads(maps, proposals, SIZES)
        found = model(images, frames=make_frames(SIZES), mode="predict")
        if masks:
            expected = theirs.transform.postprocess(expected, SIZES, SIZES)
    for a, b, size in zip(found, expected, SIZES, strict=True):
        assert len(a.labels) == DETECTIONS
        assert_detections(a, b, masks, size)


def test_image_files_through_our_pipeline_give_torchvisions_detections(pair, objects_folder):
    """Files of three shapes, read, resized, batched and mapped back by either side's own code."""
    model, theirs, _, masks = pair
    model.eval(), theirs.eval()
    samples = CocoDetection(data_root=objects_folder, ann_file="objects.json", image_dir="images")
    loader = build_dataloader(
        Inputs(samples, model.branch().view, model.head.scheme), batch_size=4, num_workers=0, training=False
    )
    files = [torch.from_numpy(samples.read(index)).permute(2, 0, 1) / 255 for index in range(4)]
    with torch.no_grad():
        batch = model.data_preprocessor(next(iter(loader)))
        found = model(batch["images"], frames=batch["frames"], mode="predict")
        expected = theirs(files)
    for a, b, image in zip(found, expected, files, strict=True):
        assert len(a.labels) == DETECTIONS
        assert_detections(a, b, masks, tuple(image.shape[-2:]))


def test_losses_are_torchvisions(pair):
    model, theirs, images, _ = pair
    # Statistics stay as they are: both go through the same images, one after the other.
    model.train().backbone.eval(), theirs.train().backbone.eval()
    targets = [
        make_target([(10, 20, 100, 150), (90, 10, 200, 90)], [0, 2], SIZES[0], masks=True),
        make_target([(30, 30, 140, 120)], [1], SIZES[1], masks=True),
    ]
    torch.manual_seed(5)
    ours = model(images, targets, make_frames(SIZES), mode="loss")
    as_theirs = [{**target, "labels": target["labels"] + 1} for target in targets]
    torch.manual_seed(5)
    maps = theirs.backbone(images)
    proposals, expected = theirs.rpn(ImageList(images, SIZES), maps, as_theirs)
    _, more = theirs.roi_heads(maps, proposals, SIZES, as_theirs)
    assert ours.keys() == (expected | more).keys()
    for name, value in (expected | more).items():
        assert value > 0
        torch.testing.assert_close(ours[name], value, msg=lambda text, name=name: f"{name}: {text}")
