"""The registries through which configs name parts: children of mmengine's, in the scope 'hrtoolkit'.

A task registers its own parts here when it is imported; a config brings its task in with `custom_imports`.
"""

import mmengine.registry as mm

MODELS = mm.Registry(
    "model",
    parent=mm.MODELS,
    scope="hrtoolkit",
    locations=["hrtoolkit.backbones", "hrtoolkit.necks", "hrtoolkit.heatmaps", "hrtoolkit.heatmap_head"],
)
DATASETS = mm.Registry("dataset", parent=mm.DATASETS, scope="hrtoolkit", locations=["hrtoolkit.data"])
TRANSFORMS = mm.Registry("transform", parent=mm.TRANSFORMS, scope="hrtoolkit", locations=["hrtoolkit.data"])
METRICS = mm.Registry("metric", parent=mm.METRICS, scope="hrtoolkit", locations=["hrtoolkit.metric"])
HOOKS = mm.Registry("hook", parent=mm.HOOKS, scope="hrtoolkit", locations=["hrtoolkit.engine"])
