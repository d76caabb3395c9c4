"""`python -m hrtoolkit`, the same as the `hrtoolkit` command."""

from hrtoolkit.commands import main

if __name__ == "__main__":
    main()
