"""A config of several tasks on one small network, with toy data."""

from hrtoolkit.config import load_config

TOY = "multitask/hrnet_toy"


def small_config(toy, *changes, keep=None):
    """The toy config of several tasks, as small as it can be, and what is changed in it."""
    config = load_config(TOY, data_root=toy)
    config.model.backbone.update(width=4, stem_width=8, layer1_planes=4)
    config.model.views.whole["size"] = 64
    config.model.branches.boxes.head.update(roi_samples=8, mask_channels=4)
    config.train_dataloader.update(num_workers=0, steps=3)
    for name, source in config.train_dataloader.sources.items():
        source.batch_size = 2 if name == "scenes" else 3
    for loader in config.val_dataloader.values():
        loader.update(num_workers=0, batch_size=2)
    config.train_cfg = dict(max_epochs=2, val_interval=1)
    config.param_scheduler = None
    if keep is not None:
        keep_branches(config, keep)
    for change in changes:
        config.merge_from_dict(change)
    return config


def keep_branches(config, keep):
    """What is left of a config with these branches alone."""
    for name in [one for one in config.model.branches if one not in keep]:
        for section in (config.model.branches, config.val_dataloader, config.val_evaluator, config.best):
            del section[name]
        for source in config.train_dataloader.sources.values():
            source.datasets.pop(name, None)
    for name in [name for name, source in config.train_dataloader.sources.items() if not source.datasets]:
        del config.train_dataloader.sources[name]
    weights = config.model.balance.weights
    config.model.balance.weights = {name: value for name, value in weights.items() if name in keep}
    if not any(one.view == "whole" for one in config.model.branches.values()):
        del config.model.views
