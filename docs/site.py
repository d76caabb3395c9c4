"""What the documentation site does besides: its first page is README.md, whose links start at the repository's root."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def on_page_read_source(page, config) -> str | None:
    """README.md in place of the first page; comments that are for tests alone are left out everywhere."""
    is_first = page.file.src_uri == "index.md"
    path = ROOT / "README.md" if is_first else Path(page.file.abs_src_path)
    text = path.read_text(encoding="utf-8")
    if is_first:
        text = re.sub(r"(\]\(|src=\")docs/", r"\1", text)
    return re.sub(r"^ *<!-- test: .*? -->\n", "", text, flags=re.MULTILINE)
