"""The effects of a driving scene: what they draw and where, and that they draw nothing of what is not known."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from streamseg.composite import Compositor, Overlay, to_image
from streamseg.composite.drive import DriveEffect
from streamseg.composite.effect import builtin
from streamseg.composite.theme import CALM, CAUTION, WARNING
from streamseg.config import load_pipeline
from streamseg.core.palette import class_color, color_of
from streamseg.core.scene import Fix, Hidden, Turn
from streamseg.core.types import Activity, Event, Instances
from streamseg.errors import ConfigError
from streamseg.pixels import planes
from tests.unit.composite.driving import CAR, NAMES, STREET, frames, unknown
from tests.unit.pictures import codes, noise

DRIVE = {name: kind() for name, kind in builtin().items() if issubclass(kind, DriveEffect)}
OVERLAY = Overlay(label="{name} {id}\n{distance} · {ttc}", color_by="auto", theme="auto", plate="dark", label_from=30)
ALL = (DRIVE["corridor"], DRIVE["trails"], OVERLAY, *(DRIVE[name] for name in sorted(DRIVE.keys() - {"corridor", "trails"})))
FORMATS = [
    "yuv420p",
    "yuvj422p",
    "yuv444p10le",
    "p010le",
    "nv12",
    "yuv410p",
    "yuva420p",
    "gray",
    "gray10le",
    "rgb24",
    "bgra",
    "gbrp10le",
]


def drawn(effects, results, **options):
    """The pictures of a film."""
    compositor = Compositor(effects, **options)
    return [compositor(result).picture for result in results]


def last(effects, **options):
    """The last frame: before, and drawn, in its first plane."""
    results = list(frames(**options))
    after = drawn(effects, results, keep_grey=True)[-1]
    return codes(results[-1].frame.picture)[0], codes(after)[0]


def flat(width=640, height=360, fmt="yuv420p", value=110):
    picture = noise(fmt, width, height)
    for array, _ in planes.views(picture).planes:
        array[...] = 128
    planes.views(picture).planes[0].array[...] = value
    return picture


def moved(before, after):
    """bool [height, width] of the changed pixels."""
    different = before != after
    return different.any(axis=2) if different.ndim == 3 else different


def test_the_shipped_pipeline_draws_all_of_them_before_a_road():
    steps = load_pipeline("drive").outputs["picture"].composite
    effects = [step.effect for step in steps]
    assert {effect.name for effect in effects} == {"overlay", *DRIVE}
    assert load_pipeline("drive").scene.watch
    results = list(frames(width=1280, height=720))
    changed = moved(codes(results[-1].frame.picture)[0], codes(drawn(effects, results)[-1])[0])
    for part in (changed[12:40, 12:60], changed[20:290, 1090:1260], changed[-20:], changed[600:680, 560:720]):
        assert part.mean() > 0.8, "the legend, the inset, the strip, the way ahead"


def test_the_effects_of_a_drive_are_these():
    assert sorted(DRIVE) == ["alerts", "birdseye", "corridor", "hidden", "instruments", "lead", "legend", "trails"]


@pytest.mark.parametrize(
    ("fmt", "interlaced"), [(fmt, False) for fmt in FORMATS] + [(fmt, True) for fmt in ("yuv420p", "p010le", "yuv410p")]
)
def test_all_is_drawn_in_every_layout_and_far_from_it_nothing_changes(fmt, interlaced):
    order = "tff" if interlaced else None
    results = [replace(each, frame=replace(each.frame, field_order=order)) for each in frames(fmt, 641, 361)]
    after = drawn(ALL, results, keep_grey=True)[-1]
    # Left of the road users and of the way ahead, under the legend, above the strip.
    free = np.zeros((361, 641), bool)
    free[160:240, 8:180] = True
    for (_, spec), a, b in zip(planes.views(after).planes, codes(results[-1].frame.picture), codes(after), strict=True):
        where = free[:: 1 << spec.shift_y, :: 1 << spec.shift_x]
        assert np.array_equal(a[where], b[where])
    assert moved(codes(results[-1].frame.picture)[0], codes(after)[0]).mean() > 0.15


SMALL = [(64, 64), (16, 16), (2, 2), (1, 1), (161, 119), (90, 400), (2000, 30)]


@pytest.mark.parametrize(("width", "height"), [*SMALL, (1080, 1920), (3840, 2160)])
def test_frames_of_all_sizes_and_shapes_are_drawn(width, height):
    for fmt in ("yuv420p", "p010le") if (width, height) in SMALL else ("yuv420p",):
        drawn(ALL, frames(fmt, width, height, STREET, 2, flat(width, height, fmt)))


@pytest.mark.parametrize("count", [0, 60])
def test_nobody_and_many(count):
    rng = np.random.default_rng(4)
    places = [
        (int(i % 6), float(ahead), float(right))
        for i, (ahead, right) in enumerate(zip(rng.uniform(4, 80, count), rng.uniform(-9, 9, count), strict=True))
    ]
    before, after = last(ALL, places=places)
    assert moved(before, after).any()


@pytest.mark.parametrize("name", ["alerts", "birdseye", "corridor", "hidden", "lead"])
def test_nothing_is_drawn_of_what_is_not_known(name):
    for result in frames():
        for known in (
            None,
            unknown(result.instances),
            replace(unknown(result.instances), corridor=np.full((4, 2), np.nan, np.float32)),
        ):
            given = replace(result, scene=known)
            assert Compositor([DRIVE[name]])(given).picture is given.frame.picture


def test_labels_say_nothing_where_nothing_is_known():
    plain, numbers = Overlay(label="{name} {id}"), Overlay(label="{name} {id}\n{distance} · {ttc} {speed}")
    for result in frames(count=1):
        given = replace(result, scene=unknown(result.instances))
        for a, b in zip(codes(Compositor(plain)(given).picture), codes(Compositor(numbers)(given).picture), strict=True):
            assert np.array_equal(a, b)


@pytest.mark.parametrize("name", sorted(DRIVE))
def test_a_scene_of_other_instances_is_not_taken_for_these(name):
    """As of a caller who chose among the instances."""
    for result in frames(count=1):
        Compositor([DRIVE[name]])(replace(result, instances=result.instances[:2]))


@pytest.mark.parametrize("effect", [*(DRIVE[name] for name in sorted(DRIVE))], ids=lambda effect: effect.name)
def test_where_the_camera_stands_nothing_of_a_drive_is_drawn(effect):
    still = {"turn": Turn(0.0, 0.0, 0.0, 0.001, moving=0.02), "camera": None, "own_speed": None}
    results = list(frames(count=15, **still))
    assert all(a is b.frame.picture for a, b in zip(drawn([effect], results), results, strict=True))


def test_a_camera_that_was_seen_to_drive_goes_on_driving_where_it_waits():
    moving = list(frames(count=15, camera=None, own_speed=None))
    waits = [
        replace(each, frame=replace(each.frame, pts=each.frame.pts + 15))
        for each in frames(count=5, camera=None, own_speed=None, turn=Turn(0, 0, 0, 0.001, moving=0.0))
    ]
    pictures = drawn([DRIVE["corridor"]], moving + waits)
    changed = [a is not b.frame.picture for a, b in zip(pictures, moving + waits, strict=True)]
    assert changed == [False] * 8 + [True] * 12, "0.3 s of motion"
    other = [replace(each, frame=replace(each.frame, epoch=1)) for each in waits]
    assert drawn([DRIVE["corridor"]], moving + other)[-1] is other[-1].frame.picture


def test_a_time_lapse_drives_too():
    """Pictures five seconds apart."""
    film = [
        replace(each, frame=replace(each.frame, pts=125 * i))
        for i, each in enumerate(frames(count=4, camera=None, own_speed=None))
    ]
    changed = [a is not b.frame.picture for a, b in zip(drawn([DRIVE["corridor"]], film), film, strict=True)]
    assert changed == [False, True, True, True]


def colours_in(picture, rgb, near=14):
    """How many pixels have about a colour."""
    return int((np.abs(to_image(picture).astype(int) - np.array(rgb)).max(axis=2) < near).sum())


def test_the_corridor_says_by_its_colour_what_is_in_it():
    effect = type(DRIVE["corridor"])(fill=1, width=0)
    for alert, rgb in ((0, CALM), (1, CAUTION), (2, WARNING)):
        seen = [
            replace(each, scene=replace(each.scene, alert=np.array([alert, 2, 0, 0, 0], np.uint8)))
            for each in frames(picture=flat(fmt="yuv444p"), count=1)
        ]
        assert colours_in(drawn([effect], seen)[0], rgb) > 300, "the second one's alert is of somebody beside it"


def test_the_corridor_ends_where_the_lead_stands():
    before, after = last([DRIVE["corridor"]], count=1)
    foot = round(0.5 * 360 + 0.9 * 640 * 1.3 / 14)
    changed = moved(before, after)
    assert changed[foot + 6 :].any()
    assert not changed[: foot - 3].any()
    before, after = last([DRIVE["corridor"]], count=1, lead=0)
    assert moved(before, after)[: foot - 3].any()


def test_the_lead_is_marked_under_its_middle_and_nobody_else():
    before, after = last([DRIVE["lead"]], count=1)
    rows, columns = np.nonzero(moved(before, after))
    assert abs(columns.mean() - (320 + 0.9 * 640 * 0.2 / 14)) < 2
    assert rows.min() > 0.5 * 360 + 0.9 * 640 * 1.3 / 14 - 4


def test_hidden_road_users_have_a_dashed_box():
    before, after = last([type(DRIVE["hidden"])(label=False)], count=1)
    changed = moved(before, after)
    x0, y0, x1, y1 = 448, 144, 480, 198
    inside = changed.copy()
    inside[y0 - 4 : y1 + 4, x0 - 4 : x1 + 4] = False
    assert not inside.any()
    assert not changed[y0 + 6 : y1 - 6, x0 + 6 : x1 - 6].any()
    side = changed[y0:y1, x0 - 2 : x0 + 3].any(axis=1)
    assert 0.3 < side.mean() < 0.9
    assert np.count_nonzero(np.diff(side.astype(int))) >= 4, "there are gaps"


def test_the_label_of_a_hidden_road_user_lies_beside_the_others(monkeypatch):
    from streamseg.composite import captions, hidden

    spots = []
    for module in (captions, hidden):
        whole = module.draw_plate
        monkeypatch.setattr(
            module, "draw_plate", lambda c, spot, *rest, whole=whole: spots.append(spot) or whole(c, spot, *rest)
        )
    (result,) = frames(places=[(CAR, 14.0, 0.2)], count=1)
    box = tuple(result.instances.boxes[0].tolist())
    given = replace(result, scene=replace(result.scene, hidden=(Hidden(7, "car", 1, box, 0.0), Hidden(8, "car", 1, box, 0.0))))
    drawn([Overlay(), DRIVE["hidden"]], [given])
    assert len(spots) == 3
    for i, (x0, y0, x1, y1) in enumerate(spots):
        assert not any(x0 < right and left < x1 and y0 < low and top < y1 for left, top, right, low in spots[:i])


def test_an_alert_has_brackets_and_a_warning_a_band():
    one = [(CAR, 14.0, 0.2)]
    for alert, rgb, band in ((0, None, False), (1, CAUTION, False), (2, WARNING, True)):
        (result,) = frames(picture=flat(fmt="yuv444p"), places=one, count=1, alert=np.array([alert], np.uint8))
        picture = drawn([DRIVE["alerts"]], [result])[0]
        assert (picture is result.frame.picture) == (rgb is None)
        above = moved(codes(result.frame.picture)[0], codes(picture)[0])[:60]
        assert above.any() == band
        assert rgb is None or colours_in(picture, rgb) > 60


def test_a_mark_stays_a_second_when_its_alert_is_over():
    """It must not flicker where the alert does."""
    results = list(frames(places=[(CAR, 14.0, 0.2)], count=60, picture=flat()))
    alerts = [2 if i < 3 or i == 10 else 0 for i in range(60)]
    given = [
        replace(each, scene=replace(each.scene, alert=np.array([a], np.uint8))) for each, a in zip(results, alerts, strict=True)
    ]
    shown = [a is not b.frame.picture for a, b in zip(drawn([DRIVE["alerts"]], given), given, strict=True)]
    assert shown == [i <= 10 + 25 for i in range(60)]


def test_a_trail_follows_the_foot_fades_and_goes():
    """A walker from left to right: the trail lies where its foot was, and is gone two seconds after it was last seen."""
    results = list(frames(places=[(0, 10.0, 0.0)], count=1, picture=flat()))
    film = []
    for i in range(140):
        found = replace(results[0].instances, boxes=np.array([[100 + 4 * i, 150, 130 + 4 * i, 230]], np.float32))
        found = found if i < 80 else Instances.empty(NAMES)
        film.append(replace(results[0], frame=replace(results[0].frame, pts=i, index=i), instances=found, scene=None))
    pictures = drawn([DRIVE["trails"]], film)
    changed = moved(codes(film[79].frame.picture)[0], codes(pictures[79])[0])
    rows, columns = np.nonzero(changed)
    assert rows.min() >= 226
    assert rows.max() <= 234
    assert 415 - 60 < columns.max() < 440
    assert columns.min() > 415 - 4 * 50 - 12, "two seconds of 4 pixels a frame"
    strength = np.abs(codes(pictures[79])[0] - codes(film[79].frame.picture)[0])[230]
    assert strength[columns.max() - 8] > 2 * strength[columns.min() + 4]
    assert pictures[139] is film[139].frame.picture


def test_the_trail_of_who_comes_nearer_is_not_drawn_on_it():
    film = [
        replace(each, instances=replace(each.instances, boxes=np.array([[300, 100, 340, 140 + i]], np.float32)))
        for i, each in enumerate(frames(places=[(CAR, 20.0, 0.0)], count=50, picture=flat()))
    ]
    pictures = drawn([DRIVE["trails"]], film)
    assert not moved(codes(film[-1].frame.picture)[0], codes(pictures[-1])[0])[:185].any()


def test_the_band_and_the_label_say_the_same_number(monkeypatch):
    """Also where the warning begins between two renewals of the label, and the number trembles."""
    from streamseg.composite import captions
    from streamseg.composite.panel import Panel

    labels, bands, whole, write = [], [], captions.plate, Panel.text
    monkeypatch.setattr(captions, "plate", lambda text, *rest: labels.append(text) or whole(text, *rest))

    def text(self, at, words, *rest, **more):
        bands.append(words)
        return write(self, at, words, *rest, **more)

    monkeypatch.setattr(Panel, "text", text)
    film = []
    for i, each in enumerate(frames(places=[(CAR, 20.0, 0.0)], count=40)):
        ttc, alert = np.array([2.4 - 0.03 * i + 0.05 * (i % 3)], np.float32), np.array([2 * (i > 6)], np.uint8)
        film.append(replace(each, scene=replace(each.scene, ttc=ttc, alert=alert)))
    compositor = Compositor([DRIVE["alerts"], Overlay(label="{ttc}")])
    said = None
    for result in film:
        labels.clear()
        bands.clear()
        compositor(result)
        said = bands[-1] if bands else said
        assert said is None or said == f"car 1 · {labels[0]}"
    assert said is not None


def test_trails_are_kept_of_few_and_for_a_while():
    effect = type(DRIVE["trails"])(seconds=1)
    drawing = effect.begin()
    compositor = Compositor(effect)
    compositor._drawing = [drawing]
    (result,) = frames(count=1)
    for i in range(60):
        ids = np.arange(5) + 5 * i + 1
        compositor(replace(result, frame=replace(result.frame, pts=i), instances=replace(result.instances, track_ids=ids)))
    assert len(drawing._trails) <= 5 * 27
    assert max(len(trail.points) for trail in drawing._trails.values()) <= 14


def inset(result, effect=DRIVE["birdseye"]):
    """What the bird's eye changed, cut to the inset: bool [h, w], and its RGB picture."""
    picture = drawn([effect], [result])[0]
    rows, columns = np.nonzero(moved(codes(result.frame.picture)[0], codes(picture)[0]))
    part = slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1)
    return to_image(picture)[part]


