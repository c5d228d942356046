"""Numbers with error bars as they are written, how seldom they change, and day and night."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from streamseg.composite.canvas import Canvas
from streamseg.composite.labels import label_text
from streamseg.composite.memory import Slack, Steady
from streamseg.composite.readout import HOLD, KINDS, Readouts, Seconds, spoken
from streamseg.composite.theme import CALM, CAUTION, DAY, NIGHT, WARNING, Light, brightness
from streamseg.core.palette import class_color, contrast
from streamseg.core.types import Instances
from streamseg.pixels import planes
from streamseg.pixels.color import drawing_codes, encoding
from tests.unit.pictures import instances, noise

nan = math.nan


@pytest.mark.parametrize(
    ("kind", "value", "std", "text"),
    [
        ("ttc", 2.44, 0.31, "2.4 s ±0.3"),
        ("ttc", 2.44, 0.02, "2.4 s ±0.1"),
        ("ttc", 6.2, 1.4, "6 s ±2"),
        ("ttc", 2.0, nan, "2.0 s"),
        ("distance", 31.2, 2.6, "31 m ±3"),
        ("distance", 6.44, 0.3, "6.4 m ±0.3"),
        ("distance", 132.0, 9.0, "130 m ±9"),
        ("distance", 52.4, 12.6, "50 m ±13"),
        ("distance", 0.04, 0.2, "0.0 m ±0.2"),
        ("speed", -12.2, 2.0, "−12 km/h ±2"),
        ("speed", 0.3, 1.0, "+0 km/h ±1"),
    ],
)
def test_a_number_is_written_to_what_is_known_of_it(kind, value, std, text):
    assert spoken(KINDS[kind], value, std) == text


def read(values, every=0.04, kind="ttc", std=0.2, track=1):
    readouts = Readouts()
    return [readouts.text(kind, track, i * every, value, std) for i, value in enumerate(values)]


def test_a_number_changes_at_most_a_few_times_a_second():
    """Noise of a tenth of a second, and a value that falls by one second a second."""
    rng = np.random.default_rng(3)
    texts = read(5 - 0.04 * np.arange(75) + rng.normal(0, 0.1, 75))
    changes = [i for i, (a, b) in enumerate(pairwise(texts)) if a != b]
    assert 4 <= len(changes) <= 3 / HOLD
    assert min(b - a for a, b in pairwise(changes)) * 0.04 >= HOLD - 1e-9


def test_a_number_between_two_does_not_go_back_and_forth():
    assert len(set(read([30.5 + 0.3 * (-1) ** i for i in range(100)], kind="distance", std=2.0))) == 1


def test_a_number_that_is_not_known_any_more_stays_for_a_moment_and_goes():
    texts = read([2.0] * 5 + [nan] * 30)
    gone = texts.index("")
    assert 0 < (gone - 4) * 0.04 - HOLD < 0.1
    assert set(texts[gone:]) == {""}
    assert set(read([nan] * 5)) == {""}


def test_what_is_far_in_time_is_not_said_and_does_not_flicker_at_the_border():
    assert read([25.0]) == [""]
    assert "" not in read([9.9] + [10.0 + 0.5 * (-1) ** i for i in range(50)])


def test_untracked_numbers_are_not_remembered():
    readouts = Readouts()
    assert readouts.text("ttc", 0, 0.0, 2.0, 0.1) == "2.0 s ±0.1"
    assert readouts.text("ttc", 0, 0.04, 3.0, 0.1) == "3.0 s ±0.1"


def test_readouts_forget_who_is_gone_and_what_was_before_a_new_epoch():
    readouts, picture = Readouts(), noise("yuv420p", 16, 16)
    for i in range(100):
        readouts.begin(Canvas(picture, time=i * 0.1))
        readouts.text("ttc", i + 1, i * 0.1, 2.0, 0.1)
    assert len(readouts._shown) <= 22
    readouts.begin(Canvas(picture, time=10.0, epoch=1))
    assert not readouts._shown


def test_a_text_of_the_whole_picture_is_held():
    held = Seconds(1.0)
    texts = [held(i * 0.04, str(i)) for i in range(100)]
    assert [text for i, text in enumerate(texts) if i == 0 or text != texts[i - 1]] == ["0", "25", "50", "75"]


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{name} {id}\n{distance} · {ttc}", "person 1\n31 m ±3"),
        ("{distance} · {ttc} · {name}", "31 m ±3 · person"),
        ("{ttc}\n{ttc}", ""),
        ("·{name}· · {ttc} ·", "·person·"),
    ],
)
def test_what_is_empty_leaves_no_dot_and_no_line(template, text):
    assert label_text(template, instances([[0, 0, 9, 9]]), 0, {"distance": "31 m ±3", "ttc": "", "speed": ""}) == text


def test_steady_follows_and_passes_what_is_not_known():
    steady = Steady[int](0.2)
    values = [steady(1, i * 0.04, (10.0 + (-1) ** i, 0.0))[0] for i in range(60)]
    assert np.ptp(values[30:]) < 0.5
    assert math.isnan(steady(1, 2.4, (nan, 0.0))[0])
    assert steady(1, 9.0, (50.0, 0.0)) == (50.0, 0.0), "seconds later it begins anew"
    for track in range(1000):
        steady(track, 9.0, (0.0, 0.0))
    assert len(steady._known) <= 256


def test_slack_stays_where_it_trembles_and_never_lags_by_more():
    places = Slack[int]()
    places.slack = 3.0
    assert len({places(1, i * 0.04, (100.0 + 2 * (-1) ** i,)) for i in range(50)}) <= 2
    fast = [places(1, 2 + i * 0.04, (100.0 + 20 * i,))[0] for i in range(10)]
    assert [20 * i + 100 - each for i, each in enumerate(fast)][1:] == [3.0] * 9


def grey(level, fmt="yuv420p"):
    """A picture of one signal, 0 black to 1 white."""
    picture = noise(fmt, 64, 48)
    of, view = encoding(picture), planes.views(picture)
    for array, spec in view.planes:
        codes = np.array(drawing_codes((round(255 * level),) * 3, of))
        array[...] = (
            np.rint(codes[list(spec.components)]).astype(np.int64) << view.layout.lsb if spec.components != (3,) else 255
        )
    return picture


@pytest.mark.parametrize("fmt", ["yuv420p", "yuvj444p", "p010le", "gray", "rgb24", "gbrp10le"])
def test_brightness_is_that_of_the_picture_before_drawing(fmt):
    for level in (0.0, 0.2, 0.6, 1.0):
        canvas = Canvas(grey(level, fmt))
        canvas.paint((0, 0, 64, 48), np.full((48, 64), 255, np.uint8), (0, 0, 0))
        assert brightness(canvas.source) == pytest.approx(level, abs=0.012)


def test_the_theme_follows_the_light_slowly_and_does_not_flicker():
    light = Light()

    def themes(levels, begin):
        pictures = {level: grey(level) for level in set(levels)}
        return [light(Canvas(pictures[level], time=begin + i * 0.04)) for i, level in enumerate(levels)]

    assert set(themes([0.45] * 10, 0.0)) == {DAY}
    assert set(themes([0.05] * 20, 0.4)) == {DAY}, "a bridge"
    tunnel = themes([0.05] * 100, 1.2)
    assert tunnel[-1] is NIGHT
    assert tunnel == sorted(tunnel, key=lambda theme: theme is NIGHT), "it changes once"
    assert set(themes([0.2 + 0.1 * (i % 2) for i in range(100)], 5.2)) == {NIGHT}, "in between it stays"
    assert themes([0.6] * 100, 9.2)[-1] is DAY
    assert Light.of(Canvas(grey(0.9)), "night") is NIGHT
    assert Light.of(Canvas(grey(0.0)), "day") is DAY


def test_themes_can_be_read():
    """WCAG asks for a contrast of 4.5 for text."""
    for theme in (DAY, NIGHT):
        assert contrast(theme.text, theme.panel) > 7
        assert contrast(theme.shade((255, 255, 255)), theme.panel) > 7


# Viénot, Brettel and Mollon 1999: what protanopes and deuteranopes see, matrices on linear RGB.
BLIND = {
    "normal": np.eye(3),
    "protan": [[0.11238, 0.88762, 0.0], [0.11238, 0.88762, 0.0], [0.00401, -0.00401, 1.0]],
    "deutan": [[0.29275, 0.70725, 0.0], [0.29275, 0.70725, 0.0], [-0.02234, 0.02234, 1.0]],
}


def lab(rgb):
    """CIE L*a*b* of linear RGB."""
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ rgb / [0.9505, 1, 1.089]
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("vision", BLIND)
def test_classes_and_alerts_are_told_apart_with_any_colour_vision(vision):
    names = ["person", "bicycle", "car", "motorcycle", "bus", "truck"]
    for group, least in (([class_color(name, i) for i, name in enumerate(names)], 16), ([CALM, CAUTION, WARNING], 30)):
        seen = [lab(np.clip(np.array(BLIND[vision]) @ (np.array(rgb) / 255) ** 2.2, 0, 1)) for rgb in group]
        for i, a in enumerate(seen):
            for b in seen[:i]:
                assert np.linalg.norm(a - b) > least


def test_a_class_has_its_colour_whatever_the_model():
    assert class_color("car", 2) == class_color("car", 57)
    assert class_color("giraffe", 3) == class_color("giraffe", 3) != class_color("giraffe", 4)


def test_an_empty_label_of_numbers_draws_nothing():
    from streamseg.composite import Compositor, Overlay
    from tests.unit.pictures import result

    seen = result(noise("yuv420p", 64, 48), instances([[5, 5, 40, 40]]))
    assert Compositor(Overlay(fill=0, contour=0, label="{ttc}"))(seen).picture is seen.frame.picture
    assert isinstance(seen.instances, Instances)
