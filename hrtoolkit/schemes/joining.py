"""One scheme for data sets whose keypoints are not the same: the union of their names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from hrtoolkit.errors import DataError
from hrtoolkit.schemes.base import KeypointScheme, Scheme


def join_schemes(schemes: Mapping[str, Scheme]) -> Scheme:
    """The scheme whose outputs are those of all; classes, and keypoints that are the same, are as the first has them.

    Names are those that all data sets have (`KeypointScheme.common_names`), in the order in which they appear; what is
    said of them is what the first says that says it. OKS needs the fall-off of every keypoint: where one has none, the
    union has none.

    Args:
        schemes: of data sets, by what messages call them.

    Raises:
        DataError: two of them mean one keypoint by different names, as far as names tell, or have other partners for
            it in mirrored images.
    """
    first, *others = schemes.values()
    if not isinstance(first, KeypointScheme) or all(one.names == first.names for one in others):
        return first
    schemes = {where: one.common() for where, one in schemes.items()}
    known: dict[frozenset[str], tuple[str, str]] = {}  # by its words: a name, and who has it
    partners: dict[str, tuple[str, str]] = {}
    sigmas: dict[str, float] = {}
    for where, scheme in schemes.items():
        assert isinstance(scheme, KeypointScheme), "one branch reads one kind of truth"
        for name in scheme.names:
            same, who = known.setdefault(_words(name), (name, where))
            if same != name:
                raise DataError(
                    f"{who} has a keypoint {same!r} and {where} has {name!r}, which look like one: give both one name "
                    "in their files, or in the dataset's scheme, as in "
                    f"scheme=dict(common_names=[[{name!r}, {same!r}]])"
                )
        for pair in scheme.mirrored:
            for name, partner in (pair, pair[::-1]):
                other, who = partners.setdefault(name, (partner, where))
                if other != partner:
                    raise DataError(f"{name!r} mirrors to {other!r} in {who}, but to {partner!r} in {where}")
        sigmas |= {name: one for name, one in zip(scheme.names, scheme.sigmas, strict=False) if name not in sigmas}
    names = tuple(name for name, _ in known.values())
    mirrored = tuple(dict.fromkeys(pair for one in schemes.values() for pair in _sorted_pairs(one, names)))
    lines = [line for one in schemes.values() if isinstance(one, KeypointScheme) for line in one.skeleton]
    upper = [name for one in schemes.values() if isinstance(one, KeypointScheme) for name in one.upper_body]
    lower = [name for one in schemes.values() for name in _lower_body(one)]
    terms = [one.terms for one in schemes.values() if isinstance(one, KeypointScheme) and one.terms]
    return KeypointScheme(
        names=names,
        mirrored=mirrored,
        skeleton=tuple(dict.fromkeys(lines)),
        sigmas=tuple(sigmas[name] for name in names) if sigmas.keys() >= set(names) else (),
        upper_body=tuple(dict.fromkeys(upper)),
        lower_body=tuple(dict.fromkeys(lower)),
        terms="; ".join(dict.fromkeys(terms)),
    )


def _lower_body(scheme: Scheme) -> Sequence[str]:
    """The names of the lower half, also where the scheme leaves them to be all others."""
    assert isinstance(scheme, KeypointScheme), "one branch reads one kind of truth"
    upper = scheme.upper_body
    return scheme.lower_body or ([name for name in scheme.names if name not in upper] if upper else [])


def _words(name: str) -> frozenset[str]:
    """The words of a name, whatever their order and what stands between them: left_hip, Hip Left, leftHip."""
    return frozenset(re.findall(r"[a-z]+|\d+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()))


def _sorted_pairs(scheme: Scheme, names: tuple[str, ...]) -> list[tuple[str, str]]:
    """Mirror pairs, each in the order of the names, so that the same pair is known again."""
    return [(a, b) if names.index(a) < names.index(b) else (b, a) for a, b in scheme.mirrored]
