"""The contact sheet: who is on it, what is cut out, and that a page is safe, complete and of bounded size."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from html.parser import HTMLParser

import av
import cv2
import numpy as np
import pytest

import streamseg.sheet.write
from streamseg.core.types import Frame
from streamseg.edits import Edits, Film
from streamseg.errors import OutputError
from streamseg.pixels import planes
from streamseg.record import Results, open_results
from streamseg.select import Selection
from streamseg.sheet import rows_of, write_sheets
from streamseg.sheet.rows import BINS, clock
from streamseg.sheet.thumbnail import thumbnail
from streamseg.sheet.write import SIDE, take_pictures
from tests.unit.edits import story
from tests.unit.pictures import ellipse, instances


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Results]:
    with open_results(story.results_file(tmp_path_factory.mktemp("film") / "film.streamseg")) as found:
        yield found


def frames() -> Iterator[Frame]:
    """Those of the story, each of a grey of its own."""
    for number in range(story.FRAMES):
        one = story.result(number).frame
        picture = av.VideoFrame(200, 100, "gray")
        planes.views(picture).planes[0].array[...] = 10 * number
        yield Frame(picture, number, one.pts, one.time_base, one.duration)


def rows(results: Results, edits: Edits | None = None, count: int = 4):
    film = Film(results, edits)
    found = rows_of(film, sorted(film.tracks, key=lambda track: -track.frames), count)
    take_pictures(found, film, frames())
    return found


def test_the_pictures_of_a_track_are_of_its_own_frames_from_first_to_last(results):
    found = {row.track.track_id: row for row in rows(results)}
    assert {track: row.frames for track, row in found.items()} == {
        1: (0, 3, 6, 9),
        2: (5, 11, 18, 24),
        3: (12, 16, 20, 24),
        4: (20, 21, 23, 24),
    }
    for row in found.values():
        assert [round(time * 25) for time, _ in row.pictures] == list(row.frames)
        for number, (_, data) in zip(row.frames, row.pictures, strict=True):
            image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
            assert image.shape == (SIDE, SIDE, 3)
            assert abs(int(np.median(image)) - 10 * number) < 40 or row.track.track_id == 4
    assert sum(found[1].seen) == BINS * 10 // 25
    assert found[1].seen[: BINS * 10 // 25] == (True,) * (BINS * 10 // 25)


def test_a_short_track_has_as_many_pictures_as_frames(results):
    (row,) = [row for row in rows(results, Edits().split(2, 0.92, 31), 8) if row.track.track_id == 31]
    assert row.frames == (23, 24)


def test_a_row_is_of_what_the_edits_made(results):
    (row,) = [row for row in rows(results, Edits().merge(1, 3).rename(1, "Anna"), 23) if row.track.track_id == 1]
    assert (row.words, row.frames) == ("Anna", (*range(10), *range(12, 25)))
    assert row.to_json()["name"] == "Anna"


def colours_at(image: np.ndarray, colour: tuple[int, int, int]) -> tuple[int, int, int, int]:
    """The box of all pixels of a colour."""
    ys, xs = np.nonzero((np.abs(image.astype(int) - colour) < 60).all(axis=2))
    return int(xs.min()), int(ys.min()), int(xs.max()), int(ys.max())


@pytest.mark.parametrize("aspect", [1.0, 2.0, 0.5])
def test_an_object_is_seen_whole_as_it_looks_with_some_margin(aspect):
    """An ellipse that looks round on the screen is round on the sheet, whatever the shape of the film's pixels."""
    found = instances([[100, 50, 100 + 80 / aspect, 130]], masks=ellipse()[None])
    image = thumbnail(np.full((240, 400, 3), 128, np.uint8), found, 144, (255, 0, 0), aspect)
    x0, y0, x1, y1 = colours_at(image, (255, 0, 0))
    assert abs((x1 - x0) - (y1 - y0)) <= 3, "it is not round"
    assert 0.6 * 144 < x1 - x0 < 0.8 * 144, "nine tenths of its box, which has a margin of a seventh on each side"
    assert abs(x0 + x1 - 144) <= 4 >= abs(y0 + y1 - 144), "it is not in the middle"


def test_an_object_at_the_border_is_shown_in_the_frame_as_far_as_that_goes():
    picture = np.full((240, 320, 3), 128, np.uint8)
    image = thumbnail(picture, instances([[0, 0, 60, 60]]), 144, (255, 0, 0))
    assert (np.abs(image.astype(int) - 128).max(axis=2) > 80).mean() < 0.2, "what lies outside of the frame takes its place"
    high = thumbnail(picture, instances([[0, 0, 320, 240]]), 144, (255, 0, 0))
    assert (high[0] == 38).all(), "a picture that is no square is not drawn out to one"
    x0, y0, x1, y1 = colours_at(high, (255, 0, 0))
    assert (x1 - x0) / (y1 - y0) == pytest.approx(320 / 240, rel=0.05)