def disc(image, rgb):
    """The middle of what has a colour, as shares of the inset's width and height."""
    rows, columns = np.nonzero(np.abs(image.astype(int) - np.array(rgb)).max(axis=2) < 30)
    return columns.mean() / image.shape[1], rows.mean() / image.shape[0]


def test_the_birds_eye_shows_who_is_further_and_who_is_to_the_right():
    for near, far in (((0, 20.0, -3.0), (1, 50.0, 6.0)), ((1, 10.0, 4.0), (0, 30.0, 0.0))):
        (result,) = frames("yuv444p", 1280, 720, [near, far], 1, corridor=np.zeros((0, 2), np.float32))
        image = inset(result)
        (x0, y0), (x1, y1) = (disc(image, class_color(NAMES[label], label)) for label, _, _ in (near, far))
        assert y0 > y1
        assert (x0 < x1) == (near[2] < far[2])
        # The same scale along the road and across it.
        up, right = (y0 - y1) * image.shape[0], (x1 - x0) * image.shape[1]
        assert up / (far[1] - near[1]) == pytest.approx(right / (far[2] - near[2]), rel=0.15)


def test_a_larger_error_bar_has_a_larger_ellipse():
    def marked(std):
        (result,) = frames(
            "yuv444p",
            1280,
            720,
            [(0, 30.0, 2.0)],
            1,
            distance_std=np.array([std], np.float32),
            corridor=np.zeros((0, 2), np.float32),
        )
        return inset(result, type(DRIVE["birdseye"])(reach=60)).astype(int)

    small, large = marked(2.0), marked(9.0)
    rows = np.nonzero(np.abs(large - small).max(axis=2) > 20)[0]
    scale = large.shape[0] / 66
    assert 2 * 9 * scale * 0.8 < np.ptp(rows) < 2 * 9 * scale * 1.3


