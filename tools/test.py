"""The same as `hrtoolkit test`."""

from hrtoolkit.commands import run_verb

if __name__ == "__main__":
    run_verb("test")
