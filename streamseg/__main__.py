"""`streamseg` and `python -m streamseg`: the command line, interruptible from its very first import."""

import signal
import sys
from types import FrameType


def main() -> None:
    """Run the command line; an interrupt during start-up is one line and exit code 130."""
    signal.signal(signal.SIGTERM, _end)  # a run has its own way to end
    try:
        from streamseg.cli.main import main as run

        run()
    except KeyboardInterrupt:
        print("streamseg: interrupted", file=sys.stderr)
        sys.exit(130)


def _end(number: int, _frame: FrameType | None) -> None:
    """Leave by way of everybody's clearing up, with the exit code of a process that the signal ended."""
    sys.exit(128 + number)


if __name__ == "__main__":
    main()
