"""What an exported folder says, of a model in memory; its network is the model itself, or any function."""

import json

import numpy as np
import torch

from hrtoolkit.build import build_model
from hrtoolkit.config import load_config
from hrtoolkit.export.folder import scheme_fields
from hrtoolkit.predict import Predictor
from hrtoolkit.records import join
from hrtoolkit.runtime import predictor, scheme
from hrtoolkit.runtime.network import Input, Network, hash_files, model_files

TINY = dict(width=4, modules=(1, 1, 1), blocks=1, layer1_blocks=1, layer1_planes=8)


def small_model(name, view=None, **head):
    """A shipped config's model with a tiny backbone, whose outputs vary as those of trained ones do."""
    torch.manual_seed(0)
    config = load_config(name)
    config.model.view = view or config.model.view
    config.model.head.update(head)
    config.model.backbone.pop("variant", None)
    config.model.backbone.update(TINY)
    return build_lively(config, 0.3)


def build_lively(config, spread):
    """A config's model, the kernels of its head drawn with a deviation, so that its outputs vary."""
    model = build_model(config).eval()
    with torch.no_grad():
        for parameter in model.head.parameters():
            if parameter.ndim == 4:
                parameter.normal_(std=spread)
    return model


def settings_of(model, outputs, dtype="float32", **changes):
    """The content of `preprocess.json`, without the hash."""
    branch = model.branch()
    view, head, finish = branch.view, branch.head, None
    if branch.finish is not join:
        finish = branch.finish.portable()
    given = {
        "name": "images",
        "dtype": dtype,
        "shape": ["batch", 3, *(view.input_size[::-1] if view.sees_crops else ("height", "width"))],
        "color_order": "rgb",
        "mean": list(view.mean),
        "std": list(view.std),
        "multiple": view.multiple,
        "smallest": view.smallest,
        "sizes": head.reads_sizes,
    }
    told = {
        "hrtoolkit": "0.1.0",
        "layout": 1,
        "model": "model.onnx",
        "format": "onnx",
        "precision": "fp32",
        "sha256": "",
        "input": given,
        "view": view.portable(),
        "outputs": list(outputs),
        "read": changes.pop("read", None) or head.reading(),
        "finish": finish,
    }
    return json.loads(json.dumps({**told, **changes}))


def scheme_of(one):
    """The content of `scheme.json`."""
    return json.loads(json.dumps(scheme_fields(one)))


def both(model, run=None, batch_size=3, **changes):
    """The predictor of a model, and that of the runtime, whose network is the model's own `decode` or `run`."""

    @torch.inference_mode()
    def decode(inputs):
        maps = model.extract(torch.from_numpy(inputs["images"]).contiguous(memory_format=torch.channels_last))
        sizes_hw = torch.from_numpy(inputs["sizes_hw"]) if "sizes_hw" in inputs else None
        return [value.numpy() for value in model.head.decode(maps, None, sizes_hw).values()]

    names = changes.pop("outputs", None)
    if names is None:
        with torch.inference_mode():
            sizes_hw = torch.tensor([[64, 64]])
            names = list(model.head.decode(model.extract(torch.zeros(1, 3, 64, 64)), None, sizes_hw))
    settings = settings_of(model, names, **changes)
    given = {name: tuple(v) if isinstance(v, list) else v for name, v in settings["input"].items()}
    network = Network("folder", settings, Input(**given), run or decode)
    theirs = predictor.Predictor(network, scheme._make(scheme_of(model.head.scheme)), batch_size=batch_size)
    return Predictor(model, batch_size=batch_size), theirs


def write_folder(folder, settings, one, model_bytes=None):
    """Write an exported folder around its model, or around bytes in its place."""
    folder.mkdir(exist_ok=True)
    if model_bytes is not None:
        (folder / settings["model"]).write_bytes(model_bytes)
    settings = {**settings, "sha256": hash_files(model_files(folder, settings["model"]))}
    (folder / "preprocess.json").write_text(json.dumps(settings))
    (folder / "scheme.json").write_text(json.dumps(scheme_of(one)))


def assert_same_masks(masks, wanted):
    """Masks are the same, but where a probability is 0.5 up to rounding."""
    assert masks.size_hw == wanted.size_hw
    drawn = masks.draw()
    assert (drawn != wanted.draw()).sum() <= 1e-5 * drawn.size


def assert_same(record, wanted, pixels=1e-4):
    """Records of the runtime and of the toolkit are of the same kind and have the same values."""
    assert type(record).__name__ == type(wanted).__name__ and record._fields == wanted._fields
    for name, value, other in zip(wanted._fields, record, wanted, strict=True):
        if other is None:
            assert value is None, name
        elif name == "masks":
            assert_same_masks(value, other)
        elif name in ("labels", "label", "label_map"):
            np.testing.assert_array_equal(value, other)
        else:
            np.testing.assert_allclose(value, other, rtol=0, atol=pixels, err_msg=name)
            assert value.dtype == other.dtype and value.shape == other.shape, name
