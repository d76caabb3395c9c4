"""What the documentation site does besides: pages that lie at the repository's root, README.md as the first one."""

import re
from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[1]
ALONE = ("index.md", "model_zoo.md", "how_it_is_built.md")  # pages without others beside them
FROM_ROOT = ("CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "CITATION.cff")


def on_files(files, config):
    for name in FROM_ROOT:
        files.append(File.generated(config, name, abs_src_path=str(ROOT / name)))
    return files


def on_page_read_source(page, config) -> str | None:
    """The text of a page: links of those from the root begin there, and comments for tests alone are left out."""
    is_first = page.file.src_uri == "index.md"
    text = (ROOT / "README.md" if is_first else Path(page.file.abs_src_path)).read_text(encoding="utf-8")
    if is_first or page.file.src_uri in FROM_ROOT:
        text = text.replace("](docs/", "](")
    return re.sub(r"^ *<!-- test: .*? -->\n", "", text, flags=re.MULTILINE)


def on_page_markdown(markdown, page, config, files):
    if page.file.src_uri in ALONE:
        page.meta["hide"] = ["navigation"]
