"""What the yaml files of the official pose, face, classification and segmentation code share."""

from __future__ import annotations

from typing import Any

from hrtoolkit.foreign.settings import NO_EFFECT, Settings, matcher

# No result depends on these: where things lie, what is logged, and how much is done at once.
_HARMLESS = matcher(
    *("AUTO_RESUME", "CUDNN", "DATA_DIR", "DEBUG", "GPUS", "LOG_DIR", "MODEL_DIR", "OUTPUT_DIR", "PIN_MEMORY"),
    *("PRINT_FREQ", "RANK", "WORKERS", "VERBOSE", "DIST_BACKEND", "MULTIPROCESSING_DISTRIBUTED", "local_rank"),
    *("DATASET.DATA_FORMAT", "DATASET.ROOT", "TEST.BATCH_SIZE_PER_GPU", "TEST.MODEL_FILE", "TEST.NUM_SAMPLES"),
    *("TRAIN.RESUME", "TRAIN.CHECKPOINT", "TRAIN.BEGIN_EPOCH", "TEST.BATCH_SIZE", "TEST.OUTPUT_INDEX"),
    *(
        "MODEL.INIT_WEIGHTS",
        "MODEL.PRETRAINED",
        "MODEL.EXTRA.PRETRAINED_LAYERS",
        "MODEL.TAG_PER_JOINT",
        "TRAIN.SHUFFLE",
    ),
)


def why_harmless(path: str) -> str | None:
    """Why nothing is lost with a key that nobody asked for; None where results may change.

    Args:
        path: of the key.
    """
    return NO_EFFECT if _HARMLESS(path) else None


def read_schedule(train: Settings) -> dict[str, Any]:
    """Optimiser, schedule and length of the training, from the section TRAIN.

    Args:
        train: the section.
    """
    epochs = train.get("END_EPOCH", 100, int)
    rate = float(train.get("LR", 0.001, float))
    kind = str(train.get("OPTIMIZER", "adam")).lower()
    decay, momentum = train.get("WD", 0.0, float), train.get("MOMENTUM", 0.9, float)
    nesterov = train.get("NESTEROV", False, bool)
    if kind == "sgd":
        optimizer = {"type": "SGD", "lr": rate, "momentum": momentum, "nesterov": nesterov, "weight_decay": decay}
        if not nesterov:
            optimizer.pop("nesterov")
    else:
        optimizer = {"type": "Adam", "lr": rate}  # the official code gives it no weight decay
        if kind != "adam":
            train.leave_out("OPTIMIZER", why=f"training only; Adam is taken for {kind!r}")
    schedule: dict[str, Any] = {
        "train_cfg": {"max_epochs": epochs, "val_interval": 1},
        "optim_wrapper": {"optimizer": optimizer},
        "load_from": None,
        "seed": 0,
    }
    steps = [one for one in train.get("LR_STEP", []) or [] if isinstance(one, int) and 0 < one < epochs]
    if steps:
        milestones = [one / epochs for one in steps]
        gamma = train.get("LR_FACTOR", 0.1, float)
        drop = {"type": "MultiStepLR", "by_epoch": True, "milestones": milestones, "gamma": gamma}
        schedule["param_scheduler"] = [drop]
    train.leave_out("GAMMA1", "GAMMA2", why=NO_EFFECT)
    return schedule


def count_gpus(settings: Settings) -> int:
    """How many GPUs the file is for: a batch is that of all of them."""
    value = settings.peek("GPUS")
    numbers = [one for one in str(value).strip("()[] ").split(",") if one.strip()] if value is not None else [0]
    return max(len(numbers), 1)