def test_without_metres_it_shows_seconds_or_nothing():
    nan = np.full(1, np.nan, np.float32)
    without = {"distance": nan, "lateral": nan, "camera": None, "corridor": np.zeros((0, 2), np.float32)}
    (soon,) = frames("yuv444p", 1280, 720, [(0, 16.0, 2.0)], 1, **without)
    (late,) = frames("yuv444p", 1280, 720, [(0, 64.0, 2.0)], 1, **without)
    rgb = class_color("person", 0)
    assert disc(inset(soon), rgb)[1] > disc(inset(late), rgb)[1] + 0.3, "2 s and 8 s of 10"
    nothing = type(DRIVE["birdseye"])(without="nothing")
    assert drawn([nothing], [soon])[0] is soon.frame.picture


def words_of(effect, results, monkeypatch):
    """All texts that panels wrote, frame by frame."""
    from streamseg.composite.panel import Panel

    written, whole = [], Panel.text
    monkeypatch.setattr(
        Panel, "text", lambda self, at, words, *rest, **more: written.append(words) or whole(self, at, words, *rest, **more)
    )
    compositor, found = Compositor(effect), []
    for result in results:
        written.clear()
        compositor(result)
        found.append(list(written))
    return found


def test_the_strip_says_what_is_known(monkeypatch):
    fix = Fix(52.52, -13.405, utc=1_900_000_000.0)
    alert = Activity({}, {}, {}, {}, (Event("alert", 0.0, 1, "car"),))
    film = [
        replace(each, activity=alert if i == 0 else each.activity)
        for i, each in enumerate(frames(width=1920, height=1080, count=30, fix=fix))
    ]
    texts = words_of(DRIVE["instruments"], film, monkeypatch)
    assert {"48 km/h", "1", "person 1", "car 1", "truck 1", "2030-03-17 17:46:40 UTC", "52.5200 N 13.4050 W"} <= set(texts[0])
    assert "25 fps" in {word for frame in texts for word in frame}
    assert not any(word.endswith(" ms") for frame in texts for word in frame), "nothing is late in a file"
    (none,) = frames(count=1, own_speed=None)
    assert {"no GPS", "0:00"} <= set(words_of(DRIVE["instruments"], [none], monkeypatch)[0])
    mph = type(DRIVE["instruments"])(speed="mph")
    assert "30 mph" in words_of(mph, frames(count=1), monkeypatch)[0]


