"""Published weights by name: found, or fetched once, checked, and kept in torch's cache.

HRTOOLKIT_WEIGHTS names a folder or an address with copies, for machines without a network: they are looked for there
first.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
from pathlib import Path, PurePosixPath
from urllib.parse import quote, unquote, urlsplit

import timm
import torch

from hrtoolkit.config.load import find_config
from hrtoolkit.downloads import NotThere, download, hash_file
from hrtoolkit.errors import CheckpointError, suggest
from hrtoolkit.files import write_atomically
from hrtoolkit.published import NAME, numbers_of, read_published
from hrtoolkit.terms import tell_terms_of_weights

TIMM_PREFIX = "timm/"
COPIES = "HRTOOLKIT_WEIGHTS"
# Who puts the beginning of a file's SHA-256 into its name: NAME-HASH.pth, with a date before or after it.
HASHED = ("download.openmmlab.com", "open-mmlab.s3.ap-northeast-2.amazonaws.com", "download.pytorch.org")
_HASH = re.compile(r"[-_](?!20\d{6})([0-9a-f]{8,64})([-_]20\d{6})?$")

_fetched: dict[str, Path] = {}  # by this process


def stands_for(name: str) -> str:
    """What "CONFIG@timm" stands for, "timm/NAME"; any other name as it is.

    Raises:
        CheckpointError: the config has no such weights.
    """
    named = NAME.fullmatch(name)
    file = _published_file(*named.groups()) if named else ""
    return file if file.startswith(TIMM_PREFIX) else name


def find_weights(name: str) -> Path:
    """The file of "CONFIG@official" and the like, of an address, or of "timm/NAME"; fetched where it is not there yet.

    Raises:
        CheckpointError: there is no such file, or it cannot be fetched.
    """
    if name.startswith(TIMM_PREFIX):
        return _find_timm(name)
    if named := NAME.fullmatch(name):
        file = _published_file(*named.groups())
        if "://" in file:
            return _find(name, PurePosixPath(urlsplit(file).path).name, file)
        task = sys.modules.get(f"hrtoolkit.tasks.{find_config(named[1]).parent.name}")  # imported by the config
        return _find(name, file, None, getattr(task, "OFFICIAL_PAGE", "its authors' page"))
    path = PurePosixPath(unquote(urlsplit(name).path))
    if expected_hash(name):
        return _find(name, path.name, name)
    # Releases share names such as model_best.pth: the address tells them apart.
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return _find(name, f"{path.stem}-{digest}{path.suffix}", name, copies=False)


def copy_to_cache(address: str) -> None:
    """Put the file of an address where torch's own loaders find it.

    Args:
        address: with a hash in its name, as torchvision's have.

    Raises:
        CheckpointError: it cannot be fetched.
    """
    path = find_weights(address)
    kept = _cache() / path.name
    if path != kept:
        with path.open("rb") as file, write_atomically(kept, "wb") as copy:
            shutil.copyfileobj(file, copy)


def published_numbers(name: str) -> str:
    """What is published of "CONFIG@official" and the like; "" of any other name."""
    named = NAME.fullmatch(name)
    return numbers_of(read_published(find_config(named[1]))[named[2]]) if named else ""


def forget(name: str) -> bool:
    """Remove what this process has fetched by a name and what turned out to be something else; whether it has."""
    path = _fetched.pop(name, None)
    if path is not None:
        path.unlink(missing_ok=True)
    return path is not None


def _published_file(config: str, source: str) -> str:
    file = read_published(find_config(config)).get(source, {}).get("file")
    if file is None:
        raise CheckpointError(f"{config}@{source}: this config has no weights called {source!r}")
    return file


def _find_timm(name: str) -> Path:
    plain, known = name.removeprefix(TIMM_PREFIX), timm.list_pretrained()
    config = None
    if plain in known or plain in {one.partition(".")[0] for one in known}:
        config = timm.models.get_pretrained_cfg(plain)
    if config is None or config.custom_load or not (config.hf_hub_id or isinstance(config.url, str)):
        near = suggest(plain, known) or "; timm.list_pretrained() lists all"
        raise CheckpointError(f"{name}: timm has no such weights that are read here{near}")
    if not config.hf_hub_id:
        address = str(config.url)
        return _find(name, PurePosixPath(urlsplit(address).path).name, address)
    file = config.hf_hub_filename or "model.safetensors"
    if cached := _find_in_hub_cache(config.hf_hub_id, file):
        return Path(cached)
    hub = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
    address = f"{hub}/{config.hf_hub_id}/resolve/main/{file}"
    own = f"{config.hf_hub_id.rpartition('/')[2]}{PurePosixPath(file).suffix}"
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        return _find(name, own, None, f"{address} (HF_HUB_OFFLINE is set)")
    return _find(name, own, address)


def _cache() -> Path:
    return Path(torch.hub.get_dir(), "checkpoints")


def _find_in_hub_cache(repository: str, file: str) -> str | None:
    try:
        from huggingface_hub import try_to_load_from_cache
    except ImportError:
        return None
    found = try_to_load_from_cache(repository, file)
    return found if isinstance(found, str) else None


def _find(name: str, file: str, address: str | None, page: str = "", copies: bool = True) -> Path:
    """A file from the folder of copies, the cache, the address of copies, or its own address, in this order.

    Args:
        name: what messages call it.
        file: its own name.
        address: None where only a page is known, from which people fetch it by hand.
        page: that one.
        copies: whether there may be some.
    """
    cache, sha256 = _cache(), expected_hash(address)
    place = os.environ.get(COPIES, "") if copies else ""
    folder = Path(place).expanduser() if place and "://" not in place else cache
    for path in (folder / file, cache / file):
        if path.is_file():
            if sha256 and not hash_file(path).startswith(sha256):
                raise CheckpointError(f"{path}: not {name}, whose SHA-256 begins with {sha256}; remove this file")
            return path
    addresses = [f"{place.rstrip('/')}/{quote(file)}"] if "://" in place else []
    addresses += [] if address is None else [address]
    problems = []
    for one in addresses:
        try:
            _fetched[name] = download(one, cache / file, sha256)
            tell_terms_of_weights(name, file, address)
            return _fetched[name]
        except CheckpointError as error:
            problems.append(str(error))
            if not isinstance(error, NotThere):
                break
    what = f"{file} from {page}" if address is None else f"{address} elsewhere"
    remedy = f"fetch {what} and put it here: {folder / file}; or name your file"
    raise CheckpointError("; ".join([f"{name} is not here", *problems, remedy]))


def expected_hash(address: str | None) -> str:
    """What the SHA-256 of a file begins with, where its address tells; else ""."""
    parts = urlsplit(address or "")
    found = _HASH.search(PurePosixPath(parts.path).stem) if parts.hostname in HASHED else None
    return found[1] if found else ""
