"""Campaign over results files: damaged as they lie on a disk, and with check sums that are right again, as an enemy would send."""

from __future__ import annotations

import random
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

from streamseg.errors import ResultsError
from streamseg.record import chunks, open_results
from tests.fuzz.base import Wrong
from tests.fuzz.damage import damaged
from tests.unit.record import made


@dataclass
class Case:
    """A file's bytes."""

    data: bytes


class Records:
    """See the module."""

    name, count = "records", 5000

    def prepare(self, folder: Path) -> None:
        """Files of several kinds of masks, finished and not."""
        folder = folder / "results"
        folder.mkdir(exist_ok=True)
        self.files = []
        for seed, complete in ((1, True), (2, None), (3, False)):
            path = folder / f"{seed}.streamseg"
            path.unlink(missing_ok=True)
            self.files.append(made.kept(path, made.several(5, seed), complete).read_bytes())

    def make(self, rng: random.Random) -> Case:
        """One of the files, damaged."""
        data = damaged(rng.choice(self.files), rng, self.files)
        return Case(_summed(data) if rng.random() < 0.7 else data)

    def save(self, case: Case, folder: Path) -> Path:
        """Write it down."""
        path = folder / "input.streamseg"
        path.write_bytes(case.data)
        return path

    def run(self, case: Case, folder: Path) -> str:
        """Read it as a film's frames, then its tracks."""
        lost = 0
        with open_results(self.save(case, folder)) as results:
            for number in results.numbers.tolist():
                try:
                    record = results[number]
                except ResultsError:
                    lost += 1
                else:
                    if record.index != number:
                        raise Wrong(f"frame {number} is {record.index}")
            try:
                results.tracks()
            except ResultsError:
                lost += 1
            return "damaged" if lost else "cut off" if results.note else "sound"


def _summed(data: bytes) -> bytes:
    """The chunks with check sums that fit what is in them, as far as they follow each other."""
    result, at = bytearray(data), len(chunks.SIGNATURE)
    while at + chunks.AROUND <= len(result):
        length, kind = struct.unpack_from("<I4s", result, at)
        end = at + chunks.AROUND + length
        if end > len(result):
            break
        struct.pack_into("<I", result, end - 4, zlib.crc32(result[at + 8 : end - 4], zlib.crc32(kind)))
        at = end
    return bytes(result)
