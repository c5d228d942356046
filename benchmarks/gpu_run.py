"""How benchmarks/gpu.py goes from part to part: what one part does wrong must not cost the others.

An exception is recorded and the next part begins. A part that hangs, or that leaves the GPU in a state in which no call works any
more (an illegal access), ends the process: it starts itself anew, with what was found, after that part.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import re
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

ALWAYS = ("environment", "peaks", "prepare")
"""Parts that the others need: done again after a restart."""
SIZES = {"lite": (320, 576), "resnet50-fpn-v2": (800, 1344), "resnet50-fpn": (800, 1344)}
PICTURES = {"720p": (1280, 720), "1080p": (1920, 1080)}
PATIENCE = 180.0
"""Seconds after which a part that does not ask for more is taken to hang."""
FATAL = -1.0
"""As a part's seconds: it ended the process."""


class Bench:
    """The run: what was asked for, what was found, what time is left."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.smoke = arguments.device == "cpu"
        self.device, self.quick, self.path, self.eval = arguments.device, arguments.quick, arguments.json, arguments.eval
        self.tests, self.only = not arguments.no_tests, re.compile(arguments.only)
        self.end = time.monotonic() + arguments.budget
        self.found: dict[str, Any] = {"smoke": self.smoke, "quick": self.quick, "rows": [], "problems": {}, "seconds": {}}
        if arguments.resume:
            self.found = json.loads(self.path.read_text())
        self.resumed = set(self.found["seconds"])
        self.rows: list[dict[str, Any]] = self.found["rows"]
        self.folder = Path(self.found.setdefault("folder", tempfile.mkdtemp(prefix="streamseg-gpu-")))
        self.networks: dict[str, Any] = {}
        self.engines: dict[tuple[str, str], tuple[str, str]] = {}
        """(network, engine) → (precision, path of the graph) of what runs here."""
        self.tflops = self.bandwidth = 0.0
        sizes = {"lite": (64, 96)} if self.smoke else SIZES
        self.sizes = {k: v for k, v in sizes.items() if not (self.quick and k == "resnet50-fpn")}
        self.pictures = {"tiny": (96, 64)} if self.smoke else PICTURES
        self.batches = (1, 2) if self.smoke else (1, 8)
        self.count = 1 if self.smoke else 30
        self.frames = 3 if self.smoke else 250
        """Of a clip."""
        self.seconds = 0.2 if self.smoke else (1.5 if self.quick else 3.0)
        self.precision = "fp32" if self.smoke else "fp16"  # float16 is slow on CPUs

    def part(self, name: str, needs: float, work: Callable[[], Any], patience: float = PATIENCE) -> None:
        """Run a part, if it is wanted and `needs` seconds are left; keep what it gives, or why there is nothing."""
        again = name.startswith(ALWAYS)
        if not (again or self.only.search(name)) or (name in self.resumed and not again):
            return
        if self.found["seconds"].get(name) == FATAL:
            return
        left = self.end - time.monotonic()
        if left < needs:
            self.found["problems"][name] = f"left out: {left:.0f} s of the budget are left, it needs {needs:.0f}"
        else:
            print(f"-- {name} ({left:.0f} s left)", flush=True)
            self._try(name, work, patience)
        if name in self.found["problems"]:
            print(f"   {name}: {self.found['problems'][name]}", flush=True)
        self.save()

    def _try(self, name: str, work: Callable[[], Any], patience: float) -> None:
        began = time.monotonic()
        watch = threading.Timer(patience, lambda: self._restart(name, f"did not end within {patience:g} s"))
        watch.daemon = True
        watch.start()
        try:
            answer = work()
            if answer is not None:
                self.found[name] = answer
        except Exception as error:  # whatever it is, the other parts are worth having
            self.found["problems"][name] = f"{type(error).__name__}: {error}"
            traceback.print_exc()
            if not self._gpu_works():
                self._restart(name, f"{self.found['problems'][name]}; after it no call of the GPU worked any more")
        finally:
            watch.cancel()
        self.found["seconds"][name] = round(time.monotonic() - began, 1)

    def _gpu_works(self) -> bool:
        if self.smoke:
            return True
        import torch

        try:
            torch.zeros(1, device="cuda").item()
        except RuntimeError:
            return False
        return True

    def _restart(self, name: str, problem: str) -> None:
        """Begin this script anew, after the part `name`."""
        print(f"   {name}: {problem}; going on in a new process", flush=True)
        self.found["problems"][name] = problem
        self.found["seconds"][name] = FATAL
        self.save()
        for child in multiprocessing.active_children():
            child.kill()
        left = max(0.0, self.end - time.monotonic())
        kept = [a for a in sys.argv if a != "--resume"]
        os.execv(sys.executable, [sys.executable, *kept, "--resume", "--budget", f"{left:.0f}"])

    def save(self) -> None:
        part = self.path.with_suffix(".part")
        part.write_text(json.dumps(self.found, indent=1, default=str))
        part.replace(self.path)

    def row(self, **facts: Any) -> None:
        """One line of the table; the same one again, after a restart, takes the old one's place."""
        made = {k: round(v, 4) if isinstance(v, float) else v for k, v in facts.items()}
        same = {k: v for k, v in made.items() if not isinstance(v, float)}
        self.rows[:] = [row for row in self.rows if {k: row.get(k) for k in same} != same]
        self.rows.append(made)
        print("   " + "  ".join(f"{k} {v:.3f}" if isinstance(v, float) else f"{k} {v}" for k, v in facts.items()), flush=True)


