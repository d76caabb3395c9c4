"""What the configs of mmpose, mmdet, mmseg and mmpretrain share, of 0.x and of 1.x."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from hrtoolkit.config.values import is_sequence
from hrtoolkit.foreign.settings import NO_EFFECT, REPEATED, TRAINING, Settings, matcher
from hrtoolkit.views import IMAGENET_MEAN, IMAGENET_STD

# All names at the top of a config that OpenMMLab's runners read; others only help to write the config.
READ = {
    *("model", "data_preprocessor", "train_dataloader", "val_dataloader", "test_dataloader", "train_cfg", "val_cfg"),
    *("test_cfg", "val_evaluator", "test_evaluator", "optim_wrapper", "param_scheduler", "auto_scale_lr"),
    *("custom_hooks", "load_from", "randomness", "tta_model", "tta_pipeline", "custom_imports", "data", "optimizer"),
    *("optimizer_config", "lr_config", "total_epochs", "runner", "evaluation", "fp16", "seed", "work_dir"),
    *("sync_bn", "bbox_file", "momentum_config"),
}
_HARMLESS = matcher(
    *("auto_resume", "custom_imports", "evaluation", "load_from", "resume_from", "seed", "randomness", "work_dir"),
    *("val_cfg", "test_cfg.type", "tta_model", "tta_pipeline"),
    *("*.num_workers", "*.persistent_workers", "*.pin_memory", "*.sampler", "*.batch_size", "*.drop_last"),
    *("*.collate_fn", "*.batch_sampler", "*.prefetch_factor", "*.worker_init_fn", "*.timeout"),
    *("data.samples_per_gpu", "data.workers_per_gpu", "data.persistent_workers", "data.pin_memory"),
    *("data.*.samples_per_gpu", "data.*.workers_per_gpu", "data.val_dataloader", "data.test_dataloader"),
)
_TRAINING = matcher(
    *("train_dataloader", "optim_wrapper", "param_scheduler", "train_cfg", "data.train", "data.train_dataloader"),
    *("optimizer", "optimizer_config", "lr_config", "momentum_config", "total_epochs", "runner", "fp16"),
    *("custom_hooks", "auto_scale_lr", "sync_bn"),
)
OPTIMIZERS = ("SGD", "Adam", "AdamW", "RMSprop", "Lamb")
OPTIONS = (bool, int, float, str, tuple, list)  # what an optimiser's may be
# Steps of pipelines that change no pixel of a picture that is tested: those of all packages, and of any of them.
COMMON_STEPS = ("LoadImageFromFile", "LoadAnnotations", "RandomFlip", "ImageToTensor", "Collect")
PLAIN_STEPS = (
    *(*COMMON_STEPS, "LoadImage", "ToTensor", "DefaultFormatBundle"),
    *("PackPoseInputs", "PackDetInputs", "PackSegInputs", "PackInputs", "PackClsInputs"),
)
SCHEDULES = {"MultiStepLR": "MultiStepLR", "CosineAnnealingLR": "CosineAnnealingLR", "PolyLR": "PolynomialLR"}


def why_harmless(path: str) -> str | None:
    """Why nothing is lost with a key that nobody asked for; None where results may change.

    Args:
        path: of the key.
    """
    if path.split(".")[0] not in READ or _HARMLESS(path):
        return NO_EFFECT
    return TRAINING if _TRAINING(path) else None


def loader(settings: Settings, name: str) -> Settings:
    """The section of the data of "train", "val" or "test": a dataloader of 1.x, or what 0.x has below `data`.

    Args:
        settings: the config.
        name: of the data.
    """
    return settings.section("data") if "data" in settings else settings.section(f"{name}_dataloader")


def dataset(settings: Settings, name: str) -> Settings:
    """The data set of "train", "val" or "test", without what repeats it.

    Args:
        settings: the config.
        name: of the data.
    """
    found = loader(settings, name).section(name if "data" in settings else "dataset")
    while "dataset" in found and str(found.peek("type")).endswith("Dataset"):
        found.leave_out("type", "times", "oversample_thr")
        found = found.section("dataset")
    return found


def pipeline(settings: Settings, name: str) -> list[Settings]:
    """The steps of a pipeline, those inside a test-time augmentation in their place.

    Args:
        settings: the config.
        name: of the data.
    """
    steps = dataset(settings, name).sections("pipeline")
    if not steps:
        steps = settings.sections(f"{name}_pipeline")
    found: list[Settings] = []
    for step in steps:
        inner = step.sections("transforms") if kind(step) == "MultiScaleFlipAug" else []
        found += [step, *inner]
    return found


def kind(section: Settings) -> str:
    """The `type` of a part, without the scope before it ("mmdet.LoadAnnotations")."""
    return str(section.peek("type")).rsplit(".", 1)[-1]


def tested_name(settings: Settings) -> str:
    """The data whose pipeline says how pictures are tested: "test", or "val" where there is no other.

    Args:
        settings: the config.
    """
    return "test" if pipeline(settings, "test") else "val"


def read_tested(
    settings: Settings,
    read_step: Callable[[str, Settings], bool],
    plain: Sequence[str] = PLAIN_STEPS,
    normalising: Sequence[str] = ("Normalize",),
    rgb: bool = False,
) -> tuple[dict[str, Any], Settings]:
    """What happens to the pictures that are tested, step by step; what nobody reads is refused.

    Args:
        settings: the config.
        read_step: `read_step(kind, step)` of a task, whether it has read it.
        plain: kinds that change no pixel.
        normalising: kinds that normalise.
        rgb: as in mmpose 0.x: images are RGB anyway, and where no step normalises them there is nothing to read.

    Returns:
        settings of a view, see `read_normalisation`, and the preprocessor, of which a task may read more.
    """
    name = tested_name(settings)
    normalise = None
    for step in pipeline(settings, name):
        step.get("type")
        if kind(step) in normalising:
            normalise = step
        elif kind(step) in plain:
            leave_step(step)
        elif not read_step(kind(step), step):
            step.refuse("type", f"the step {kind(step)} is not supported here")
    preprocessor = find_preprocessor(settings)
    view = {} if rgb and normalise is None else read_normalisation(preprocessor, normalise, rgb)
    leave_preprocessor(preprocessor)
    leave_validation(settings, name)
    return view, preprocessor


def read_size(step: Settings) -> tuple[int, ...] | None:
    """Width and height that a step brings pictures to, also one with others inside; None where it does not say.

    Args:
        step: of the pipeline.
    """
    step.told.understood.add(step.path_of("transforms"))
    size = step.get("scale") or step.get("img_scale")
    if isinstance(size, list | tuple) and len(size) == 2 and all(isinstance(one, int) for one in size):
        return tuple(size)
    if size is not None:
        step.refuse("scale", f"expected width and height, got {size!r}")
    return None


def read_normalisation(preprocessor: Settings, step: Settings | None, rgb: bool = False) -> dict[str, Any]:
    """Mean and deviation of a view, where they are not ImageNet's; BGR is refused.

    Args:
        preprocessor: of 1.x.
        step: of 0.x, that normalises, where there is one.
        rgb: whether images are read as RGB anyway, as in mmpose 0.x.
    """
    source = step if step is not None else preprocessor
    mean, std = source.get("mean"), source.get("std")
    key = "to_rgb" if step is not None else "bgr_to_rgb"
    turned = source.get(key, rgb, bool) or source.get("to_rgb", False, bool)
    source.only("rgb_to_bgr", False)
    if not (_are_numbers(mean) and _are_numbers(std)):
        source.refuse("mean", f"expected three numbers for mean and std, got {mean!r} and {std!r}")
        return {}
    if not turned and not rgb:
        source.refuse(
            key, "the network gets BGR, and here images are RGB: turn its first convolution round and set it to True"
        )
    if max(mean) <= 1:
        mean, std = ([255 * value for value in values] for values in (mean, std))
    same = all(abs(a - b) < 0.01 for a, b in zip([*mean, *std], [*IMAGENET_MEAN, *IMAGENET_STD], strict=True))
    return {} if same else {"mean": tuple(mean), "std": tuple(std)}


def find_preprocessor(settings: Settings) -> Settings:
    """What normalises images in 1.x: of the model, or else of the whole config.

    Args:
        settings: the config.
    """
    inner = settings.section("model").section("data_preprocessor")
    if not inner.values:
        return settings.section("data_preprocessor")
    settings.leave_out("data_preprocessor", why="the model's own is taken")
    return inner


def _are_numbers(values: Any) -> bool:
    numbers = is_sequence(values) and len(values) == 3
    return numbers and all(isinstance(one, int | float) and not isinstance(one, bool) for one in values)


def find_root(settings: Settings, data: Settings, default: str) -> str:
    """The folder of the data: of the data set, or by the name that most configs give it.

    Args:
        settings: the config.
        data: the data set.
        default: where neither says.
    """
    root = data.get("data_root") or settings.peek("data_root")
    return str(PurePosixPath(str(root))) if isinstance(root, str) and root else default


def below(path: Any, root: str) -> str:
    """A path as seen from the folder of the data, where it lies in it.

    Args:
        path: of a file or folder.
        root: the folder.
    """
    seen, folder = PurePosixPath(str(path).replace("\\", "/")), PurePosixPath(root)
    return str(seen.relative_to(folder)) if seen.is_relative_to(folder) else str(seen)


def read_schedule(settings: Settings, iterations: float | None = None) -> dict[str, Any]:
    """Optimiser, schedule and length of the training, as far as we have them; what is not is left out.

    Args:
        settings: the config.
        iterations: steps of an epoch, where the data's size is known; for lengths that are counted in steps.
    """
    old = "optim_wrapper" not in settings
    epochs = _read_epochs(settings, old, iterations)
    wrapper = settings if old else settings.section("optim_wrapper")
    if epochs is None or "optimizer" not in wrapper:
        return {}
    optimizer = dict(wrapper.get("optimizer"))
    # By a type that is not registered mmengine calls whatever it names, such as os.system.
    if optimizer.get("type") not in OPTIMIZERS or not isinstance(optimizer.get("lr"), int | float):
        wrapper.told.left_out[wrapper.path_of("optimizer")] = f"training only: not one of {', '.join(OPTIMIZERS)}"
        wrapper.told.understood.discard(wrapper.path_of("optimizer"))
        return {}
    plain = {key: value for key, value in optimizer.items() if isinstance(value, OPTIONS)}
    own: dict[str, Any] = {"optimizer": {"type": str(optimizer["type"]), **plain}}
    paramwise = optimizer.get("paramwise_cfg") if old else wrapper.peek("paramwise_cfg")
    clip = settings.peek("optimizer_config", "grad_clip") if old else wrapper.peek("clip_grad")
    if isinstance(clip, dict):
        own["clip_grad"] = {key: value for key, value in clip.items() if isinstance(value, OPTIONS)}
    if isinstance(paramwise, dict):
        settings.told.left_out["paramwise_cfg"] = "training only: names of layers differ"
    schedules = _old_schedules(settings, epochs) if old else _schedules(settings, epochs, iterations)
    found = {
        "train_cfg": {"max_epochs": epochs, "val_interval": 1},
        "optim_wrapper": own,
        "param_scheduler": schedules,
        "load_from": None,
        "seed": 0,
    }
    batch = settings.section("auto_scale_lr").get("base_batch_size")
    if isinstance(batch, int):
        found["base_batch_size"] = batch
    return found


def _read_epochs(settings: Settings, old: bool, iterations: float | None) -> int | None:
    """The length of the training in epochs; None where it is counted in steps and nobody knows how many one has."""
    if old:
        epochs = settings.peek("runner", "max_epochs") or settings.peek("total_epochs")
        steps = settings.peek("runner", "max_iters") or settings.peek("total_iters")
    else:
        epochs, steps = settings.peek("train_cfg", "max_epochs"), settings.peek("train_cfg", "max_iters")
    if isinstance(epochs, int) and epochs > 0:
        return epochs
    if isinstance(steps, int) and steps > 0 and iterations:
        return max(round(steps / iterations), 1)
    if steps is not None:
        settings.told.left_out["train_cfg"] = "training only: counted in steps; set train_cfg.max_epochs"
    return None


def _schedules(settings: Settings, epochs: int, iterations: float | None) -> list[dict[str, Any]]:
    """The schedules of 1.x, lengths as shares of the training."""
    found = []
    for one in settings.sections("param_scheduler"):
        name, by_epoch = kind(one), one.peek("by_epoch") is not False
        if name in ("LinearLR", "ConstantLR"):
            plain = ("start_factor", "end_factor", "factor", "by_epoch", "begin", "end")
            found.append({"type": name, **{key: one.values[key] for key in plain if key in one.values}})
            continue
        if name not in SCHEDULES:
            one.leave_out("type", why=f"training only: no {name} here")
            continue
        total = epochs if by_epoch else epochs * (iterations or 0)
        own: dict[str, Any] = {"type": SCHEDULES[name], "by_epoch": True}
        if name == "MultiStepLR":
            own["milestones"] = _shares(one.peek("milestones"), total)
            own["gamma"] = one.peek("gamma") or 0.1
        else:
            own |= {key: one.values[key] for key in ("eta_min", "power") if key in one.values}
            own["convert_to_iter_based"] = True
        found.append(own)
    return found


def _old_schedules(settings: Settings, epochs: int) -> list[dict[str, Any]]:
    """The schedule of 0.x and its warm-up."""
    found: list[dict[str, Any]] = []
    config = settings.section("lr_config")
    if config.peek("warmup") == "linear":
        ratio, steps = config.peek("warmup_ratio") or 0.1, config.peek("warmup_iters") or 500
        found.append({"type": "LinearLR", "start_factor": ratio, "by_epoch": False, "begin": 0, "end": steps})
    policy = str(config.peek("policy")).lower()
    if policy == "step":
        gamma = config.peek("gamma") or 0.1
        milestones = _shares(config.peek("step"), epochs)
        found.append({"type": "MultiStepLR", "by_epoch": True, "milestones": milestones, "gamma": gamma})
    elif policy in ("poly", "cosineannealing"):
        own: dict[str, Any] = {"type": "PolynomialLR" if policy == "poly" else "CosineAnnealingLR", "by_epoch": True}
        if config.peek("min_lr"):
            own["eta_min"] = config.peek("min_lr")
        if policy == "poly":
            own["power"] = config.peek("power") or 1.0
        found.append(own | {"convert_to_iter_based": True})
    return found


def _shares(steps: Any, total: float) -> list[float]:
    steps = steps if isinstance(steps, Sequence) else [steps]
    return [one / total for one in steps if isinstance(one, int | float) and total and 0 < one < total]


def batch_size(settings: Settings, name: str, default: int) -> int:
    """Images of a batch on one GPU.

    Args:
        settings: the config.
        name: of the data.
        default: where the config does not say.
    """
    part = loader(settings, name)
    old = part.peek(f"{name}_dataloader", "samples_per_gpu") or part.peek("samples_per_gpu")
    value = old or part.get("batch_size")
    return value if isinstance(value, int) and value > 0 else default


def leave_step(step: Settings) -> None:
    """Leave out a step of `PLAIN_STEPS`.

    Args:
        step: of the pipeline of pictures that are tested.
    """
    step.only("color_type", "color", "unchanged", why="images are RGB here")
    step.only("channel_order", "bgr", "rgb")
    step.leave_rest(NO_EFFECT)


def leave_validation(settings: Settings, taken: str) -> None:
    """Leave out the pipeline of the validation data, for which that of the test data stands.

    Args:
        settings: the config.
        taken: "test", or "val" where there is no other.
    """
    if taken == "test":
        ours, others = (dataset(settings, name).peek("pipeline") for name in ("test", "val"))
        why = REPEATED if ours == others else "training only: the pipeline of the test data stands for it"
        for step in pipeline(settings, "val"):
            step.leave_rest(why)


def leave_test_data(settings: Settings) -> None:
    """Leave out the test data, where ours are those of the validation.

    Args:
        settings: the config.
    """
    data = dataset(settings, "test")
    same = dict(data.values) == dict(dataset(settings, "val").values)
    data.leave_rest(REPEATED if same else "for predicting only: give it as validation data")


def leave_preprocessor(preprocessor: Settings) -> None:
    """Leave out what changes nothing of pictures that are tested one by one.

    Args:
        preprocessor: of the model.
    """
    preprocessor.leave_out("type", "_scope_", "non_blocking", "num_classes", "to_onehot", why=NO_EFFECT)
    preprocessor.leave_out("pad_val", "seg_pad_val", "size", "size_divisor", "pad_mask", "mask_pad_value", "pad_seg")
    preprocessor.leave_out("batch_augments", "boxtype2tensor")


def leave_data(data: Settings, name: str) -> None:
    """Leave out what changes nothing of a data set, of training data all that was not asked for.

    Args:
        data: the data set.
        name: of the data.
    """
    if name == "train":
        data.leave_rest(TRAINING)
    harmless = ("type", "pipeline", "data_mode", "metainfo", "dataset_info", "test_mode", "backend_args", "lazy_init")
    data.leave_out(*harmless, "serialize_data", "max_refetch", "_scope_", "classes", "file_client_args", why=NO_EFFECT)


def leave_metric(settings: Settings, name: str, config: Mapping[str, Any]) -> None:
    """Leave out the metric of data that repeat others, or that are not supported and left out themselves.

    Args:
        settings: the config.
        name: of the data.
        config: ours.
    """
    names = ("ann_file", "outfile_prefix", "collect_device", "prefix", "backend_args")
    here, validated = (
        [{key: value for key, value in one.values.items() if key not in names} for one in settings.sections(key)]
        for key in (f"{name}_evaluator", "val_evaluator")
    )
    if name == "test" and here != validated and "val_dataloader" in config:
        settings.refuse("test_evaluator", "not the metric of the validation; a config of ours has one for both")
    for metric in settings.sections(f"{name}_evaluator"):
        metric.leave_rest(REPEATED)
