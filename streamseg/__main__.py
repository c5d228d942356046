"""`streamseg` and `python -m streamseg`: the command line, interruptible from its very first import."""

import sys


def main() -> None:
    """Run the command line; an interrupt during start-up is one line and exit code 130."""
    try:
        from streamseg.cli import main as run

        run()
    except KeyboardInterrupt:
        print("streamseg: interrupted", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
