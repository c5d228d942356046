"""Child: has the modules of this room ready, and runs one in a fork of itself for each line of JSON that it reads.

A line names `module`, `arguments` and `environment`; the answer, a line as well, is the fork's exit status, `code`, and what it
wrote, `out` and `err`. So torch and triton, which take seconds, are imported once.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import tempfile
import warnings
from importlib import import_module

from streamseg.errors import MissingExtra

MODULES = ("called", "decoded")
LIMIT = 100
"""Seconds that a fork may take."""


def main() -> None:
    """See above."""
    modules = {name: import_module(f"tests.driver.{name}") for name in MODULES}
    with contextlib.suppress(MissingExtra):
        import_module("streamseg.gpu.kernels")
    for line in sys.stdin:
        asked = json.loads(line)
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # from 3.12 of numpy's threads, which know of forks
                pid = os.fork()
            if pid == 0:
                signal.alarm(LIMIT)
                os.dup2(out.fileno(), 1)
                os.dup2(err.fileno(), 2)
                os.environ.update(asked["environment"])
                modules[asked["module"]].main(*asked["arguments"])
                return
            code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            texts = [file.seek(0) or file.read().decode() for file in (out, err)]
        print(json.dumps({"code": code, "out": texts[0], "err": texts[1]}), flush=True)


if __name__ == "__main__":
    main()
