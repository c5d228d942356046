"""What `make test` and `make test-all` run: python -m tests [--all] [options of pytest]

Two processes of pytest at once, for two cores. The second one interrupts and kills things, which the first one's compilers need not
live through. The first one's lines are seen as they come, the second one's when both have ended.

Without --all, tests marked `long` are left out: minutes of exports, compilations and large networks, beside which a smaller one of
the same kind always runs. With it, each process names the long tests that it adds.

A process that stands still in native code, where pytest's own time limit does not reach, shows all its stacks and is ended. What it
had not done runs in a new one, the test that stood still first; if it does so again, the run fails. It is named at the end.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.progress import NOTES

PARTS = (
    ("tests/unit", "tests/test_layers.py", "samples/plugin/tests"),
    ("tests/conformance", "tests/pipeline", "tests/faults", "tests/docs", "tests/gpu"),
)
NOTHING_SELECTED = 5
"""pytest's exit status where options leave no test of a part."""
PATIENCE = 400.0
"""Seconds without a test's beginning or end; pytest ends a test in Python after 300."""


class Part:
    """One process of pytest, and those that go on where one stood still."""

    def __init__(self, command: list[str], folder: Path, log: Path | None = None) -> None:
        self._command, self._log = command, log
        self._notes = folder / "notes"
        self._notes.touch()
        self._process = self._start()
        self.stood_still: list[str] = []

    def _start(self) -> subprocess.Popen[bytes]:
        environment = os.environ | {NOTES: str(self._notes)}
        with open(self._log, "ab") if self._log else contextlib.nullcontext() as log:
            return subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True
            )

    def poll(self) -> int | None:
        """Its exit status; None: it runs."""
        if (status := self._process.poll()) is not None:
            return status or int("failed" in self._kinds())
        if time.time() - self._notes.stat().st_mtime < PATIENCE:
            return None
        last = (self._notes.read_text().splitlines() or ["before the first test"])[-1].removeprefix("begin ")
        print(f"\n{last} stands still; its threads:\n{threads_of(self._process.pid)}", flush=True)
        self.end(signal.SIGABRT)  # pytest has faulthandler show the stacks of all threads
        if last in self.stood_still:
            return 1
        self.stood_still.append(last)
        self._notes.touch()
        self._process = self._start()
        return None

    def _kinds(self) -> set[str]:
        return {line.partition(" ")[0] for line in self._notes.read_text().splitlines()}

    def end(self, number: int) -> int:
        """End it, and what it has started."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._process.pid, number)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        return self._process.wait()


def threads_of(pid: int) -> str:
    """How each thread of a process is: its state (S waits, R runs or wants to), what it waits for, how often it has waited."""
    lines = []
    for task in sorted(Path(f"/proc/{pid}/task").glob("*")):
        with contextlib.suppress(OSError):
            state = (task / "stat").read_text().rpartition(")")[2].split()[0]
            status = dict(line.split(":\t", 1) for line in (task / "status").read_text().splitlines() if ":\t" in line)
            switches = status.get("voluntary_ctxt_switches", "?")
            lines.append(f"{task.name} {status['Name']} {state} {(task / 'wchan').read_text()} {switches}")
    return "\n".join(lines)


def run(commands: list[list[str]]) -> int:
    """Run both; the first exit status that is no success."""
    start = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="streamseg-tests-"))
    try:
        log = folder / "log"
        log.touch()
        parts: list[Part] = []
        for number, command in enumerate(commands):
            (folder / str(number)).mkdir()
            parts.append(Part(command, folder / str(number), log if number else None))
        try:
            while None in (codes := [part.poll() for part in parts]):
                time.sleep(0.5)
        except KeyboardInterrupt:
            codes = [part.end(signal.SIGINT) and 130 for part in parts]
        sys.stdout.flush()
        sys.stdout.buffer.write(log.read_bytes())
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    for test in (test for part in parts for test in part.stood_still):
        print(f"stood still in native code once (its stacks are above): {test}")
    print(f"both parts: {time.monotonic() - start:.0f} s")
    failed = [code for code in codes if code not in (0, NOTHING_SELECTED)]
    return failed[0] if failed else min(codes)


def main(arguments: list[str]) -> int:
    """Run the parts with options of pytest."""
    left_out = [] if "--all" in arguments else ["-m", "not long"]
    options = [*left_out, *(a for a in arguments if a != "--all")]
    return run([[sys.executable, "-m", "pytest", "-p", "tests.progress", *part, *options] for part in PARTS])


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: the parts end, too
    sys.exit(main(sys.argv[1:]))
