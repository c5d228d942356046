"""Runs the inputs of a part in child processes, and finds the one that crashes, hangs, grows or raises what it should not."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.fuzz.worker import HANG

__all__ = ["Campaign", "Finding", "Totals"]

ROOT = Path(__file__).parents[2]
BATCH = 500
"""Inputs of one process."""
START = 60.0
"""Seconds that a child may take to import and prepare."""
UNMADE = "in make\n"
"""In the trace of a crash: libav's own muxers abort on some of the packets that an input is to be made of."""
PATIENCE = 5
"""Times that HANG seconds are granted again to one that waits for a core."""
ALIKE = 3
"""Findings of one kind that are kept."""


@dataclass
class Finding:
    """One input that must not end as it does."""

    part: str
    seed: int
    index: int
    first: int
    """Where its process must begin for it to happen again: `index`, unless it depends on those before it."""
    kind: str
    detail: str
    path: Path | None = None

    @property
    def command(self) -> str:
        """Shows it again."""
        count = self.index - self.first + 1
        return f'make fuzz FUZZ="{self.part} --seed {self.seed} --start {self.first} --count {count}"'


@dataclass
class Totals:
    """What a campaign found."""

    inputs: int = 0
    seconds: float = 0.0
    outcomes: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    slowest: tuple[float, int] = (0.0, 0)
    """Seconds, and which input."""
    largest: tuple[int, int] = (0, 0)
    """Bytes by which the process grew, and at which input."""


class Campaign:
    """`count` inputs of a part from number `start` on; what is found goes into folders of `keep`."""

    def __init__(self, part: str, seed: int, work: Path, keep: Path, say: Callable[[str], None] = print) -> None:
        self.part, self.seed, self.work, self.keep, self.say = part, seed, work, keep, say
        self.totals = Totals()
        work.mkdir(parents=True, exist_ok=True)

    def run(self, start: int, count: int) -> Totals:
        """Run them all."""
        began, index, end = time.monotonic(), start, start + count
        while index < end:
            last, failed = self._batch(index, min(BATCH, end - index), self._note)
            if failed is None:
                index = last + 1
                continue
            if last < index:
                raise RuntimeError(f"the process for {self.part} does not start: {failed[1]}")
            self.totals.inputs += 1
            if UNMADE in failed[1]:
                self.totals.outcomes["not made"] += 1
                index = last + 1
                continue
            self.totals.outcomes["wrong"] += 1
            self._found(self._singled_out(index, last, *failed))
            index = last + 1
        self.totals.seconds = time.monotonic() - began
        return self.totals

    def _note(self, answer: dict[str, Any]) -> None:
        totals, index = self.totals, answer["index"]
        totals.inputs += 1
        totals.outcomes[answer["outcome"]] += 1
        totals.slowest = max(totals.slowest, (answer["seconds"], index))
        totals.largest = max(totals.largest, (answer["memory"], index))
        if answer["wrong"]:
            self._found(Finding(self.part, self.seed, index, index, answer["wrong"], answer["detail"]))

    def _batch(
        self, start: int, count: int, note: Callable[[dict[str, Any]], None] | None
    ) -> tuple[int, tuple[str, str] | None]:
        """(the last input that was begun, (kind, detail) if the process did not come to its end)."""
        log = self.work / "log"
        with log.open("wb") as errors:
            child = self._spawn(start, count, errors)
            try:
                last, ended = self._follow(child, start - 1, note)
            finally:
                if child.poll() is None:
                    child.send_signal(signal.SIGKILL)
                child.wait()
                assert child.stdout is not None
                child.stdout.close()
        if ended:
            return last, None
        detail = log.read_bytes()[-6000:].decode("utf-8", "replace")
        kind = "hang" if child.returncode == -signal.SIGKILL else f"crash, exit status {child.returncode}"
        return last, (kind, detail)

    def _follow(
        self, child: subprocess.Popen[bytes], last: int, note: Callable[[dict[str, Any]], None] | None
    ) -> tuple[int, bool]:
        assert child.stdout is not None
        pending, limit, patience, waited = b"", START, PATIENCE, 0.0
        while True:
            ready, _, _ = select.select([child.stdout], [], [], limit)
            if not ready and patience and (now := _waited(child.pid)) > waited + 1:
                patience, waited = patience - 1, now  # it would work if it were let: the machine is busy
                continue
            data = os.read(child.stdout.fileno(), 1 << 16) if ready else b""
            if not data:
                return last, bool(ready) and child.wait(START) == 0
            *lines, pending = (pending + data).split(b"\n")
            for answer in map(json.loads, lines):
                if "next" in answer:
                    last, limit, patience, waited = answer["next"], HANG, PATIENCE, _waited(child.pid)
                elif note is not None:
                    note(answer)

    def _spawn(self, start: int, count: int, errors: Any, *more: str, folder: Path | None = None) -> subprocess.Popen[bytes]:
        place = folder or self.work
        home = self.work / "home"
        home.mkdir(exist_ok=True)
        environment = os.environ | {
            "PYTHONPATH": str(ROOT),
            "HOME": str(home),
            "XDG_CACHE_HOME": str(home),
            "MALLOC_ARENA_MAX": "2",  # an arena a thread would fill the address space that is allowed
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
        }
        command = [sys.executable, "-W", "error::RuntimeWarning", "-m", "tests.fuzz.worker"]
        command += [self.part, str(self.seed), str(start), str(count), str(place), *more]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, cwd=ROOT, env=environment)

    def _singled_out(self, start: int, index: int, kind: str, detail: str) -> Finding:
        """Whether the input does it alone; else the least number of those before it with which it does."""
        before = 1
        while before <= index - start + 1:
            first = index - before + 1
            last, failed = self._batch(first, before, None)
            if failed is not None and last == index:
                return Finding(self.part, self.seed, index, first, failed[0], failed[1])
            before = before * 4 if before * 4 < index - start + 1 or before == index - start + 1 else index - start + 1
        return Finding(self.part, self.seed, index, start, f"once only: {kind}", detail)

    def _found(self, finding: Finding) -> None:
        self.totals.kinds[finding.kind] += 1
        if self.totals.kinds[finding.kind] > ALIKE:
            return
        finding.path = self._keep(finding)
        self.totals.findings.append(finding)
        self.say(f"FOUND {finding.kind}\n  {finding.command}\n  kept in {finding.path}")

    def _keep(self, finding: Finding) -> Path:
        folder = self.keep / f"{self.part}-{self.seed}-{finding.index}"
        folder.mkdir(parents=True, exist_ok=True)
        told = b""
        with (folder / "make.log").open("wb") as errors:
            maker = self._spawn(finding.index, 1, errors, "--make", folder=self.work)
            try:
                told, _ = maker.communicate(timeout=2 * START)
            except subprocess.TimeoutExpired:
                maker.kill()
                maker.wait()
        made = json.loads(told) if maker.returncode == 0 else {"case": "the input could not be made again"}
        if "path" in made:
            source = Path(made["path"])
            source.rename(folder / source.name)
        (folder / "make.log").unlink()
        (folder / "why.txt").write_text(f"{finding.kind}\n{finding.command}\n\n{made['case']}\n\n{finding.detail}\n")
        return folder


def _waited(process: int) -> float:
    """Seconds for which a process' threads could have run, but got no core."""
    total = 0
    for path in Path(f"/proc/{process}/task").glob("*/schedstat"):
        with contextlib.suppress(OSError):
            total += int(path.read_text().split()[1])
    return total / 1e9