def test_alerts_are_counted_over_gaps(monkeypatch):
    alert = Activity({}, {}, {}, {}, (Event("alert", 0.0, 1, "car"),))
    film = [
        replace(each, activity=alert, frame=replace(each.frame, epoch=i))
        for i, each in enumerate(frames(count=3, alert=np.zeros(5, np.uint8)))
    ]
    assert "3" in words_of(DRIVE["instruments"], film, monkeypatch)[-1]


def test_live_the_strip_says_how_old_the_picture_is(monkeypatch):
    import time

    (result,) = frames(width=1280, height=720, count=1)
    live = replace(result, frame=replace(result.frame, utc=1_900_000_000.0, arrived=time.monotonic() - 0.25))
    texts = words_of(DRIVE["instruments"], [live], monkeypatch)[0]
    assert "2030-03-17 17:46:40 UTC" in texts
    assert any(250 <= int(word.split()[0]) < 2000 for word in texts if word.endswith(" ms"))


def test_what_the_strip_says_changes_seldom(monkeypatch):
    """A speed and a count that jump with every frame."""
    film = [
        replace(
            each,
            instances=each.instances[: 1 + i % 3],
            scene=replace(unknown(each.instances[: 1 + i % 3]), own_speed=10.0 + i % 2),
        )
        for i, each in enumerate(frames(count=75))
    ]
    texts = words_of(DRIVE["instruments"], film, monkeypatch)
    assert sum(bool(each) for each in texts) <= 3 * 5, "three seconds"


