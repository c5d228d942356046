"""A reader that was written from docs/results.md alone, with nothing of streamseg in it, reads what was written."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.unit.record import made

COLUMNS = (("<f4", 4), ("<f4", 1), ("<f4", 1), ("<f4", 1), ("<i8", 1), ("<u4", 1), ("<u2", 1), ("u1", 1))


def chunks(data: bytes) -> list[tuple[int, bytes, bytes]]:
    """(place, kind, payload) of each."""
    assert data[:8] == bytes.fromhex("895353520D0A1A0A")
    found, at = [], 8
    while at < len(data):
        length, kind = struct.unpack_from("<I4s", data, at)
        payload = data[at + 8 : at + 8 + length]
        assert struct.unpack_from("<I", data, at + 8 + length)[0] == zlib.crc32(kind + payload)
        found.append((at, kind, payload))
        at += 12 + length
    return found


def frame(payload: bytes) -> dict[str, Any]:
    number, pts, duration, epoch, width, height, n, m, flags, filtered = struct.unpack_from("<qqqIIIIHBB", payload)
    columns, at = [], 44
    for kind, values in COLUMNS:
        columns.append(np.frombuffer(payload, kind, n * values, at))
        at += columns[-1].nbytes
    cells = np.frombuffer(zlib.decompress(payload[at:]), np.uint8)
    grids, begin = [], 0
    for side in [m] * n + [int(f) for f in columns[6] if f]:
        grid = cells[begin : begin + side * side].reshape(side, side).astype(int)
        grids.append(grid.cumsum(0).cumsum(1) % 256 if filtered else grid)
        begin += side * side
    assert begin == len(cells)
    return {"number": number, "pts": pts, "duration": duration, "epoch": epoch, "size": (width, height), "flags": flags,
            "columns": columns, "grids": grids, "n": n}  # fmt: skip


def smooth(rng: np.random.Generator, side: int) -> np.ndarray:
    """A slope, which the second filter packs best."""
    y, x = np.mgrid[:side, :side]
    return np.asarray(np.clip(rng.integers(0, 60) + 2.0 * x + 1.5 * y, 0, 255), np.uint8)


@pytest.mark.parametrize("slopes", [False, True], ids=["noise", "slopes"])
def test_the_page_is_enough_to_read_a_file(tmp_path: Path, slopes: bool) -> None:
    told = made.several(5, seed=8)
    if slopes:
        rng = np.random.default_rng(2)
        for result in told:
            for mask in result.instances.masks:
                mask[:] = smooth(rng, 28)
            for grid in result.instances.fine:
                if grid is not None:
                    grid[:] = smooth(rng, len(grid))
    data = made.kept(tmp_path / "a.streamseg", told).read_bytes()
    found = chunks(data)
    assert [kind for _, kind, _ in found] == [b"HEAD", *[b"FRAM"] * 5, b"DONE", b"INDX", b"TAIL"]
    head = json.loads(found[0][2])
    assert (head["schema"], head["classes"], head["time_base"]) == ("streamseg.record/1", [*made.CLASSES], "1/12800")
    filters = set()
    for (_, _, payload), result in zip(found[1:6], told, strict=True):
        read, instances = frame(payload), result.instances
        filters.add(payload[43])
        assert (read["number"], read["pts"], read["duration"]) == (result.frame.index, result.frame.pts, result.frame.duration)
        assert (read["size"], read["n"]) == ((96, 64), len(instances))
        assert read["flags"] == result.detected + 2 * bool(instances.fine) + 4 * instances.mattes
        boxes, scores, track_scores, _, tracks, labels, fine, doubtful = read["columns"]
        assert np.array_equal(boxes.reshape(-1, 4), instances.boxes)
        for one, other in (
            (scores, instances.scores), (track_scores, instances.track_scores), (tracks, instances.track_ids),
            (labels, instances.labels), (doubtful, instances.doubtful),
        ):  # fmt: skip
            assert np.array_equal(one, other)
        grids = [*instances.masks, *(grid for grid in instances.fine if grid is not None)]
        assert [np.array_equal(one, other) for one, other in zip(read["grids"], grids, strict=True)] == [True] * len(grids)
        assert [int(side) for side in fine] == [0 if grid is None else len(grid) for grid in instances.fine]
    assert (1 in filters) is slopes
    assert json.loads(found[6][2]) == {"frames": 5, "complete": True}
    places = np.frombuffer(zlib.decompress(found[7][2]), "<i8").reshape(3, 5).cumsum(1)
    assert places.tolist() == [
        [at for at, kind, _ in found if kind == b"FRAM"],
        [r.frame.index for r in told],
        [r.pts for r in told],
    ]
    assert struct.unpack("<Q", found[8][2])[0] == found[6][0]
