"""Lines, zones and counts on the picture."""

import re
from dataclasses import replace

import numpy as np
import pytest

from streamseg.composite import Compositor, Counts, Zones, to_image
from streamseg.core.palette import PALETTE
from streamseg.core.types import Activity, Instances
from streamseg.errors import ConfigError
from tests.unit.pictures import codes, noise, result

FORMATS = ["yuv420p", "yuv444p", "yuv420p10le", "nv12", "rgb24", "gray"]
WIDTH, HEIGHT = 640, 361
SQUARE = np.array([[400, 150], [600, 150], [600, 300], [400, 300]], np.float32)
LINE = np.array([[100.5, 40.5], [100.5, 300.5]], np.float32)


def seen(fmt: str, activity: Activity | None):
    return replace(result(noise(fmt, WIDTH, HEIGHT), Instances.empty(("person",))), activity=activity)


def activity(**places: np.ndarray) -> Activity:
    return Activity(
        {"person": 2},
        {"person": 7, "car": 1},
        {name: {"left_to_right": 3, "right_to_left": 1} for name in places if name != "square"},
        {"square": {"inside": 1, "entered": 5, "left": 4}} if "square" in places else {},
        (),
        places,
    )


def changed(fmt, effect, shown) -> np.ndarray:
    """bool [height, width] of the pixels whose code in the first plane is another."""
    before = seen(fmt, shown)
    after = Compositor([effect])(before)
    first, second = codes(before.frame.picture)[0], codes(after.picture)[0]
    difference = first != second
    return difference.any(axis=2) if difference.ndim == 3 else difference


@pytest.mark.parametrize("fmt", FORMATS)
def test_a_zone_is_filled_and_outlined_and_nothing_else_changes(fmt):
    moved = changed(fmt, Zones(fill=0.5, width=6, label=False), activity(square=SQUARE))
    assert moved[160:290, 410:590].mean() > 0.9
    moved[146:304, 396:604] = False
    assert not moved.any()


@pytest.mark.parametrize("fmt", FORMATS)
def test_a_line_is_where_it_is_said_to_be(fmt):
    moved = changed(fmt, Zones(width=6, label=False), activity(gate=LINE))
    assert moved[45:295, 100].mean() > 0.95
    moved[36:305, 96:106] = False
    assert not moved.any()


def test_a_zone_without_fill_has_its_outline_only_in_the_zones_own_colour():
    shown = seen("rgb24", activity(square=SQUARE))
    image = to_image(Compositor([Zones(fill=0, width=12, label=False)])(shown).picture)
    assert image[150, 500].tolist() == list(PALETTE[0])
    assert np.array_equal(image[200:250, 450:550], shown.image()[200:250, 450:550])


@pytest.mark.parametrize("place", [np.add(SQUARE, (500, 0)), np.add(LINE, -900), LINE * 40])
def test_places_that_reach_out_of_the_frame_or_lie_outside(place):
    Compositor([Zones()])(seen("yuv420p", activity(square=place.astype(np.float32))))


def texts(effect, shown, monkeypatch) -> list[str]:
    from streamseg.composite import places

    written: list[str] = []
    whole = places.plate
    monkeypatch.setattr(places, "plate", lambda text, size, align: written.append(text) or whole(text, size, align))
    Compositor([effect])(shown)
    return written


def test_what_is_written(monkeypatch):
    shown = seen("yuv420p", activity(gate=LINE, square=SQUARE))
    assert texts(Zones(), shown, monkeypatch) == [
        "gate: 3 left to right, 1 right to left",
        "square: 1 inside, 5 entered",
    ]
    assert texts(Counts(), shown, monkeypatch) == ["car: 0 now, 1 in all", "person: 2 now, 7 in all"]


def test_counts_stand_in_the_corner_and_leave_the_rest_alone():
    moved = changed("yuv420p", Counts(), activity())
    assert moved[4:30, 4:60].mean() > 0.5
    moved[:60, :200] = False
    assert not moved.any()


@pytest.mark.parametrize("effect", [Zones(), Counts()])
def test_without_events_the_picture_is_the_decoders_own(effect):
    shown = seen("yuv420p", None)
    assert Compositor([effect])(shown).picture is shown.frame.picture


@pytest.mark.parametrize("options", [{"fill": 1.5}, {"width": 0}, {"width": 99}])
def test_values_out_of_range_are_refused(options):
    with pytest.raises(ConfigError, match=re.escape(str(next(iter(options.values()))))):
        Zones(**options)