def test_a_strip_too_narrow_keeps_what_matters_most(monkeypatch):
    (result,) = frames(width=120, height=240, count=1)
    texts = words_of(DRIVE["instruments"], [result], monkeypatch)[0]
    assert texts in (["48 km/h"], ["48 km/h", "0:00"])


def test_the_legend_lists_what_was_seen_and_does_not_shrink(monkeypatch):
    film = list(frames(width=1280, height=720, count=3))
    film[1] = replace(film[1], instances=film[1].instances[:0], scene=unknown(film[1].instances[:0]))
    film[2] = replace(film[2], frame=replace(film[2].frame, epoch=1))
    texts = words_of(DRIVE["legend"], film, monkeypatch)
    assert texts[0] == ["person", "bicycle", "car", "bus", "truck", "lead", "hidden", "warning"]
    assert texts[1:] == [[], []], "drawn once"


@pytest.mark.parametrize("called", ["Zoë 漢字 🚗", "a" * 300, "", "%s {x} \n\t", "\u202eabc"])
def test_names_with_any_characters_are_drawn(called):
    film = [
        replace(each, instances=replace(each.instances, class_names=(called, *NAMES[1:]), track_names={1: called}))
        for each in frames()
    ]
    drawn(ALL, film)


def test_colours_are_by_class_where_the_camera_drives_and_by_track_else():
    (result,) = frames("yuv444p", 640, 360, [(CAR, 8.0, 0.0), (CAR, 8.0, 4.0)], 1, picture=flat(fmt="yuv444p"))
    for known, paints in ((result.scene, [class_color("car", CAR)] * 2), (None, [color_of(1, CAR), color_of(2, CAR)])):
        picture = drawn([Overlay(fill=1, label="", color_by="auto")], [replace(result, scene=known)])[0]
        image = to_image(picture).astype(int)
        for box, rgb in zip(result.instances.boxes, paints, strict=True):
            x, y = int(box[[0, 2]].mean()), int(box[[1, 3]].mean())
            assert np.abs(image[y, x] - rgb).max() < 8


