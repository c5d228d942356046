"""The report on drives: what it reads, what it says of how sure it is, and that its page is whole, safe and of bounded size."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path

import av
import pytest

from streamseg.errors import OutputError, SourceError
from streamseg.report import Place, film_of, find_results, read_film, write_report
from streamseg.report.charts import map_of, metres_between
from streamseg.report.clips import Clips
from streamseg.report.judged import why_not_judged
from tests import clips
from tests.unit.report import drives


def test_a_film_is_summed_up(tmp_path: Path) -> None:
    """The least time to collision and distance with their bars, the way once a second, breaks, counts, and the event's box."""
    lines = [drives.head("street.mp4", utc="2026-11-30T08:00:00.000Z")]
    for k in range(100):
        near = drives.user(1, growth=0.2, ttc=10 - k / 20, ttc_std=0.5, distance=30 - k / 10, distance_std=2.0, in_path=0.9)
        far = drives.user(2, "person")
        lines.append(
            drives.frame(k, [near, far], (52.5, 13.4 + k * 1e-5), epoch=k // 50, detected=k % 2 == 0, total={"car": 1})
        )
    lines.append(drives.event("alert", 3.0, ttc=2.0, ttc_std=0.2))
    lines.append(drives.event("count", 3.0))
    film = read_film(drives.write(tmp_path / "a.jsonl", lines))
    assert (film.name, film.frames, film.carried, film.counts, film.seconds) == ("street.mp4", 100, 50, {"car": 1}, 99 / 25)
    assert film.breaks == [(49 / 25, 50 / 25)]
    near = film.approaches[1]
    assert near.ttc == pytest.approx(10 - 97 / 20)  # the median of the last five
    assert (near.ttc_std, near.distance, near.in_path, near.judged) == (0.5, pytest.approx(30 - 9.7), True, 100)
    assert (film.approaches[2].ttc, film.approaches[2].distance, film.approaches[2].judged) == (None, None, 0)
    assert [place.time for place in film.way] == [0, 1, 2, 3]
    [alert] = film.happenings
    assert (alert.kind, alert.box, alert.details["ttc"]) == ("alert", (10, 10, 30, 30), 2.0)


def test_one_wild_value_is_no_closest_approach(tmp_path: Path) -> None:
    users = [drives.user(1, distance=3.0 if k == 20 else 30.0, distance_std=1.0) for k in range(40)]
    film = read_film(
        drives.write(tmp_path / "a.jsonl", [drives.head("a"), *(drives.frame(k, [u]) for k, u in enumerate(users))])
    )
    assert film.approaches[1].distance == 30


def test_a_run_that_was_cut_off_is_read_up_to_there_and_said(tmp_path: Path) -> None:
    lines = [drives.head("a"), drives.frame(0), {"frame": 1}, drives.frame(2)]
    film = read_film(drives.write(tmp_path / "a.jsonl", lines, '{"frame": 3, "ti'))
    assert (film.frames, film.nonsense, film.cut) == (2, 1, True)
    told = why_not_judged([film])
    assert any("cut off" in each for each in told)
    assert any("1 lines" in each for each in told)


@pytest.mark.parametrize("text", ["", "{}\n", "\0\1\n", '{"schema": "other"}\n', "[1]\n"])
def test_what_holds_no_results_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(text)
    assert find_results([tmp_path]) == []
    with pytest.raises(SourceError, match=r"a\.jsonl: these are no results"):
        read_film(path)


def test_results_are_found_below_folders_and_films_beside_them(tmp_path: Path) -> None:
    (tmp_path / "day1").mkdir()
    first = drives.write(tmp_path / "day1" / "a2.jsonl", [drives.head("gone/a2.mp4")])
    second = drives.write(tmp_path / "day1" / "a10.jsonl", [drives.head("a10.mp4")])
    drives.write(tmp_path / "own.jsonl", [drives.head("x")])
    assert find_results([tmp_path / "day1", first]) == [first, second]
    assert find_results([tmp_path], tmp_path / "day1") == [tmp_path / "own.jsonl"]
    film = read_film(first)
    assert film_of(film, [], {}) is None
    there = tmp_path / "day1" / "a2.mp4"
    there.touch()
    assert film_of(film, [], {}) == there
    assert film_of(film, [], {str(first.resolve()): tmp_path / "away.mp4"}) is None  # a job noted another, which is not there
    assert film_of(read_film(second), [tmp_path / "x/a10.mp4", tmp_path / "y/a10.mp4"], {}) is None  # which of the two?


def test_why_something_could_not_be_judged_is_said(tmp_path: Path) -> None:
    plain = {k: v for k, v in drives.frame(0, [drives.user(1)]).items() if k != "scene"}
    blind = read_film(drives.write(tmp_path / "a.jsonl", [drives.head("a.mp4"), plain]))
    flat = read_film(drives.write(tmp_path / "b.jsonl", [drives.head("b.mp4"), drives.frame(0, [drives.user(1, growth=0.1)])]))
    told = "\n".join(why_not_judged([blind, flat]))
    assert "a.mp4: looked at without a driving scene" in told
    assert "no distances in b.mp4: the height of the camera was not given" in told
    assert "no way and no speed of 2 films" in told


def test_a_clip_is_six_seconds_around_the_event_with_its_poster(tmp_path: Path) -> None:
    film = clips.cfr(tmp_path / "a.mp4", 250, 25)
    cut = Clips(film).cut(5.0, (10, 10, 30, 30))
    with av.open(io.BytesIO(cut.video)) as container:
        times = [frame.time for frame in container.decode(video=0)]
        assert container.streams.video[0].codec_context.name == "h264"
    assert times[0] == 0
    assert times[-1] == pytest.approx(6, abs=0.2)
    assert cut.poster.startswith(b"\xff\xd8")
    early = Clips(film).cut(1.0, None)
    with av.open(io.BytesIO(early.video)) as container:
        assert [frame.time for frame in container.decode(video=0)][-1] >= 2


def test_the_page_holds_everything_and_runs_nothing(tmp_path: Path) -> None:
    """Names are text, not markup; all links lead somewhere on it; the clips play; nothing is fetched."""
    clips.cfr(tmp_path / "a.mp4", 60, 25)
    name = "<script>alert(1)</script>&.mp4"
    lines = [drives.head(name)]
    lines += [drives.frame(k, [drives.user(1, distance=9.0, distance_std=1.0)], (0.0, 179.9999 + k * 1e-5)) for k in range(60)]
    lines += [drives.event("near_miss", 2.0, distance=9.0, distance_std=1.0), drives.event("hidden", 2.1)]
    film = read_film(drives.write(tmp_path / "a.jsonl", lines))
    film.source = tmp_path / "a.mp4"
    write_report(tmp_path / "r.html", [film], title="A & B")
    text = (tmp_path / "r.html").read_text()
    assert "<title>A &amp; B</title>" in text
    assert "<script" not in text
    assert not re.search(r"(src|href)=\"(?!data:|#)", text)
    targets, names = re.findall(r'href="#(\S+?)"', text), re.findall(r' id="(\S+?)"', text)
    assert targets
    assert {*targets} <= {*names}
    [video] = re.findall(r'src="data:video/mp4;base64,([^"]+)"', text)
    with av.open(io.BytesIO(base64.b64decode(video))) as container:
        assert container.streams.video[0].frames > 10
    assert "9.0 &plusmn; 1.0 m" in text


def test_a_film_that_is_gone_or_broken_costs_its_clips_alone(tmp_path: Path) -> None:
    (tmp_path / "bad.mp4").write_bytes(b"no film")
    films = []
    for name in ("gone", "bad"):
        lines = [drives.head(f"{name}.mp4"), drives.frame(0, [drives.user(1)]), drives.event("alert", 0.0)]
        films.append(read_film(drives.write(tmp_path / f"{name}.jsonl", lines)))
    films[1].source = tmp_path / "bad.mp4"
    write_report(tmp_path / "r.html", films, title="x")
    text = (tmp_path / "r.html").read_text()
    assert "gone.mp4: no clips: the film was not found" in text
    assert "bad.mp4: no more clips: " in text
    assert text.count("<b>alert</b>") == 2


def test_too_many_events_are_told_without_clips(tmp_path: Path) -> None:
    lines = [drives.head("a"), drives.frame(0), *(drives.event("alert", 0.0, k) for k in range(30))]
    film = read_film(drives.write(tmp_path / "a.jsonl", lines))
    write_report(tmp_path / "r.html", [film], title="x", clips=10)
    assert "20 of 30 events are shown without a clip" in (tmp_path / "r.html").read_text()


def test_a_page_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="the report cannot be written"):
        write_report(tmp_path / "no" / "r.html", [], title="x")


def test_metres_and_the_date_line(tmp_path: Path) -> None:
    """A degree of latitude is 111.2 km; a way over the date line is not drawn round the Earth."""
    assert metres_between(Place(0, 10, 20), Place(1, 11, 20)) == pytest.approx(111195, rel=1e-3)
    film = read_film(drives.write(tmp_path / "a.jsonl", [drives.head("a")]))
    film.way = [Place(0, 0, 179.999), Place(1, 0, -179.999)]
    xs = [float(x) for x in re.findall(r"([\d.]+),", re.findall(r'polyline points="([^"]+)"', map_of([film]))[0])]
    assert max(xs) - min(xs) == pytest.approx(760)
