"""Keypoints of public data sets as they are published, by the names that configs use: `layouts.json` beside this."""

from __future__ import annotations

import json
from pathlib import Path

from hrtoolkit.schemes.base import KeypointScheme

LAYOUTS = {
    name: KeypointScheme(**fields)
    for name, fields in json.loads(Path(__file__).with_name("layouts.json").read_text(encoding="utf-8")).items()
}
