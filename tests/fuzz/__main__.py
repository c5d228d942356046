"""`make fuzz`: seeded campaigns against the product, in parts. See docs/robustness.md."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.fuzz.campaign import Campaign, Totals
from tests.fuzz.parts import NAMES, part


def main(arguments: list[str] | None = None) -> int:
    """Run one part or all; 1 if anything was found."""
    parser = argparse.ArgumentParser(prog="make fuzz", description="Seeded campaigns against streamseg.")
    parser.add_argument("part", nargs="?", choices=("all", *NAMES), default="all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--start", type=int, default=0, help="number of the first input")
    parser.add_argument("--count", type=int, help="how many inputs; by default the part's own number")
    parser.add_argument("--keep", type=Path, default=Path("build/fuzz"), help="folder for what is found")
    args = parser.parse_args(arguments)
    found = 0
    for name in NAMES if args.part == "all" else (args.part,):
        with tempfile.TemporaryDirectory(prefix=f"fuzz-{name}-") as work:
            campaign = Campaign(name, args.seed, Path(work), args.keep)
            totals = campaign.run(args.start, args.count or part(name).count)
        print(summary(name, args.seed, totals), flush=True)
        found += totals.kinds.total()
    return 1 if found else 0


def summary(name: str, seed: int, totals: Totals) -> str:
    """A part's totals, as benchmarks/RESULTS.md has them."""
    outcomes = ", ".join(f"{count} {outcome}" for outcome, count in totals.outcomes.most_common())
    kinds = "; ".join(f"{count} x {kind}" for kind, count in totals.kinds.most_common()) or "none"
    slow, large = totals.slowest, totals.largest
    return (
        f"{name}, seed {seed}: {totals.inputs} inputs in {totals.seconds:.0f} s; {outcomes}; longest {slow[0]:.1f} s "
        f"(input {slow[1]}), largest +{large[0] / 2**20:.0f} MiB (input {large[1]}); findings: {kinds}"
    )


if __name__ == "__main__":
    sys.exit(main())