def test_boxes_alone_and_the_smallest_object_have_a_picture():
    picture = np.full((240, 320, 3), 128, np.uint8)
    boxes = instances([[100, 50, 180, 130]], masks=np.zeros((1, 0, 0), np.uint8))
    x0, y0, x1, y1 = colours_at(thumbnail(picture, boxes, 144, (255, 0, 0)), (255, 0, 0))
    assert x1 - x0 == pytest.approx(144 / 1.28, abs=4) == y1 - y0
    assert thumbnail(picture, instances([[319.5, 239.5, 320, 240]]), 144, (255, 0, 0)).shape == (144, 144, 3)
    assert thumbnail(np.zeros((1, 1, 3), np.uint8), instances([[0, 0, 1, 1]]), 144, (255, 0, 0)).shape == (144, 144, 3)


class Page(HTMLParser):
    """What a browser and a screen reader find."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text, self.open = "", list[str]()
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "br", "rect"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag != "rect":
            assert self.open.pop() == tag, "tags are not closed in order"

    def handle_data(self, data):
        self.text += data


NASTY = "<script>alert(1)</script>\" onload='x' &amp; {0} 日本"


def test_a_page_needs_nothing_else_and_escapes_names(results, tmp_path):
    named = rows(results, Edits().rename(1, NASTY.replace("'", "")))
    (path,) = write_sheets(named, f"Tracks of {NASTY}.mov", [NASTY], [tmp_path / "a.html"])
    text = path.read_text("utf-8")
    page = Page(text)
    assert page.open == []
    tags = [tag for tag, _ in page.tags]
    assert "script" not in tags
    assert tags.count("tr") == 1 + 4
    images = [attrs for tag, attrs in page.tags if tag == "img"]
    assert len(images) == 16
    assert all(image["src"].startswith("data:image/jpeg;base64,") and " at 0:0" in image["alt"] for image in images)
    assert all(base64.b64decode(image["src"].partition(",")[2])[:2] == b"\xff\xd8" for image in images)
    assert not re.search(r"(src|href)=\"(?!data:)|url\(|@import|https?:", text), "it asks for something else"
    assert not [name for _, attrs in page.tags for name in attrs if name.startswith("on")]
    assert NASTY.replace("'", "") in page.text
    assert ("html", {"lang": "en"}) in page.tags
    assert "0:00.360" in page.text


def test_thousands_of_tracks_are_several_sheets(results, tmp_path, monkeypatch):
    monkeypatch.setattr(streamseg.sheet.write, "ROWS", 3)
    many = rows(results)[:1] * 7
    written = write_sheets(many, "Tracks", [], [tmp_path / "a b.html", tmp_path / "a b.png"])
    assert [path.name for path in written] == ["a b.html", "a b-2.html", "a b-3.html", "a b.png", "a b-2.png", "a b-3.png"]
    page = Page(written[1].read_text())
    assert [attrs["href"] for tag, attrs in page.tags if tag == "a"] == ["a%20b.html", "a%20b-3.html"]
    assert [tag for tag, _ in page.tags].count("tr") == 1 + 3
    last = cv2.imread(str(written[5]))
    assert last.shape[0] < 300 < cv2.imread(str(written[4])).shape[0]


def test_a_film_without_tracks_has_a_sheet_that_says_so(tmp_path):
    html, png = write_sheets([], "Tracks of a.mov", ["No track was found."], [tmp_path / "a.html", tmp_path / "a.png"])
    assert "No track was found." in html.read_text()
    assert cv2.imread(str(png)) is not None


def test_a_sheet_that_cannot_be_written(tmp_path):
    with pytest.raises(OutputError, match="cannot write the contact sheet"):
        write_sheets([], "Tracks", [], [tmp_path / "none" / "a.html"])


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00.000"), (62.48, "1:02.480"), (59.9999, "1:00.000"), (3723.5, "1:02:03.500"), (-0.04, "-0:00.040")],
)
def test_times_are_written_so_that_a_selection_takes_them(seconds, text):
    assert clock(seconds) == text
    if seconds > 0:
        assert str(Selection.parse(f"at {text} 1,2")) == f"at {round(seconds, 3):g} 1,2"
