"""The same as `hrtoolkit browse`."""

from hrtoolkit.commands import run_verb

if __name__ == "__main__":
    run_verb("browse")
