"""`python -m tests.conformance [GROUP|PATTERN ...] [--accept REASON]`: run a part of the set, show or accept what differs."""

from __future__ import annotations

import argparse
import fnmatch
import sys
import tempfile
import time
from pathlib import Path

from tests.conformance import reference
from tests.conformance.perform import Verdict, Workshop, perform, rows
from tests.conformance.row import Row


def main() -> int:
    """Exit status: 0 if every row is as it should be."""
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__)
    parser.add_argument(
        "parts", nargs="*", metavar="GROUP|PATTERN", help="as `timing` or `timing/mkv-*`; all rows if none is given"
    )
    parser.add_argument("--accept", metavar="REASON", help="take over what changed against the references, with the reason")
    parser.add_argument("--list", action="store_true", help="name the rows and run nothing")
    parser.add_argument("--slow", type=int, default=0, metavar="N", help="show the N rows that took longest")
    given = parser.parse_args()
    chosen = [row for row in rows().values() if not given.parts or any(_matches(row, part) for part in given.parts)]
    if not chosen:
        parser.error(
            f"no row is called {' '.join(given.parts)}; groups: {', '.join(sorted({r.group for r in rows().values()}))}"
        )
    if given.list:
        print("\n".join(f"{row.id}{f'  (fails: {row.fails})' if row.fails else ''}" for row in chosen))
        return 0
    return _run(chosen, given.accept, given.slow)


def _matches(row: Row, part: str) -> bool:
    return row.group == part or fnmatch.fnmatchcase(row.id, part) or fnmatch.fnmatchcase(row.name, part)


def _run(chosen: list[Row], reason: str | None, slow: int) -> int:
    bad, lines, took = 0, {}, []
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="conformance-") as folder:
        workshop = Workshop(Path(folder))
        for row in chosen:
            start = time.monotonic()
            verdict = _verdict(row, workshop)
            took.append((time.monotonic() - start, row.id))
            bad += _show(row, verdict, reason is not None)
            if not verdict.wrong and not row.fails:
                lines.setdefault(row.group, {})[row.name] = verdict.line
    if reason is not None:
        for group, now in lines.items():
            reference.accept(group, now, [r.name for r in rows().values() if r.group == group], reason)
    for seconds, name in sorted(took, reverse=True)[:slow]:
        print(f"{seconds:6.2f} s  {name}")
    print(f"{len(chosen)} rows, {bad} not as they should be, {time.monotonic() - began:.1f} s")
    return int(bool(bad))


def _verdict(row: Row, workshop: Workshop) -> Verdict:
    try:
        return perform(row, workshop)
    except Exception as error:  # whatever it is, the rows behind it are to be seen, too
        return Verdict([f"{type(error).__name__}: {error}"], [], {})


def _show(row: Row, verdict: Verdict, accepting: bool) -> bool:
    """Print what is to be seen of a row; whether it is not as it should be."""
    if row.fails:
        if verdict.wrong:
            print(f"known  {row.id} ({row.fails}): {verdict.wrong[0]}")
        else:
            print(f"GOOD   {row.id}: no longer fails; take the mark {row.fails!r} off, then --accept it")
        return not verdict.wrong
    for sentence in verdict.wrong:
        print(f"WRONG  {row.id}: {sentence}")
    for sentence in () if verdict.wrong else verdict.changed:
        print(f"{'accept' if accepting else 'CHANGE'} {row.id}: {sentence}")
    return bool(verdict.wrong or (verdict.changed and not accepting))


if __name__ == "__main__":
    sys.exit(main())
