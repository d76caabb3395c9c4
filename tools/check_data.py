"""Check the data of a config: annotations, images, and whether the metric can reach its best; last line json.

python tools/check_data.py configs/pose/hrnet_w32_coco.py --data-root /data/coco

A finding says stop (training will not start), warning (most likely an error) or note. Exit code 1 with a stop.
"""

import json
from collections import Counter
from dataclasses import asdict

from hrtoolkit.cli import make_parser, run_tool
from hrtoolkit.config import load_config
from hrtoolkit.data.doctor import image_files, looked_at_samples
from hrtoolkit.engine.check_data import check_data
from hrtoolkit.engine.runner import start_logging


def main() -> int:
    args = make_parser(__doc__).parse_args()
    start_logging()
    samples, findings = check_data(load_config(args.config, args.overrides, args.data_root))
    order = ("stop", "warning", "note")
    for finding in sorted(findings, key=lambda finding: order.index(finding.level)):
        print(finding)
    levels = Counter(finding.level for finding in findings)
    for name, one in samples.items():
        crops = one.crops()
        images = image_files(one.images, looked_at_samples(one))
        print(f"{name}: {len(one if crops is None else crops.samples)} samples in {len(images.ids)} images")
    print(f"{levels['stop']} stop training, {levels['warning']} warnings, {levels['note']} notes")
    print(json.dumps({level: levels[level] for level in order} | {"findings": [asdict(f) for f in findings]}))
    return int(levels["stop"] > 0)


if __name__ == "__main__":
    run_tool(main)
