"""Models that bring their config along: checkpoints of ours, and folders that can be shared.

A folder has `config.json` (the model's config and what is known of the weights, all of it plain data),
`model.safetensors`, and a model card. It is one more kind of checkpoint: whatever takes a checkpoint takes it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from mmengine import Config

from hrtoolkit.build import build_model
from hrtoolkit.checkpoints import output_names
from hrtoolkit.config import load_config
from hrtoolkit.config.load import read_stored_config
from hrtoolkit.errors import CheckpointError, OptionError, shorten
from hrtoolkit.files import CONFIG_FILE, WEIGHTS_FILE, write_atomically
from hrtoolkit.foreign import convert_stored
from hrtoolkit.model import Model
from hrtoolkit.registry import METRICS, ROLES
from hrtoolkit.version import __version__

log = logging.getLogger(__name__)

CARD = "README.md"
HUB_NAME = re.compile(r"\w[\w.-]*/\w[\w.-]*")


# What of a stored config tells of data; the rest is of a training.
DATA_SECTIONS = ("train_dataloader", "val_dataloader", "val_evaluator", "test_dataloader", "test_evaluator")


def own_config(content: Mapping, label: str, whole: bool = False) -> Config:
    """The config of the model that a checkpoint of ours, or OpenMMLab's, holds; what it says imports and calls no code.

    Args:
        content: of the checkpoint.
        label: what messages call it.
        whole: also what it says of data.

    Raises:
        ConfigError: OpenMMLab wrote it, with a config that changes results in a way that is not supported here.
        CheckpointError: it has none, or one that names code which is neither ours nor imported and registered.
    """
    meta = content.get("meta")
    text = meta.get("config") if isinstance(meta, Mapping) else None
    if (foreign := convert_stored(content, label)) is not None:
        return load_config(foreign.config)
    if not isinstance(text, str):
        raise CheckpointError(f"{label} holds no config, because another toolkit wrote it; give the config as well")
    stored = read_stored_config(text)
    custom = stored.get("custom_imports")
    imports = custom.get("imports") if isinstance(custom, Mapping) else None
    imports = imports if isinstance(imports, list | tuple) else [imports] if imports else []
    # Earlier versions called ours "tasks.pose" and so on.
    imports = [re.sub(r"^tasks\.", "hrtoolkit.tasks.", str(name)) for name in imports]
    for name in imports:
        # Importing runs code: what a file names is imported only where it is ours, or was imported already.
        if not name.startswith("hrtoolkit.") and name not in sys.modules:
            raise CheckpointError(f"{label} needs the module {name!r}; import it first if you trust it")
    sections = {name: stored[name] for name in DATA_SECTIONS if whole and name in stored}
    config = load_config(Config({"model": stored.get("model"), "custom_imports": {"imports": imports}, **sections}))
    # Where a type is not registered, mmengine looks for anything that Python can import, such as os.system.
    registered = {name for book in (*ROLES.values(), METRICS) for name in _names(book)}
    for kind in _types(config.to_dict()):
        if kind not in registered:
            raise CheckpointError(
                f"{label} needs the part {kind!r}, which is not registered here; import the code that registers it, if "
                "you trust it"
            )
    return config


def _names(registry: Any) -> Iterator[str]:
    """What the parts of a role can be called, short and with their modules."""
    while registry is not None:
        registry.import_from_location()
        for name, part in registry.module_dict.items():
            yield name
            yield f"{part.__module__}.{part.__qualname__}"
        registry = registry.parent


def _types(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        if "type" in value:
            yield str(value["type"])
        value = list(value.values())
    for item in value if isinstance(value, list | tuple) else ():
        yield from _types(item)


def find_folder(name: str | Path) -> Path:
    """The folder of a model: a local one, or of the Hugging Face Hub by its name, downloaded once.

    Args:
        name: path, or "owner/model".

    Raises:
        CheckpointError: there is none.
    """
    # os.path never raises for odd names.
    path = Path(os.path.expanduser(name))  # noqa: PTH111
    if os.path.exists(path):  # noqa: PTH110
        return path
    if not HUB_NAME.fullmatch(str(name)):
        raise CheckpointError(f"{name}: no such folder, and no name of a model on the Hugging Face Hub (owner/model)")
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise CheckpointError(
            f"{name}: no such folder; to fetch it from the Hugging Face Hub, pip install hrtoolkit[hub]"
        ) from None
    wanted = [CONFIG_FILE, CARD]
    try:
        folder = Path(snapshot_download(str(name), allow_patterns=wanted))
        if _is_ours(folder / CONFIG_FILE):  # before hundreds of megabytes
            folder = Path(snapshot_download(str(name), allow_patterns=[*wanted, WEIGHTS_FILE]))
    except Exception as error:  # of the network, the Hub and the disk, in many types
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise CheckpointError(
            f"{name}: no such folder, and the Hugging Face Hub did not give it ({reason}); without a network, fetch "
            f"{CONFIG_FILE} and {WEIGHTS_FILE} elsewhere, and name the folder that they are in"
        ) from error
    return folder


def save_pretrained(model: Model, folder: str | Path, known: Mapping[str, object], license: str | None = None) -> None:
    """Write a model that was built from a config as a folder that can be shared; see `Predictor.save_pretrained`.

    Args:
        model: with its weights.
        folder: gets `config.json`, `model.safetensors` and, where there is none yet, a model card.
        known: of the weights, such as `metrics`, in plain values.
        license: of the weights, as the Hub spells it.

    Raises:
        OptionError: the model is not as a config builds it, or the folder holds the config of something else.
        UserError: the folder cannot be written.
    """
    folder = Path(folder).expanduser()
    if model.config is None:
        raise OptionError("this model was not built from a config, which is saved with it: use hrtoolkit.build_model")
    _check_whole(model, model.config)
    if (folder / CONFIG_FILE).exists() and not _is_ours(folder / CONFIG_FILE):
        raise OptionError(f"{folder}: holds a {CONFIG_FILE} of something else; name another folder")
    weights = safetensors.torch.save(
        {name: tensor.cpu().contiguous() for name, tensor in model.state_dict().items()}, {"format": "pt"}
    )
    content = {
        "hrtoolkit_version": __version__,
        "config": json.loads(model.config),
        **model.describe(),
        "output_names": output_names(model),
        **known,
        "license": license,
        "sha256": hashlib.sha256(weights).hexdigest(),  # safetensors has no checksum of its own
    }
    with write_atomically(folder / WEIGHTS_FILE, "wb", len(weights)) as file:
        file.write(weights)
    with write_atomically(folder / CONFIG_FILE) as file:
        json.dump(content, file, indent=1)
    if not (folder / CARD).exists():  # it may have been written by hand
        with write_atomically(folder / CARD) as file:
            file.write(_write_card(model, content, folder.resolve().name))


def _check_whole(model: Model, config: str) -> None:
    """Refuse what `fold` and the like made of a model: its config would not build it again."""
    assert model.config is not None
    with torch.device("meta"):
        built = build_model(read_stored_config(config)).state_dict()
    saved = model.state_dict()
    other = {name for name in {*built, *saved} if name not in built or name not in saved}
    other |= {n for n in built if n in saved and (built[n].shape, built[n].dtype) != (saved[n].shape, saved[n].dtype)}
    if other:
        raise OptionError(
            f"this network is no longer the one of its config ({shorten(sorted(other), 3)}): folded, or in half "
            "precision; load it without `folded` and `amp`, and save that"
        )


def _is_ours(path: Path) -> bool:
    """Whether a file is what we write into a folder to say what the model is."""
    try:
        return "hrtoolkit_version" in json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError):
        return False


def _write_card(model: Model, content: Mapping[str, Any], name: str) -> str:
    """The model card, with the front matter that the Hub reads."""
    imports = content["config"].get("custom_imports", {}).get("imports", ())
    tasks = [one.rpartition(".")[2] for one in imports if one.startswith("hrtoolkit.tasks.")]
    front = ["library_name: hrtoolkit", f"license: {content['license'] or 'unknown'}"]
    words = [word for one in imports if (word := getattr(sys.modules.get(one), "HUB_TASK", None))]
    front += [f"pipeline_tag: {word}" for word in words[:1]]
    front += ["tags:", *(f"- {tag}" for tag in ("hrnet", *tasks))]
    rows = list(_card_rows(model, content))
    crops = any(branch.view is not None and branch.view.sees_crops for branch in model.branches.values())
    boxes = ', boxes="whole"' if crops else ""
    return "\n".join(
        [
            *("---", *front, "---", f"# {name}", "", "| | |", "|---|---|"),
            *(f"| {title} | {text} |" for title, text in rows),
            *("", "```python", "import hrtoolkit  # pip install hrtoolkit", ""),
            f'predictor = hrtoolkit.from_pretrained("{name}")  # path of this folder, or its name on the Hub',
            f'for prediction in predictor("photos/"{boxes}):',
            "    print(prediction.to_dict())",
            *("```", ""),
        ]
    )


def _card_rows(model: Model, content: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    count = sum(parameter.numel() for parameter in model.parameters())
    backbone = content["config"]["model"]["backbone"]
    settings = ", ".join(f"{key} {value}" for key, value in backbone.items() if key != "type")
    yield "network", f"{backbone['type']} ({settings}), {count / 1e6:.1f} M parameters"
    for branch, one in model.branches.items():
        lead = f"{branch}: " if branch else ""
        names = one.head.scheme.names
        yield f"{lead}outputs", f"{len(names)} {one.head.scheme.OUTPUTS}: {shorten(names, 30)}"
        view = content.get(f"{branch}.view" if branch else "view") or {}
        yield f"{lead}view", ", ".join(f"{key} {value}" for key, value in view.items()) or "not told"
    metrics = ", ".join(f"{name} {value:.4f}" for name, value in (content.get("metrics") or {}).items())
    epoch = f", in epoch {content['epoch']} of the training" if content.get("epoch") else ""
    published = f"{content['published']} (published)" if content.get("published") else "not known"
    yield "metric", f"{metrics}{epoch}" if metrics else published
    if content.get("from"):
        yield "made from", str(content["from"])
    yield "licence", content["license"] or "not stated: `save_pretrained(folder, license=...)` states it"