def test_a_small_road_user_has_a_label_where_it_matters():
    far = [(CAR, 60.0, 14.0), (CAR, 60.0, 0.0)]
    (result,) = frames(places=far, count=1, lead=2)
    labelled = [codes(drawn([Overlay(fill=0, contour=0, label_from=least)], [result])[0])[0] for least in (0, 100)]
    before = codes(result.frame.picture)[0]
    beside = slice(int(result.instances.boxes[0, 0]), 640)
    assert moved(before, labelled[0])[:, beside].any()
    assert not moved(before, labelled[1])[:, beside].any()
    assert moved(before, labelled[1]).any(), "the one that leads"


def test_a_label_does_not_come_and_go_with_a_pixel():
    (result,) = frames(places=[(CAR, 20.0, 0.0)], count=1, alert=np.zeros(1, np.uint8), lead=0)
    film = []
    for i in range(20):
        box = np.array([[300, 200, 340, 229.5 + i % 2]], np.float32)
        film.append(replace(result, frame=replace(result.frame, pts=i), instances=replace(result.instances, boxes=box)))
    shown = [
        a is not b.frame.picture for a, b in zip(drawn([Overlay(fill=0, contour=0, label_from=90)], film), film, strict=True)
    ]
    assert shown == [False] + [True] * 19


