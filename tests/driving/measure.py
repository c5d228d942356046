"""How near the scene's numbers are to the truth, and how honest their deviations: over many drives, one row a road user and frame.

python -m tests.driving.measure accuracy --seeds 40          # tau, growth, distance, lateral, speed: error and coverage
python -m tests.driving.measure warnings --seeds 40          # NHTSA's three: time to collision at the alert
python -m tests.driving.measure peace --minutes 60           # false alerts
python -m tests.driving.measure accuracy --pictures --seeds 8
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction

import av
import numpy as np
import numpy.typing as npt

import streamseg
from streamseg.core.result import Result
from tests.world import Detector, Drive, World, scenarios
from tests.world.drive import matched
from tests.world.render import Renderer
from tests.world.truth import TICKS, Truth

QUANTITIES = ("growth", "ttc", "distance", "lateral", "speed")
SETTLED = 0.7
"""Seconds for which a road user must have been found before its numbers count."""


@dataclass
class Table:
    """Columns of equal length, a row for each road user that was found in a frame."""

    columns: dict[str, list[float]] = field(default_factory=dict)

    def add(self, **values: float) -> None:
        for name, value in values.items():
            self.columns.setdefault(name, []).append(value)

    def __getitem__(self, name: str) -> npt.NDArray[np.float64]:
        return np.asarray(self.columns[name], float)

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), []))


@dataclass(frozen=True)
class Score:
    """Of one quantity, where `rows` of the truth are asked for."""

    rows: int
    known: float
    """Share of them for which a value is given."""
    bias: float
    """Mean error of the values, relative or not as `relative` says."""
    median: float
    """Median absolute error."""
    p95: float
    within: float
    """Share of the values with an absolute error of at most the bar."""
    one: float
    two: float
    """Shares of the values whose truth lies inside one and two of the stated deviations."""

    def __str__(self) -> str:
        errors = f"{self.bias:+.3f} mean, {self.median:.3f} median, {self.p95:.3f} p95, {self.within:4.0%} within the bar"
        return f"{self.rows:6d} rows, {self.known:4.0%} known; error {errors}; {self.one:4.0%} in 1 sigma, {self.two:4.1%} in 2"


def run(
    worlds: Iterable[World],
    detector: Callable[[int], Detector] = Detector,
    pictures: bool = False,
    table: Table | None = None,
    **rest: object,
) -> Table:
    """Drive through `worlds`; the detector of the n-th has seed n. `rest` goes to `Drive`."""
    table = Table() if table is None else table
    for n, world in enumerate(worlds):
        drive = Drive(world, detector(n), picture=Renderer(world, n) if pictures else None, **rest)  # type: ignore[arg-type]
        first: dict[int, float] = {}
        for truth, result in drive:
            _add(table, n, truth, result, matched(truth, result), first)
    return table


def network(worlds: Iterable[World], table: Table | None = None) -> Table:
    """The whole pipeline with the embedded network on rendered pictures, as users run it, who say field of view and height."""
    table = Table() if table is None else table
    for n, world in enumerate(worlds):
        render, truths = Renderer(world, n), []

        def pictures(world: World = world, render: Renderer = render, truths: list[Truth] = truths) -> Iterator[av.VideoFrame]:
            for truth in world:
                truths.append(truth)
                picture = render(truth).picture
                assert picture is not None
                picture.pts, picture.time_base = round(truth.time * TICKS), Fraction(1, TICKS)
                yield picture

        view = math.degrees(2 * math.atan(world.camera.width / 2 / world.camera.fx))
        first: dict[int, float] = {}
        for result in streamseg.stream(pictures(), camera={"fov": view, "height": world.camera.mounted}):
            truth = truths[result.frame.index]
            _add(table, n, truth, result, matched(truth, result, 0.5, any_class=True), first)
    return table


def _add(table: Table, n: int, truth: Truth, result: Result, rows: dict[int, int], first: dict[int, float]) -> None:
    """The rows of a frame; `first`: seconds at which each track was first seen."""
    scene = result.scene
    assert scene is not None
    for number, row in rows.items():
        i = truth.row(number)
        track = int(result.track_ids[row])
        if i is None or not track:
            continue
        values = {name: float(getattr(truth, name)[i]) for name in QUANTITIES}
        told = {f"{name}_told": float(getattr(scene, name)[row]) for name in QUANTITIES}
        stds = {f"{name}_std": float(getattr(scene, f"{name}_std")[row]) for name in QUANTITIES}
        table.add(
            world=n,
            time=truth.time,
            id=number,
            label=float(truth.labels[i]),
            since=truth.time - first.setdefault(track, truth.time),
            height=float(truth.boxes[i, 3] - truth.boxes[i, 1]),
            whole=float(np.allclose(truth.boxes[i], truth.outer[i], atol=0.5)),
            visible=1.0 if result.occlusion is None else float(result.occlusion.visible[row]),
            gap=float(truth.gap[i]),
            alert=float(scene.alert[row]),
            in_path=float(scene.in_path[row]),
            **values,
            **told,
            **stds,
        )


def with_tyres(world: World) -> World:
    """The same with cars as they are: they stand on tyres, 0.85 m before their rear, and not on their rear's lower edge."""
    bodies = [replace(actor.body, overhang=0.85) if actor.body.kind == "car" else actor.body for actor in world.actors]
    return replace(world, actors=tuple(replace(actor, body=body) for actor, body in zip(world.actors, bodies, strict=True)))


