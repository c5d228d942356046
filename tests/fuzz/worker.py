"""The process in which inputs run, one after the other: `python -m tests.fuzz.worker PART SEED START COUNT FOLDER`.

Says on its standard output, line by line in JSON, which input comes next and how each one ended; when it dies, the last line tells
of which. With `--make` it only writes the one input into FOLDER.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import json
import os
import random
import resource
import shutil
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any

from streamseg.errors import StageError, StreamsegError
from tests.fuzz.base import Part
from tests.fuzz.parts import part

MEMORY = 1 << 30
"""Bytes that an input may make the process grow by."""
HANG = 10.0
"""Seconds that it may take."""


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser()
    parser.add_argument("part")
    parser.add_argument("seed", type=int)
    parser.add_argument("start", type=int)
    parser.add_argument("count", type=int)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--make", action="store_true")
    args = parser.parse_args()
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    faulthandler.enable(all_threads=False)
    chosen = part(args.part)
    chosen.prepare(args.folder)
    if args.make:
        case = chosen.make(_rng(args.part, args.seed, args.start))
        answers.write(json.dumps({"path": str(chosen.save(case, args.folder)), "case": _short(case)}) + "\n")
        return
    resource.setrlimit(resource.RLIMIT_AS, (_status("VmSize") + MEMORY, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    base = _status("VmRSS")
    for index in range(args.start, args.start + args.count):
        answers.write(json.dumps({"next": index}) + "\n")
        answers.write(json.dumps({"index": index, **_one(chosen, args, index, base)}) + "\n")
    answers.flush()
    os._exit(0)  # what is left of threads is judged after each input


def _rng(name: str, seed: int, index: int) -> random.Random:
    return random.Random(f"{name}/{seed}/{index}")


def _one(chosen: Part, args: argparse.Namespace, index: int, base: int) -> dict[str, Any]:
    folder = args.folder / "input"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # VmHWM starts anew
    case = chosen.make(_rng(args.part, args.seed, index))
    before, began = set(threading.enumerate()), time.monotonic()
    faulthandler.dump_traceback_later(HANG - 0.5)
    answer: dict[str, Any] = {"wrong": None}
    try:
        answer["outcome"] = chosen.run(case, folder)
    except StageError as error:
        answer = _wrong(error.__cause__ or error)
    except StreamsegError as error:
        answer["outcome"] = type(error).__name__ + (" (memory)" if "memory" in str(error) else "")
    except BaseException as error:
        answer = _wrong(error)
    finally:
        faulthandler.cancel_dump_traceback_later()
    answer["seconds"] = time.monotonic() - began
    answer["memory"] = _status("VmHWM") - base
    if answer["wrong"] is None and answer["memory"] > MEMORY:
        answer |= {"wrong": "memory", "detail": f"{answer['memory'] / 2**20:.0f} MiB"}
    if answer["wrong"] is None and (left := _left(before)):
        answer |= {"wrong": "threads", "detail": f"still there: {', '.join(left)}"}
    return answer


def _wrong(error: BaseException) -> dict[str, Any]:
    frames = traceback.extract_tb(error.__traceback__)
    ours = next((f for f in reversed(frames) if "streamseg" in f.filename or "/fuzz/" in f.filename), None)
    where = f"{Path(ours.filename).name}:{ours.name}" if ours else "?"
    text = "".join(traceback.format_exception(error))
    return {"wrong": f"{type(error).__name__} in {where}", "outcome": "wrong", "detail": text[-6000:]}


def _left(before: set[threading.Thread]) -> list[str]:
    deadline = time.monotonic() + 2
    while True:
        left = [t.name for t in threading.enumerate() if t not in before and t.is_alive()]
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.02)


def _status(key: str) -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(key + ":"))
    return int(line.split()[1]) * 1024


def _short(case: Any) -> str:
    return repr(case) if len(repr(case)) < 2000 else repr({k: v for k, v in vars(case).items() if k != "data"})[:2000]


if __name__ == "__main__":
    sys.exit(main())
