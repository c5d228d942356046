"""`python -m tests.soak --minutes 30 --seed 1`: what was done, the slopes, and all faults; exit code 1 where there is one."""

from __future__ import annotations

import argparse
import sys

from tests.soak.soak import soak


def main() -> int:
    """Run it and tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--leak", action="store_true", help="with a stage that leaks, which must be found")
    asked = parser.parse_args()
    report = soak(asked.minutes, asked.seed, leak=asked.leak, say=lambda text: print(text, flush=True))
    memory, files, threads = report.slopes()
    print(f"{report.frames} frames, {report.private} looked at for people; done: {dict(report.done)}")
    print(f"a minute: memory {memory:+.2f} MB, files {files:+.2f}, threads {threads:+.2f}")
    for fault in (faults := report.judged()):
        print(f"FAULT: {fault}")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
