"""Write docs/model_zoo.md and configs/model_zoo.json from the configs: python tools/make_model_zoo.py"""

import json
from pathlib import Path

from hrtoolkit.files import write_atomically
from hrtoolkit.zoo import ZOO, make_zoo, write_markdown

ROOT = Path(__file__).parent.parent

if __name__ == "__main__":
    zoo = make_zoo()
    with write_atomically(ROOT / "configs" / ZOO) as file:
        json.dump(zoo, file, indent=1)
        file.write("\n")
    with write_atomically(ROOT / "docs" / "model_zoo.md") as file:
        file.write(write_markdown(zoo))
    print(f"{len(zoo['configs'])} configs")