# --- the answer -----------------------------------------------------------------------------------------------------------------


def bars(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The three bars, for each network: passed, failed, or why nothing can be said."""
    found = []
    engines = [r for r in rows if r["what"] == "engine"]
    for r in engines:
        who = f"{r['network']}, {r['engine']} {r['precision']}"
        alike = [o for o in rows if (o.get("network"), o.get("batch")) == (r["network"], r["batch"])]
        least = next((o["ms"] for o in alike if o["what"] == "floor"), 0.0)
        if r["batch"] >= 8 and least:
            found.append(_bar(f"at least half of the float16 floor at batch {r['batch']}: {who}", least / r["ms"], 0.5))
        plain = [o["ms"] for o in alike if o["what"] == "torch eager"]
        if r["batch"] == 1 and plain and r["engine"] != "torch":
            found.append(_bar(f"3 times torch eager at batch 1: {who}", plain[0] / r["ms"], 3.0))
    for r in rows:
        if r["what"] == "end to end" and r["streams"] == 1 and r["frames"] == "on the GPU" and r["of_engine"]:
            how = f"{r['network']}, {r['engine']}, batch {r['batch']}, {r['picture']}, encoded: {r['encoded']}"
            found.append(_bar(f"end to end at least 0.9 of the engine alone: {how}", r["of_engine"], 0.9))
    return found


def _bar(what: str, value: float, least: float) -> dict[str, Any]:
    return {"bar": what, "value": round(value, 3), "least": least, "passed": value >= least}


def show(bench: Bench) -> None:
    """The table, last: who sees only the end of the output sees this."""
    if bench.smoke:
        print("\nSMOKE: a dry run on the CPU with tiny pictures; these figures mean nothing")
    for what in dict.fromkeys(row["what"] for row in bench.rows):
        print(f"\n{what}")
        for row in (r for r in bench.rows if r["what"] == what):
            shown = {k: v for k, v in row.items() if k not in ("what", "stages", "device", "agreement")}
            print("  " + "  ".join(f"{k} {v:.3f}" if isinstance(v, float) else str(v) for k, v in shown.items()))
    print("\nbars")
    for bar in bench.found["bars"]:
        print(f"  {'PASS' if bar['passed'] else 'FAIL'}  {bar['value']:.2f} (at least {bar['least']})  {bar['bar']}")
    for part, problem in bench.found["problems"].items():
        print(f"  NOT RUN  {part}: {problem}")
    print(f"\nwritten to {bench.path}")