def score(table: Table, name: str, where: npt.NDArray[np.bool_], bar: float, relative: bool) -> Score:
    """`bar`: of the absolute error, relative or not."""
    truth, told, std = (table[key][where] for key in (name, f"{name}_told", f"{name}_std"))
    known = np.isfinite(told) & np.isfinite(truth)
    truth, told, std = truth[known], told[known], std[known]
    if not len(truth):
        return Score(int(where.sum()), 0.0, *[math.nan] * 6)
    error = told - truth
    shown = error / truth if relative else error
    size = np.abs(shown)
    return Score(
        int(where.sum()),
        float(known.mean()),
        float(shown.mean()),
        float(np.median(size)),
        float(np.quantile(size, 0.95)),
        float((size <= bar).mean()),
        float((np.abs(error) <= std).mean()),
        float((np.abs(error) <= 2 * std).mean()),
    )


def settled(table: Table) -> npt.NDArray[np.bool_]:
    """Rows of road users that are in full view and have been followed for a moment."""
    return np.asarray((table["since"] >= SETTLED) & (table["whole"] > 0) & (table["distance"] > 1))


def bars(table: Table) -> dict[str, Score]:
    """The issue's: tau below 5 s, distance below 40 m; and the others."""
    base, ahead = settled(table), np.abs(table["lateral"]) < 12
    soon = base & ahead & (table["ttc"] < 5) & (table["gap"] < 3)
    near = base & ahead & (table["distance"] < 40)
    return {
        "ttc < 5 s": score(table, "ttc", soon, 0.10, True),
        "growth, ttc < 5 s": score(table, "growth", soon, 0.10, True),
        "growth, all": score(table, "growth", base, 0.03, False),
        "distance < 40 m": score(table, "distance", near, 0.08, True),
        "lateral < 40 m": score(table, "lateral", near, 0.5, False),
        "speed < 40 m": score(table, "speed", near, 1.0, False),
    }


@dataclass(frozen=True)
class Alert:
    """The first warning of a drive."""

    ttc: float
    """Seconds of true time to collision then, distance over closing speed; NaN: it was not warned."""
    kinematic: float
    """The same if the one ahead goes on to brake as it does."""
    event: float
    """Seconds from the warning to the event `alert` of that road user; NaN: none was told."""


def first_warning(world: World, detector: Detector, level: int = 2, pictures: bool = False) -> Alert:
    """When road user 1 is warned of."""
    drive = Drive(world, detector, picture=Renderer(world) if pictures else None)
    warned, told, before = None, math.nan, None
    for truth, result in drive:
        i, rows = truth.row(1), matched(truth, result)
        if i is None:
            continue
        braking = 0.0 if before is None else (truth.speed[i] - before) * world.rate
        before = truth.speed[i]
        if warned is None and 1 in rows and result.scene is not None and result.scene.alert[rows[1]] >= level:
            warned = truth.time, float(truth.ttc[i]), kinematic(truth.distance[i], -truth.speed[i], -braking)
        if result.activity is not None and warned is not None and math.isnan(told):
            told = next((e.time - warned[0] for e in result.activity.events if e.kind == "alert"), math.nan)
    return Alert(math.nan, math.nan, math.nan) if warned is None else Alert(warned[1], warned[2], told)


def kinematic(distance: float, closing: float, braking: float) -> float:
    """Seconds until `distance` is gone, if `closing` (m/s) goes on to rise by `braking` (m/s2)."""
    if abs(braking) < 0.05:
        return distance / closing if closing > 0 else math.inf
    root = closing**2 + 2 * braking * distance
    return math.inf if root < 0 else (math.sqrt(root) - closing) / braking


