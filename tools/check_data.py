"""Check the data of a config: annotations, images, and whether the metric can reach its best; last line json.

python tools/check_data.py configs/pose/hrnet_w32_coco.py --data-root /data/coco

A finding says stop (training will not start), warning (most likely a fault) or note. Exit code 1 with a stop.
"""

import json
from collections import Counter
from dataclasses import asdict

from hrtoolkit.cli import make_parser, run_tool
from hrtoolkit.config import check_config, load_config
from hrtoolkit.data.doctor import Finding, examine
from hrtoolkit.engine.run import build_dataset, build_evaluator
from hrtoolkit.engine.runner import start_logging
from hrtoolkit.errors import DataError


def main() -> int:
    args = make_parser(__doc__).parse_args()
    start_logging()
    config = load_config(args.config, args.overrides, args.data_root)
    check_config(config)
    datasets, evaluators, findings = {}, {}, []
    for name in ("train", "val", "test"):
        loader, evaluator = config.get(f"{name}_dataloader"), config.get(f"{name}_evaluator")
        if not loader:
            continue
        try:
            datasets[name] = build_dataset({**loader.dataset, "strict": False})
        except DataError as error:  # the file as a whole is of no use: go on with the others
            remedy = "this file is not checked any further"
            findings.append(Finding("stop", f"{name} data", str(error), (), 0, remedy))
        else:
            if evaluator:
                evaluators[name] = build_evaluator(evaluator)
    findings += examine(datasets, evaluators, read_images=True)

    order = ("stop", "warning", "note")
    for finding in sorted(findings, key=lambda finding: order.index(finding.level)):
        print(finding)
    levels = Counter(finding.level for finding in findings)
    for name, dataset in datasets.items():
        print(f"{name}: {len(dataset)} samples in {len(dataset.image_files().paths)} images")
    print(f"{levels['stop']} stop training, {levels['warning']} warnings, {levels['note']} notes")
    print(json.dumps({level: levels[level] for level in order} | {"findings": [asdict(f) for f in findings]}))
    return int(levels["stop"] > 0)


if __name__ == "__main__":
    run_tool(main)
