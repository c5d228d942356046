"""What `make test` and `make test-all` run: python -m tests [--all] [options of pytest]

Two processes of pytest at once, for two cores. The second one interrupts and kills things, which the first one's compilers need not
live through. The first one's lines are seen as they come, the second one's when both have ended.

Without --all, tests marked `long` are left out: minutes of exports, compilations and large networks, beside which a smaller one of
the same kind always runs. With it, each process names the long tests that it adds.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time

PARTS = (
    ("tests/unit", "tests/test_layers.py", "samples/plugin/tests"),
    ("tests/conformance", "tests/pipeline", "tests/faults", "tests/docs", "tests/gpu"),
)
NOTHING_SELECTED = 5
"""pytest's exit status where options leave no test of a part."""


def main(arguments: list[str]) -> int:
    """Run both parts; the first exit status that is no success."""
    left_out = [] if "--all" in arguments else ["-m", "not long"]
    options = [*left_out, *(a for a in arguments if a != "--all")]
    start = time.monotonic()
    with tempfile.TemporaryFile() as log:
        commands = [[sys.executable, "-m", "pytest", *part, *options] for part in PARTS]
        second = subprocess.Popen(commands[1], stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        try:
            codes = [subprocess.run(commands[0], check=False).returncode, second.wait()]
        except KeyboardInterrupt:  # which both have had from the terminal
            codes = [130, second.wait()]
        log.seek(0)
        sys.stdout.flush()
        sys.stdout.buffer.write(log.read())
    print(f"both parts: {time.monotonic() - start:.0f} s")
    failed = [code for code in codes if code not in (0, NOTHING_SELECTED)]
    return failed[0] if failed else min(codes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
