"""The registries through which configs name parts, one a role: a codec cannot be asked for as a head.

A task registers its own parts here when it is imported; a config brings its task in with `custom_imports`.
"""

import mmengine.registry as mm

BACKBONES = mm.Registry("backbone", locations=["hrtoolkit.backbones"])
NECKS = mm.Registry("neck", locations=["hrtoolkit.necks"])
HEADS = mm.Registry("head", locations=["hrtoolkit.keypoints.head"])
CODECS = mm.Registry("codec", locations=["hrtoolkit.keypoints.codecs"])
LOSSES = mm.Registry("loss", locations=["hrtoolkit.keypoints.loss"])
VIEWS = mm.Registry("view", locations=["hrtoolkit.keypoints.views"])
FINISHES = mm.Registry("finish")
BALANCES = mm.Registry("balance", locations=["hrtoolkit.balance"])
INFERENCES = mm.Registry("inference")
BATCH_AUGMENTATIONS = mm.Registry("batch augmentation")
DATASETS = mm.Registry("dataset")
AUGMENTATIONS = mm.Registry("augmentation")
METRICS = mm.Registry("metric")
TRACKERS = mm.Registry("tracker")
HOOKS = mm.Registry("hook", parent=mm.HOOKS, scope="hrtoolkit")

# An argument of one of these names, given as dict(type=...), is a part of that role, wherever it stands.
ROLES = {
    "backbone": BACKBONES,
    "neck": NECKS,
    "head": HEADS,
    "codec": CODECS,
    "loss": LOSSES,
    "aux_loss": LOSSES,
    "view": VIEWS,
    "finish": FINISHES,
    "inference": INFERENCES,
    "balance": BALANCES,
    "augment": BATCH_AUGMENTATIONS,
    "dataset": DATASETS,
    "augmentation": AUGMENTATIONS,
    "tracker": TRACKERS,
}
