"""Options that several verbs share, and what people call some of them elsewhere."""

from __future__ import annotations

import argparse
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from hrtoolkit.errors import OptionError
from hrtoolkit.files import expand_path, is_checkpoint, shipped_configs

if TYPE_CHECKING:
    from mmengine import Config

# Options that other programs have, and the keys of a config that they stand for here.
SHORTHANDS = {
    "--epochs": "train_cfg.max_epochs",
    "--batch-size": "train_dataloader.batch_size",
    "--lr": "optim_wrapper.optimizer.lr",
    "--workers": "train_dataloader.num_workers",
    "--weights": "load_from",
}


def path_argument(text: str) -> Path:
    """A path of the command line, with `~` and environment variables written out, also where the shell leaves them."""
    return Path(expand_path(text))


def add_config(parser: argparse.ArgumentParser, several: bool = False) -> None:
    """Add CONFIG, --data-root and --set, as `args.config` (`configs`), `data_root` and `overrides`."""
    name, number = ("configs", "+") if several else ("config", None)
    parser.add_argument(name, metavar="CONFIG", nargs=number, help="file, or name of a shipped config")
    add_data(parser)


def add_data(parser: argparse.ArgumentParser, root: str = "folder that every dataset reads from") -> None:
    """Add --data-root and --set."""
    parser.add_argument("--data-root", metavar="DIR", help=root)
    parser.add_argument(
        "--set", dest="overrides", metavar="a.b=c", nargs="+", action="extend", default=[], help="override values"
    )


def add_shorthands(parser: argparse.ArgumentParser) -> None:
    """Add `SHORTHANDS`, each an override."""
    for option, key in SHORTHANDS.items():
        parser.add_argument(option, dest=key, metavar="N", help=f"--set {key}=N")


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add --device."""
    parser.add_argument("--device", default="auto", help="cpu, cuda, cuda:1, ...; by default a GPU where there is one")


def add_precision(parser: argparse.ArgumentParser, what: str) -> None:
    """Add --amp and --compile.

    Args:
        parser: gets them.
        what: --amp means.
    """
    kinds = ("bfloat16", "float16")
    parser.add_argument(
        "--amp", nargs="?", const=True, default=False, choices=kinds, help=f"{what}: bfloat16, or float16 on older GPUs"
    )
    parser.add_argument(
        "--compile", action="store_true", help="compile the network's blocks (on a CPU this needs a C++ compiler)"
    )


def add_backend(parser: argparse.ArgumentParser) -> None:
    """Add --backend."""
    parser.add_argument(
        "--backend", choices=("onnxruntime", "openvino", "pt2"), help="what runs the network, instead of PyTorch"
    )


def number_or_auto(option: str, text: str) -> int | Literal["auto"]:
    """What an option says that takes a number from 1 on or "auto".

    Raises:
        OptionError: it says something else.
    """
    if text == "auto":
        return "auto"
    if not text.isdecimal() or int(text) < 1:
        raise OptionError(f"{option} takes a number from 1 on, or auto, got {text!r}")
    return int(text)


def use_device(name: str) -> None:
    """Let this process see one device; called before torch is imported.

    Raises:
        OptionError: it is no name of a device.
    """
    if name == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    elif name.startswith("cuda:") and name[5:].isdigit():
        os.environ["CUDA_VISIBLE_DEVICES"] = name[5:]
    elif name not in ("auto", "cuda"):
        raise OptionError(f"--device takes cpu, cuda, or cuda:1 and so on, got {name!r}")


def add_own_data(parser: argparse.ArgumentParser) -> None:
    """Add --data."""
    parser.add_argument(
        "--data", metavar="PATH", help="own data instead of the config's: an export of a labelling tool, or COCO's json"
    )


def read_config(args: argparse.Namespace, source: str | None = None, training: bool = False) -> Config:
    """The config that the arguments name, with --data, and with what they override, which comes last and so wins.

    Args:
        args: of the command line.
        source: the config, where the arguments name several.
        training: with --data also choose the weights to start from and the recipe.

    Raises:
        UserError: it cannot be read, or is a checkpoint; or the data cannot be read.
    """
    from hrtoolkit.config import load_config
    from hrtoolkit.engine.runner import start_logging

    start_logging()  # of another toolkit's config the log says what it was taken for
    source = source or args.config
    if is_checkpoint(source):
        raise OptionError(f"{source} is a checkpoint; the config comes first")
    changes = overrides(args)
    config = load_config(source, changes, args.data_root)  # says what is wrong with it before any data is read
    if getattr(args, "data", None) is None:
        return config
    if args.data_root is not None:
        raise OptionError("--data names the data, and --data-root the folder of the config's own: give one of them")
    from hrtoolkit.engine.distributed import start_distributed
    from hrtoolkit.engine.own_data import use_own_data

    start_distributed()
    start = [text for text in changes if text.startswith("load_from")]
    folder = work_dir(args, config) / "data"
    own = use_own_data(load_config(source, start), expand_path(args.data), folder, training, start_asked=bool(start))
    return load_config(own, changes)


def work_dir(args: argparse.Namespace, config: Config) -> Path:
    """Where a config's results go: by --work-dir, by the config, or by default a folder of its task and name."""
    return Path(getattr(args, "work_dir", None) or config.get("work_dir") or work_folder(config))


def overrides(args: argparse.Namespace) -> list[str]:
    """What --set says, after what shorthands say."""
    short = [f"{key}={value}" for key in SHORTHANDS.values() if (value := getattr(args, key, None)) is not None]
    return [*short, *args.overrides]


def work_folder(config: Config) -> Path:
    """Where a config's results go by default: those of two tasks' shipped configs never meet."""
    path = Path(config.filename or "config.py").resolve()
    task = path.parent.name if path.parent.parent == shipped_configs().resolve() else ""
    return Path("work_dirs", task, path.stem)


def command(args: argparse.Namespace, verb: str, *more: str) -> str:
    """The command line of another verb with the same config and data, as it can be pasted into a shell.

    Args:
        args: of this verb.
        verb: the other one.
        more: what follows the config.
    """
    words = ["python", f"tools/{verb}.py"] if args.tool else ["hrtoolkit", verb]
    words += [args.config, *more]
    if args.data_root:
        words += ["--data-root", args.data_root]
    if changed := overrides(args):
        words += ["--set", *changed]
    return shlex.join(words)
