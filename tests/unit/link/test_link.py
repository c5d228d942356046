"""Tracks of films looked at both ways: what a person who scrubs through the film frame by frame would see."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from streamseg.config.schema import TrackConfig
from streamseg.core import masks as mask_ops
from streamseg.core.result import Result
from streamseg.core.types import Frame, Instances
from streamseg.errors import ConfigError
from streamseg.link import Link
from streamseg.pipeline.build import build_results
from streamseg.pipeline.configure import configure
from streamseg.pixels.memory import picture_bytes
from streamseg.runtime import Channel
from streamseg.track import Tracker
from streamseg.track.tracked import Tracked
from tests import clips, scenes
from tests.conformance.known import KnownEngine
from tests.noisy_detector import NoisyDetector
from tests.scenes import Truth

CONF = 0.5
Change = Callable[[Truth, Instances], Instances]


def told(
    scene: Iterable[Truth], change: Change = lambda _, found: found, **options: object
) -> tuple[list[Instances], list[Instances]]:
    """What is told of each frame online, and both ways, where `change` is done to perfect detections."""
    tracker, link = Tracker(CONF, tells_others=True), Link(CONF, **options)  # type: ignore[arg-type]
    detect, online, both = NoisyDetector.perfect(), [], []
    for truth in scene:
        found = Result(truth.frame(), change(truth, detect.instances(truth)))
        tracked = tracker(found)
        online.append(tracked.instances)
        both += link(tracked)
    both += link.flush()
    assert [result.frame.index for result in both] == list(range(len(online)))
    return online, [result.instances for result in both]


def without(frames: Iterable[int], actor: int = 1) -> Change:
    """The object is not found in these frames."""
    return lambda truth, found: found[np.array([(truth.index not in frames) or t != actor for t in owners(truth, found)], bool)]


def weak(frames: Iterable[int], actor: int = 1, score: float = 0.35) -> Change:
    """The object is found with that score in these frames."""

    def change(truth: Truth, found: Instances) -> Instances:
        low = np.array([truth.index in frames and t == actor for t in owners(truth, found)], bool)
        scores = np.where(low, np.float32(score), found.scores).astype(np.float32)
        return replace(found, scores=scores, track_scores=scores)[np.argsort(-scores, kind="stable")]

    return change


def owners(truth: Truth, found: Instances) -> list[int]:
    """The actor that each instance shows."""
    boxes = np.array([[*np.argwhere(m).min(0)[::-1], *np.argwhere(m).max(0)[::-1] + 1] for m in truth.visible if m.any()])
    ids = [int(track) for track, mask in zip(truth.ids, truth.visible, strict=True) if mask.any()]
    return [ids[int(np.abs(boxes - box).sum(1).argmin())] for box in found.boxes]


def iou(mask: np.ndarray, found: Instances, i: int) -> float:
    own = mask_ops.full(found.masks[i], found.boxes[i], mask.shape[1], mask.shape[0])
    return float((own & mask).sum() / max(1, (own | mask).sum()))


def walker(x: float, speed: float, **rest: object) -> scenes.Actor:
    return scenes.walker(scenes.straight(x, 95, speed), 90, scenes.SHIRTS[0], scenes.TROUSERS[0], 1, **rest)  # type: ignore[arg-type]


def scene(*actors: scenes.Actor, frames: int = 40, rate: float = 25, seed: int = 0, **rest: object) -> list[Truth]:
    return list(scenes.Scene(actors, scenes.times(frames / rate, rate), 320, 180, seed=seed, **rest))  # type: ignore[arg-type]


def entry(film: list[Truth]) -> int:
    """The frame in which at least 12 pixels of the first actor show."""
    return next(truth.index for truth in film if truth.visible[truth.ids == 1].sum() >= 12)


def shown(instances: list[Instances]) -> list[int]:
    """The frames that show anything."""
    return [i for i, found in enumerate(instances) if len(found)]


# --- beginnings and ends ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("camera", [scenes.fixed, scenes.pan(-20)], ids=["still", "panning"])
@pytest.mark.parametrize("rate", [10, 25])
def test_a_track_begins_where_the_object_comes_in(rate: float, camera: scenes.Camera) -> None:
    """It is first found some frames after that, when half of it is in the picture."""
    film = scene(walker(-30, 100), rate=rate, frames=int(1.6 * rate), camera=camera)
    begins = entry(film)
    late = range(begins + round(0.32 * rate))
    online, both = told(film, without(late))
    assert shown(online)[0] == late.stop
    assert abs(shown(both)[0] - begins) <= 1
    assert {int(i) for found in both for i in found.track_ids} == {1}
    ious = [iou(truth.visible[0], both[truth.index], 0) for truth in film if truth.index in range(begins + 2, late.stop)]
    assert np.mean(ious) > 0.5, "arms and legs swing meanwhile"


def test_weak_detections_before_the_first_sure_one_are_its_beginning() -> None:
    """Their own masks are taken: this object changes its place by more than the flow can follow."""
    film = scene(scenes.block(scenes.straight(-10, 60, 700), 24, 22, scenes.SHIRTS[1], 2, "ellipse"), frames=11)
    begins = entry(film)
    online, both = told(film, weak(range(begins + 4), score=0.32))
    assert shown(online)[0] == begins + 4
    assert shown(both)[0] == begins
    assert iou(film[begins + 2].visible[0], both[begins + 2], 0) > 0.85


def test_what_is_faster_than_the_flow_is_looked_for_where_its_speed_takes_it() -> None:
    """It moves by more than its own size a frame, and is not found at all in its first four frames, nor in three amid."""
    film = scene(scenes.block(scenes.straight(-10, 60, 700), 24, 22, scenes.SHIRTS[1], 2, "ellipse"), frames=12)
    online, both = told(film, without([0, 1, 2, 3, 8, 9]))
    assert shown(online) == [4, 5, 6, 7, 10, 11]
    assert shown(both)[0] <= entry(film) + 1
    assert shown(both)[-10:] == list(range(2, 12))
    assert all(iou(film[i].visible[0], both[i], 0) > 0.5 for i in (2, 3, 8, 9))


def test_a_track_ends_where_the_object_goes_out() -> None:
    film = scene(walker(230, 100), frames=36)
    gone = max(truth.index for truth in film if len(truth.ids) and truth.visible[0].sum() >= 12)
    early = range(gone - 7, 40)
    online, both = told(film, without(early))
    assert shown(online)[-1] == early.start - 1
    assert abs(shown(both)[-1] - gone) <= 1


def test_nothing_is_drawn_before_an_object_is_there() -> None:
    """It appears in the middle of the picture: where it will be nothing is like it."""
    film = scene(walker(160, 20, seen=lambda t: t >= 0.8), frames=40)
    online, both = told(film)
    assert shown(both) == shown(online) == list(range(20, 40))


def test_weak_detections_that_lead_to_nothing_end_a_track_sooner() -> None:
    """Something of a low score stays where the object was: online its mean falls below `keep` only after a second and more."""
    film = scene(walker(160, 0), frames=70)
    online, both = told(film, weak(range(20, 70), score=0.15))
    assert 3 <= shown(both)[-1] - 20 < 0.75 * (shown(online)[-1] - 20)


# --- gaps -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("speed", [0, 60, 160])
def test_a_gap_is_filled_from_both_sides(speed: float) -> None:
    film, gap = scene(walker(60, speed), frames=30), range(12, 20)
    online, both = told(film, without(gap))
    assert shown(online) == [i for i in range(30) if i not in gap]
    assert shown(both) == list(range(30))
    assert all(iou(truth.visible[0], both[truth.index], 0) > 0.72 for truth in film if truth.index in gap)
    assert all(found.track_ids.tolist() == [1] for found in both)


@pytest.mark.parametrize("every", [2, 3])
def test_what_blinks_is_there_all_the_time(every: int) -> None:
    """Found in every second or third frame alone; a linker of spots joins no such track (trackmate-sc/TrackMate#125)."""
    film = scene(walker(60, 60), frames=31)
    online, both = told(film, without([i for i in range(31) if i % every]))
    assert len(shown(online)) == -(-31 // every)
    assert shown(both) == list(range(31))
    assert all(found.track_ids.tolist() == [1] for found in both)


def test_a_gap_longer_than_fill_stays() -> None:
    film, gap = scene(walker(60, 60), frames=34), range(12, 24)
    _, both = told(film, without(gap), fill=0.2)
    dark = [i for i in gap if not len(both[i])]
    assert dark, "five frames are followed from either side, no more"
    assert len(dark) <= len(gap) - 2 * 4
    _, none = told(film, without(gap), fill=0.0)
    assert shown(none) == [i for i in range(34) if i not in gap]


def test_what_something_known_hides_is_not_drawn_over_it() -> None:
    """A wider walker passes in front; as soon as next to nothing of the one behind can be seen, it is not drawn."""
    front = scenes.block(scenes.straight(250, 95, -90), 60, 110, scenes.SHIRTS[1], 7, depth=1, label=scenes.CAR)
    film = scene(walker(90, 60, depth=2), front, frames=44)
    hidden = [t.index for t in film if t.visible_fraction[0] < 0.6]
    assert 8 < len(hidden) < 25
    _, both = told(film, without(hidden))
    for truth, found in zip(film, both, strict=True):
        own = np.flatnonzero(found.labels == scenes.PERSON)
        for i in own:
            drawn = mask_ops.full(found.masks[i], found.boxes[i], 320, 180)
            assert (drawn & truth.visible[1]).sum() < 0.15 * truth.visible[1].sum() + 60, truth.index
        if truth.visible_fraction[0] < 0.05:
            assert not len(own), truth.index
    assert {int(i) for found in both for i in found.track_ids[found.labels == scenes.PERSON]} == {1}


def test_nothing_is_drawn_on_a_pillar_that_is_no_instance() -> None:
    pillar = scenes.block(scenes.straight(160, 90), 60, 220, (110, 100, 90), 4, depth=1, label=scenes.SCENERY)
    film = scene(walker(60, 110, depth=3), pillar, frames=44)
    hidden = [t.index for t in film if t.visible_fraction[0] < 0.5]
    _, both = told(film, without(hidden))
    for truth, found in zip(film, both, strict=True):
        for i in range(len(found)):
            drawn = mask_ops.full(found.masks[i], found.boxes[i], 320, 180)
            assert (drawn & ~truth.visible[0]).sum() < 0.2 * truth.amodal[0].sum() + 30, truth.index
    assert shown(both)[-1] == 43


# --- identities, classes, what is dropped -----------------------------------------------------------------------------


def renamed(results: list[Tracked], track: int, from_: int) -> list[Tracked]:
    """The object has another id from that frame on, as if the tracker had taken it for a new one."""
    return [
        replace(r, instances=replace(r.instances, track_ids=np.full(len(r.instances), track))) if i >= from_ else r
        for i, r in enumerate(results)
    ]


@pytest.mark.parametrize("alike", [True, False], ids=["the same", "another"])
def test_two_ids_of_one_object_become_the_older(alike: bool) -> None:
    """It was lost for four frames, and begun anew. Someone else in other clothes in its place is not it."""
    first = walker(60, 60, seen=lambda t: alike or t < 0.5)
    shirt = scenes.SHIRTS[2], scenes.TROUSERS[3]
    second = scenes.walker(scenes.straight(60, 95, 60), 90, *shirt, 1, seen=lambda t: not alike and t > 0.5)
    film = scene(first, second, frames=30)
    tracker, detect = Tracker(CONF, tells_others=True), NoisyDetector.perfect()
    seen = []
    for truth in film:
        found = detect.instances(truth)
        seen.append(tracker(Result(truth.frame(), found[:0] if truth.index in range(12, 16) else found)))
    link, both = Link(CONF), []
    for result in renamed(seen, 7, 16):
        both += link(result)
    both += link.flush()
    ids = [set(result.track_ids.tolist()) for result in both]
    assert set.union(*ids[16:]) == ({1} if alike else {7})
    assert set.union(*ids[:12]) == {1}
    if alike:
        assert all(ids), "and what lay between is filled in"


@pytest.mark.parametrize(("frames", "kept"), [(3, False), (5, True)])
def test_what_is_seen_for_less_than_min_track_is_dropped(frames: int, kept: bool) -> None:
    film = scene(walker(160, 0), frames=40)
    online, both = told(film, without([i for i in range(40) if not 15 <= i < 15 + frames]), fill=0.0)
    assert shown(online) == list(range(15, 15 + frames))
    assert bool(shown(both)) is kept
    _, all_ = told(film, without([i for i in range(40) if i != 15]), fill=0.0, min_track=0.0)
    assert shown(all_) == [15]


def test_photos_cuts_and_ends_are_no_proof_that_something_was_short() -> None:
    """One frame of a shot is all that there is of it; and who comes in two frames before the end is there."""
    shots = [scene(walker(60 + 40 * n, 0), frames=1, seed=10 * n) for n in range(6)]
    film = [replace(truth, index=i, time=i / 25) for i, shot in enumerate(shots) for truth in shot]
    _, both = told(film)
    assert shown(both) == list(range(6))
    last = scene(walker(160, 0, seen=lambda t: t > 1.1), frames=30)
    online, both = told(last)
    assert shown(both) == shown(online) == [28, 29]


def test_at_one_frame_a_second_a_single_frame_is_long_enough() -> None:
    film = scene(walker(160, 0, seen=lambda t: 3 <= t < 4), frames=8, rate=1)
    _, both = told(film, look_ahead=3.0)
    assert shown(both) == [3]


def test_classes_are_voted_with_what_comes_after_known() -> None:
    """The first five frames say truck, then all say car."""

    def change(truth: Truth, found: Instances) -> Instances:
        return replace(found, labels=np.where(truth.index < 5, scenes.TRUCK, found.labels))

    film = scene(scenes.car(scenes.straight(60, 100, 60), 40, (150, 30, 30)), frames=30)
    online, both = told(film, change)
    assert {online[2].names[0], online[29].names[0]} == {"truck", "car"}
    assert {name for found in both for name in found.names} == {"car"}


# --- order, ends, memory ----------------------------------------------------------------------------------------------


def plain(index: int, epoch: int = 0, detected: bool = True, size: str = "64x48 gray") -> Tracked | Result:
    width, height, kind = re.split("[x ]", size)
    frame = Frame(av.VideoFrame(int(width), int(height), kind), index, index, Fraction(1, 25), epoch=epoch)
    found = Instances.empty(scenes.CLASSES)
    return Tracked(frame, found, others=found) if detected else Result(frame, found, detected=False)


def indices(results: Iterable[Result]) -> list[int]:
    return [result.frame.index for result in results]


def test_frames_leave_in_order_a_look_ahead_later() -> None:
    link = Link(look_ahead=0.4)
    given = [indices(link(plain(i, detected=i % 3 == 0))) for i in range(30)]
    assert given[10] == []
    assert given[11] == [0], "once more than 0.4 s that come after it are known"
    assert [i for part in given for i in part] == list(range(19))
    assert indices(link.flush()) == list(range(19, 30))
    assert indices(link.flush()) == []


@pytest.mark.parametrize("how", ["epoch", "cut"])
def test_a_cut_and_a_new_epoch_end_the_window(how: str) -> None:
    link = Link()
    for i in range(5):
        assert link(plain(i)) == []
    new = plain(5, epoch=1) if how == "epoch" else replace(plain(5), cut=True)
    assert indices(link(new)) == [0, 1, 2, 3, 4]
    assert indices(link.flush()) == [5]


def test_what_is_held_is_bounded_in_bytes_whatever_its_size() -> None:
    """4K of 10 bits: 24.9 MB a frame, so that 20 of them are held, not the 60 of a second; the rest goes as it comes."""
    assert picture_bytes(plain(0, size="3840x2160 yuv420p10le").frame.picture) == 3840 * 2160 * 3
    link, out = Link(memory=512 * 10**6), 0
    for i in range(80):
        result = plain(i, size="3840x2160 yuv420p10le")
        out += len(link(replace(result, frame=replace(result.frame, time_base=Fraction(1, 60)))))
        assert (i + 1 - out) * 3840 * 2160 * 3 <= 512 * 10**6
    assert 80 - out == 20
    tiny, out = Link(memory=1), 0
    for i in range(5):
        out += len(tiny(plain(i)))
    assert out == 4, "the last frame is held in any case"


def test_results_without_pictures_and_boxes_alone_pass() -> None:
    film = scene(walker(60, 60), frames=20)

    def boxes(truth: Truth, found: Instances) -> Instances:
        return replace(
            without(range(8, 11))(truth, found), masks=np.zeros((int(truth.index not in range(8, 11)), 0, 0), np.uint8)
        )

    _, both = told(film, boxes)
    assert shown(both) == list(range(20))
    tracker, link, out = Tracker(CONF, tells_others=True), Link(CONF), []
    for truth in film:
        frame = replace(truth.frame(), picture=None)
        found = without(range(8, 11))(truth, NoisyDetector.perfect().instances(truth))
        out += link(tracker(Result(frame, found)))
    assert len([*out, *link.flush()]) == 20


# --- where it runs ---------------------------------------------------------------------------------------------------------


def stages_of(source: object, **options: object) -> list[str]:
    """The stages that a loop over results runs."""
    config = configure(options)
    known = KnownEngine(96, 64)
    runtime, trunk, _ = build_results(source, config, Channel(1).put, lambda _: None, engine_of=lambda: known)  # type: ignore[arg-type]
    runtime.abort()
    return [name for name, _ in trunk.stages]


def test_films_look_ahead_and_what_may_wait_for_results_does_not(tmp_path: Path) -> None:
    """A generator may make its next picture of the last result: if frames were held back it would wait for ever."""
    film = clips.cfr(tmp_path / "a.mp4", 3)
    pictures = [clips.gray(i)[..., None].repeat(3, 2).astype(np.uint8) for i in range(3)]
    assert "link" in stages_of(film)
    assert "link" in stages_of(pictures), "a list of pictures is there already"
    assert "link" not in stages_of(iter(pictures))
    assert "link" in stages_of(iter(pictures), track={"online": False})
    for way in ({"online": True}, {"track": {"online": True}}, {"track": TrackConfig(max_age=2), "online": True}):
        assert "link" not in stages_of(film, **way)
    assert "link" not in stages_of(film, realtime=True, track={"online": False}), "what is live never waits"
    assert configure({"track": TrackConfig(max_age=2), "online": True}).track.max_age == 2


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"min_track": 2}, r"min_track is 2 s, longer than look_ahead \(1 s\).*make min_track shorter or look_ahead longer"),
        ({"fill": "1.5s"}, r"fill is 1\.5 s, longer than look_ahead"),
        ({"look_ahead": 0}, r"look_ahead"),
        ({"memory": "off"}, r"memory"),
        ({"online": "maybe"}, r"online"),
    ],
)
def test_what_cannot_be_is_said(fields: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        configure({"track": fields})
    assert configure({"track": {"online": True, "min_track": 2}}).track.min_track == 2, "it says nothing online"
