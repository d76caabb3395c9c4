"""The same as `hrtoolkit check --config-only`."""

import sys

from hrtoolkit.commands import run_verb

if __name__ == "__main__":
    run_verb("check", ["--config-only", *sys.argv[1:]])
