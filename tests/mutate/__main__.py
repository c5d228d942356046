"""`make mutate`: would the tests notice? Small changes are made to a module, one at a time, and its own tests run on each.

A mutant is killed if a test fails, or takes far longer than usual. One that survives either changes nothing that can be seen, and
is listed with its reason in `equivalent.txt`, or shows that a test is missing.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.mutate.mutations import Mutant, mutants
from tests.mutate.table import TESTS

ROOT = Path(__file__).parents[2]
EQUIVALENT = Path(__file__).with_name("equivalent.txt")
COUNT = 14
"""Mutants of a module."""
BAR = 0.85
"""Share of those that change anything that must be killed."""


def main(arguments: list[str] | None = None) -> int:
    """Run the modules named, or all; 1 if the bar is missed."""
    parser = argparse.ArgumentParser(prog="make mutate", description=__doc__)
    parser.add_argument("module", nargs="*", help=f"one of {', '.join(Path(path).stem for path in TESTS)}; default: all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=COUNT, help="mutants of each module")
    parser.add_argument("--list", action="store_true", help="only say which they are")
    args = parser.parse_args(arguments)
    chosen = [path for path in TESTS if not args.module or Path(path).stem in args.module]
    if len(chosen) < len(args.module):
        parser.error(f"known modules: {', '.join(Path(path).stem for path in TESTS)}")
    killed = total = 0
    with tempfile.TemporaryDirectory(prefix="mutate-") as folder:
        tree = _copy(Path(folder))
        for path in chosen:
            picked = pick(path, args.seed, args.count)
            if args.list:
                print(*(f"{path}:{mutant.line}: {mutant.key}" for mutant in picked), sep="\n")
                continue
            dead, alive = _run(tree, path, picked)
            killed, total = killed + dead, total + dead + alive
            print(f"{path}, seed {args.seed}: {dead} of {dead + alive} killed", flush=True)
    if total:
        print(f"{killed} of {total} killed, {killed / total:.0%}; the bar is {BAR:.0%}")
    return int(killed < BAR * total)


def pick(path: str, seed: int, count: int) -> list[Mutant]:
    """`count` mutants of a module, without those that are known to change nothing."""
    known = equivalent().get(path, {})
    every = [mutant for mutant in mutants((ROOT / path).read_text("utf-8")) if mutant.key not in known]
    chosen = random.Random(f"{path}/{seed}").sample(every, min(count, len(every)))
    return sorted(chosen, key=lambda mutant: mutant.line)


def equivalent() -> dict[str, dict[str, str]]:
    """By module: key of a mutant → why it changes nothing."""
    found: dict[str, dict[str, str]] = {}
    path, key = "", ""
    for line in EQUIVALENT.read_text("utf-8").splitlines():
        if line.endswith(".py"):
            path = line
        elif line.startswith("    "):
            found[path][key] = line.strip()
        elif line and not line.startswith("#"):
            key = line
            found.setdefault(path, {})[key] = ""
    return found


def _copy(folder: Path) -> Path:
    """The checkout, of which code and tests may be changed; the rest is linked."""
    for name in ("streamseg", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for path in ROOT.iterdir():
        if path.name not in ("streamseg", "tests", "build", ".git"):
            (folder / path.name).symlink_to(path)
    return folder


def _run(tree: Path, path: str, picked: list[Mutant]) -> tuple[int, int]:
    """(killed, alive)"""
    sound = (ROOT / path).read_text("utf-8")
    began = time.monotonic()
    if (code := _test(tree, path, 600)) != 0:
        raise SystemExit(f"the tests of {path} fail as it is (exit status {code})")
    limit = 30 + 4 * (time.monotonic() - began)
    killed = 0
    for mutant in picked:
        (tree / path).write_text(mutant.code, "utf-8")
        code = _test(tree, path, limit)
        killed += code != 0
        if code == 0:
            print(f"ALIVE {path}:{mutant.line}: {mutant.key}", flush=True)
    (tree / path).write_text(sound, "utf-8")
    return killed, len(picked) - killed


def _test(tree: Path, path: str, limit: float) -> int | None:
    """Exit status of the module's tests; None if they take too long."""
    environment = os.environ | {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    tests = [test for test in TESTS[path] if (tree / test).exists()]
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-m", "not long", "-p", "no:cacheprovider", *tests]
    with subprocess.Popen(
        command, cwd=tree, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    ) as child:
        try:
            return child.wait(limit)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, 9)
            return None


if __name__ == "__main__":
    sys.exit(main())