BAD = {
    "corridor": [{"fill": 2}, {"width": 99}],
    "trails": [{"seconds": 0}, {"color_by": "size"}, {"where": "background"}],
    "hidden": [{"width": 0}],
    "lead": [{"size": 1}],
    "alerts": [{"width": 0}],
    "birdseye": [{"reach": 1}, {"size": 5}, {"corner": "middle"}, {"without": "words"}, {"color_by": "x"}],
    "legend": [{"corner": "x"}],
    "instruments": [{"speed": "knots"}, {"position": "left"}],
}


@pytest.mark.parametrize(
    ("name", "options"), [(name, each) for name, all_ in BAD.items() for each in [*all_, {"theme": "dusk"}]]
)
def test_values_out_of_range_are_refused_by_name(name, options):
    option, value = next(iter(options.items()))
    with pytest.raises(ConfigError, match=rf"{name}: {option}.*{re.escape(str(value))}"):
        builtin()[name](**options)


@pytest.mark.parametrize("options", [{"color_by": "x"}, {"theme": "x"}, {"label_from": -1}, {"plate": "x"}, {"text": 0}])
def test_the_overlays_new_options_are_checked(options):
    option, value = next(iter(options.items()))
    with pytest.raises(ConfigError, match=rf"overlay: {option}.*{re.escape(str(value))}"):
        Overlay(**options)


def test_only_a_plain_overlay_is_drawn_by_the_kernel_and_remembers_nothing():
    assert Overlay().fitting_kernel() == Overlay.kernel
    assert not Overlay().looks_back
    for options in (
        {"label": "{ttc}"},
        {"color_by": "class"},
        {"theme": "night"},
        {"plate": "dark"},
        {"label_from": 3},
        {"text": 22},
    ):
        assert Overlay(**options).fitting_kernel() is None, options
    assert Overlay(label="{distance}").looks_back
    assert Overlay(theme="auto").looks_back


def test_a_scene_is_of_its_instances_also_where_some_are_chosen(monkeypatch):
    """The label of the second road user says its own distance."""
    from streamseg.composite import captions

    written, whole = [], captions.plate
    monkeypatch.setattr(captions, "plate", lambda text, *rest: written.append(text) or whole(text, *rest))
    (result,) = frames(places=[(CAR, 14.0, 0.0), (0, 33.0, 2.0)], count=1)
    drawn([Overlay(classes=["person"], label="{id} {distance}")], [result])
    assert written == ["2 33 m ±2"]
