"""A part whose product is as bad as it can be, to see that a campaign sees it. Not one of those that `make fuzz` runs."""

from __future__ import annotations

import os
import random
import threading
import time
from pathlib import Path

from streamseg.errors import SourceError


class Faulty:
    """Inputs are numbers: even ones from 2 to 10 are each wrong in another way."""

    name, count = "faulty", 12

    def prepare(self, folder: Path) -> None:
        """Count."""
        self.next = 0

    def make(self, rng: random.Random) -> int:
        """The number of the input is all that the product looks at."""
        states = {random.Random(f"faulty/1/{index}").random(): index for index in range(self.count)}
        return states[rng.random()]

    def save(self, case: int, folder: Path) -> Path:
        """Write it down."""
        path = folder / "input.txt"
        path.write_text(str(case))
        return path

    def run(self, case: int, folder: Path) -> str:
        """Go wrong."""
        if case == 2:
            raise ValueError("not one of ours")
        if case == 4:
            os.abort()
        if case in (6, 8):
            threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
        if case == 6:
            time.sleep(60)
        if case == 10:
            bytearray(2 << 30)
        if case % 2:
            raise SourceError("as it should be")
        return "well"
