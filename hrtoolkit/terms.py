"""Terms of use, each told once a process: of public keypoint sets that are trained on, and of weights that are fetched.

They are what was found stated. Data of somebody's own has none, though its keypoints may be those of a public set.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterable

from hrtoolkit.schemes import KeypointScheme, Scheme
from hrtoolkit.zoo import read_zoo

log = logging.getLogger(__name__)


def tell_terms_of_data(schemes: Iterable[Scheme]) -> None:
    """Log the terms of the public sets that are trained on.

    Args:
        schemes: that the config states for its training data; those that state no terms are passed over.
    """
    for scheme in schemes:
        if isinstance(scheme, KeypointScheme) and scheme.title and scheme.terms:
            remark = "they are of its own files, and may reach weights that are trained on them"
            _tell(f"terms of use of {scheme.title}: {scheme.terms} ({remark})")


def tell_terms_of_weights(*names: str | None) -> None:
    """Log the terms of published weights, and of the data that they were trained on.

    Args:
        names: what they are called: CONFIG@openmmlab, a file, an address. Nothing is known of what no shipped config
            publishes.
    """
    zoo = read_zoo()
    for row in zoo["configs"]:
        for source, entry in row["published"].items():
            if "file" in entry and {entry["file"], f"{row['name']}@{source}"} & set(names):
                data = zoo["data"][row["data"]]
                return _tell(
                    f"terms of use of weights from {source}: {zoo['weights'][source]}; they were trained on "
                    f"{data['name']}, whose terms may reach them: {data['terms']}"
                )


@functools.cache
def _tell(text: str) -> None:
    log.info(text)