@dataclass(frozen=True)
class Undue:
    """An alert that was not due."""

    world: str
    seed: int
    time: float
    id: int
    level: int
    distance: float
    lateral: float
    gap: float
    ttc: float
    told: float


def false_alerts(world: World, detector: Detector, seed: int, pictures: bool = False, level: int = 2) -> list[Undue]:
    """The beginnings of alerts in a world where none is due."""
    found, now = [], set[int]()
    for truth, result in Drive(world, detector, picture=Renderer(world) if pictures else None):
        scene, rows = result.scene, matched(truth, result, 0.3)
        assert scene is not None
        names = {row: number for number, row in rows.items()}
        alerted = set()
        for j in np.flatnonzero(scene.alert >= level).tolist():
            track = int(result.track_ids[j])
            alerted.add(track)
            if track in now:
                continue
            number = names.get(j, 0)
            i = truth.row(number)
            facts = (
                [math.nan] * 4 if i is None else [float(a[i]) for a in (truth.distance, truth.lateral, truth.gap, truth.ttc)]
            )
            found.append(Undue(world.name, seed, truth.time, number, int(scene.alert[j]), *facts, float(scene.ttc[j])))
        now = alerted
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("accuracy", "warnings", "peace", "network"))
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=6.0)
    parser.add_argument("--rate", type=float, default=25.0)
    parser.add_argument("--level", type=int, default=2)
    parser.add_argument("--pictures", action="store_true", help="rendered, 640x360: the camera's turn is measured, not told")
    parser.add_argument("--full", action="store_true", help="rendered at 1280x720")
    args = parser.parse_args()
    seeds = range(args.first, args.first + args.seeds)

    def ready(world: World) -> World:
        if not args.pictures:
            return scenarios.small(world, 1280, 720, args.rate)
        world = scenarios.with_scenery(world)
        return scenarios.small(world, *((1280, 720) if args.full else (640, 360)), args.rate)

    makers = (scenarios.approach, scenarios.stopped_lead, scenarios.braking_lead, scenarios.slower_lead)
    if args.what == "network":
        for name, result in bars(
            network(with_tyres(scenarios.with_scenery(make(n))) for make in makers for n in seeds)
        ).items():
            print(f"{name:20s} {result}")
    elif args.what == "accuracy":
        table = Table()
        for make in makers:
            run(
                (ready(with_tyres(make(seed)) if seed % 2 else make(seed)) for seed in seeds),
                lambda n: Detector(n + args.first),
                args.pictures,
                table,
            )
        for name, result in bars(table).items():
            print(f"{name:20s} {result}")
    elif args.what == "warnings":
        for make in (scenarios.stopped_lead, scenarios.braking_lead, scenarios.slower_lead):
            alerts = [first_warning(ready(make(seed)), Detector(seed), args.level, args.pictures) for seed in seeds]
            ttc, required = np.array([alert.ttc for alert in alerts]), scenarios.REQUIRED[make.__name__]
            later = np.array([alert.kinematic for alert in alerts])
            print(
                f"{make.__name__:14s} required {required} s; warned at {np.nanmin(ttc):.2f} to {np.nanmax(ttc):.2f} s, median "
                f"{np.nanmedian(ttc):.2f}; with its braking {np.nanmin(later):.2f} to {np.nanmax(later):.2f}; "
                f"{int((ttc >= required).sum())} of {len(ttc)} in time, {int(np.isnan(ttc).sum())} never"
            )
    else:
        for make in scenarios.PEACEFUL:
            left, seed, found = args.minutes * 60 / len(scenarios.PEACEFUL), args.first, []
            while left > 1:
                world = make(seed, min(60.0, left))
                found += false_alerts(ready(world), Detector(seed), seed, args.pictures, args.level)
                left -= world.seconds
                seed += 1
            print(f"{make.__name__:12s} {args.minutes / len(scenarios.PEACEFUL):.1f} min: {len(found)} alerts", flush=True)
            for each in found[:12]:
                where = f"distance {each.distance:.1f} lateral {each.lateral:.1f} gap {each.gap:.1f} ttc {each.ttc:.1f}"
                print(
                    f"    seed {each.seed} at {each.time:.2f} s, id {each.id}, level {each.level}: {where}, told {each.told:.1f}"
                )


if __name__ == "__main__":
    main()
