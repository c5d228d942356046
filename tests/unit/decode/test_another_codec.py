"""Transport streams joined with `cat`: of one codec, and of two."""

from __future__ import annotations

import os
import sys
import threading
from itertools import pairwise
from pathlib import Path

import pytest

from streamseg.decode import Decoder
from streamseg.errors import Unreadable
from streamseg.pipeline.probe import probe
from tests import clips
from tests.clips import Video, plane_array, read_index

FRAMES = 30
CODECS = {
    "h264": Video(codec="libx264", b_frames=3),
    "hevc": Video(codec="libx265", b_frames=2),
    "mpeg2": Video(codec="mpeg2video", options={"b": "2M"}),
    "mpeg4": Video(codec="mpeg4", options={"b": "2M"}),
}


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("films")
    sound = {"audio": True}
    written = {name: clips.cfr(folder / f"{name}.ts", FRAMES, video=video) for name, video in CODECS.items()}
    written["h264 with sound"] = clips.cfr(folder / "sound.ts", FRAMES, video=CODECS["h264"], **sound)
    return {name: path.read_bytes() for name, path in written.items()}


def read(source: object, **options: object) -> tuple[list[int], list[float], str]:
    """Numbers and times of the frames, and the error that ends them."""
    numbers, times = [], []
    with Decoder(source, **options) as decoder:  # type: ignore[arg-type]
        try:
            for frame in decoder.frames():
                numbers.append(read_index(plane_array(frame.picture)))
                times.append(frame.time)
        except Unreadable as error:
            return numbers, times, str(error)
    return numbers, times, ""


@pytest.mark.parametrize(
    ("first", "second"),
    [(a, b) for a in CODECS for b in CODECS if a != b] + [("h264 with sound", "hevc")],
)
def test_the_first_film_is_whole_and_the_other_is_named(
    films: dict[str, bytes], first: str, second: str, tmp_path: Path
) -> None:
    """Seen: its last seconds were dropped, the other's packets counted as damaged, exit code 0."""
    joined = tmp_path / "joined.ts"
    joined.write_bytes(films[first] + films[second])
    numbers, times, error = read(joined)
    assert numbers == list(range(FRAMES))
    assert times[-1] - times[0] == pytest.approx((FRAMES - 1) / 25)
    assert f"goes on in another codec than {first[:4]}" in error.replace("mpeg2video", "mpeg2")
    assert f" at {times[-1] + 1 / 25:.2f} s" in error
    told = probe(joined)
    assert (told["timing"]["looked_at"], told["timing"]["repeated_pts"], told["duration"]) == (FRAMES, 0, None)
    assert any("a run ends there with an error" in line for line in told["plan"])
    assert read(joined, duration=0.8) == (numbers[:20], times[:20], "")


def test_a_piped_film_is_named_too(films: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe cannot be read again: the pictures are missing that libav drops, but no others."""
    joined = films["h264"] + films["hevc"]
    reading, writing = os.pipe()

    def write() -> None:
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(joined)

    writer = threading.Thread(target=write)
    writer.start()
    with os.fdopen(reading, "rb") as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        numbers, _, error = read("-")
        writer.join()
    assert numbers[: FRAMES - 4] == list(range(FRAMES - 4))
    assert len(numbers) >= FRAMES - 2
    assert "goes on in another codec than h264" in error


@pytest.mark.parametrize("name", [*CODECS, "h264 with sound"])
def test_one_codec_is_spliced_and_probe_says_so(films: dict[str, bytes], name: str, tmp_path: Path) -> None:
    """Seen: "30 of 60 pts repeat", though the film goes on without a gap."""
    joined = tmp_path / "joined.ts"
    joined.write_bytes(films[name] + films[name])
    numbers, times, error = read(joined)
    assert (numbers, error) == ([*range(FRAMES), *range(FRAMES)], "")
    told = probe(joined)
    assert told["timing"]["repeated_pts"] == 0
    assert (told["timing"]["seams"], told["timing"]["looked_at"]) == (1, 2 * FRAMES)
    assert told["timing"]["longest_step"] == pytest.approx(max(b - a for a, b in pairwise(times)))
    assert any(line.startswith("joined films: the clock begins anew at 1 of the first 60 pictures") for line in told["plan"])
    alone = tmp_path / "alone.ts"
    alone.write_bytes(films[name])
    assert probe(alone)["timing"]["seams"] == 0
