"""Scripts: what happens on the road, each with the same arguments (`seed` varies sizes, places and speeds a little).

The three of the forward collision warning test are those of NHTSA's New Car Assessment Program ("Forward Collision Warning System
Confirmation Test", February 2013): 45 mph against a stopped vehicle; 45 mph, 30 m behind one that brakes with 0.3 g; 45 mph against
one at 20 mph. It asks for an alert at a time to collision of at least 2.1, 2.4 and 2.0 s.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from tests.world.body import Body, bicycle, bus, car, house, post, rider, truck, van, walker
from tests.world.motion import Road, Script, drive, shift, still, sway
from tests.world.world import Actor, World

MPH = 0.44704
G = 9.80665
LANE = 3.5
"""Metres."""
REQUIRED = {"stopped_lead": 2.1, "braking_lead": 2.4, "slower_lead": 2.0}
"""Seconds of time to collision at which NHTSA's test wants the alert at the latest."""
COLOURS = ((150, 40, 40), (40, 60, 140), (190, 190, 195), (50, 52, 55), (60, 100, 70), (180, 150, 60))


def base(name: str, actors: list[Actor], s: Script, seed: int, seconds: float, **rest: object) -> World:
    """A vehicle on its springs, a rolling shutter of 20 ms, posts and houses beside the road."""
    rng = np.random.default_rng(seed + 1000)
    world = World(
        tuple(actors),
        s,
        sway=sway(seed, pitch=0.15, roll=0.1, yaw=0.05),
        mount=(float(rng.normal(0, 0.02)), float(rng.normal(0, 0.01)), float(rng.normal(0, 0.01))),
        readout=0.02,
        seconds=seconds,
        name=name,
        brakes=0.003,
    )
    return replace(world, **rest)  # type: ignore[arg-type]


def _car(rng: np.random.Generator) -> Body:
    return car(COLOURS[int(rng.integers(len(COLOURS)))], scale=float(rng.uniform(0.93, 1.08)))


def scenery(length: float, seed: int = 0, every: float = 30.0) -> list[Actor]:
    """Houses and posts on both sides, of no class; for pictures, and to hide what is behind."""
    rng = np.random.default_rng(seed + 77)
    things = []
    for k in range(int(length / every)):
        s = k * every + float(rng.uniform(0, every / 3))
        for side in (-1, 1):
            colour = tuple(int(c) for c in int(rng.integers(100, 190)) + rng.integers(-15, 16, 3))
            body = house(float(rng.uniform(8, 16)), 8.0, float(rng.uniform(5, 11)), colour)  # type: ignore[arg-type]
            things.append(Actor(body, still(s), still(side * float(rng.uniform(15, 22))), 0.0))
            things.append(Actor(post(), still(s + every / 2), still(side * 7.5), 0.0))
    return things


# --- the forward collision warning test --------------------------------------------------------------------------------------


def stopped_lead(seed: int = 0, **rest: object) -> World:
    """45 mph towards a car that stands; from 120 m until 8 m before it."""
    rng = np.random.default_rng(seed)
    v = 45 * MPH
    return base("stopped_lead", [Actor(_car(rng), still(120.0 + 2.2), still(0.0), 0.0)], drive(0, v), seed, 112 / v, **rest)


def braking_lead(seed: int = 0, **rest: object) -> World:
    """45 mph, 30 m behind a car that from 3 s on brakes with 0.3 g; until 6 m before it."""
    rng = np.random.default_rng(seed)
    v, a = 45 * MPH, 0.3 * G
    lead = Actor(_car(rng), drive(30 + 2.2, v, (3.0, -a)), still(0.0))
    return base("braking_lead", [lead], drive(0, v), seed, 3.0 + math.sqrt(2 * 24 / a), **rest)


def slower_lead(seed: int = 0, **rest: object) -> World:
    """45 mph towards a car at 20 mph; from 75 m until 6 m behind it."""
    rng = np.random.default_rng(seed)
    v, slow = 45 * MPH, 20 * MPH
    lead = Actor(_car(rng), drive(75 + 2.2, slow), still(0.0))
    return base("slower_lead", [lead], drive(0, v), seed, 69 / (v - slow), **rest)


# --- what must alert nobody --------------------------------------------------------------------------------------------------


def _pace(rng: np.random.Generator, ahead: float, v: float, seconds: float) -> Script:
    """About the same speed, up and down a little: nobody's gap closes to less than two thirds."""
    changes, t, sign = [], float(rng.uniform(1, 3)), 1
    while t < seconds:
        a, lasts = float(rng.uniform(0.2, 0.5)), float(rng.uniform(1.5, 3))
        changes += [(t, sign * a), (t + lasts, -sign * a), (t + 2 * lasts, 0.0)]
        t, sign = t + 2 * lasts + float(rng.uniform(0.5, 2)), -sign
    return drive(ahead, v, *changes)


def following(seed: int = 0, seconds: float = 60.0, **rest: object) -> World:
    """Behind another at 1.2 to 2.2 s, one before that, others in the next lane at other speeds."""
    rng = np.random.default_rng(seed)
    v = float(rng.uniform(10, 33))
    gap = v * float(rng.uniform(1.2, 2.2)) + 2.2
    actors = [Actor(_car(rng), _pace(rng, gap, v, seconds), still(float(rng.normal(0, 0.2))))]
    actors += [Actor(_car(rng), _pace(rng, 2.3 * gap, v, seconds), still(0.0))]
    for k in range(4):
        actors.append(Actor(_car(rng), drive(float(rng.uniform(-40, 80)), v + float(rng.uniform(0, 6))), still(-LANE)))
        actors.append(Actor(truck() if k % 2 else _car(rng), drive(15 + 60.0 * k, v - float(rng.uniform(1, 4))), still(LANE)))
    return base("following", actors, drive(0, v), seed, seconds, **rest)


def overtaking(seed: int = 0, seconds: float = 60.0, **rest: object) -> World:
    """In the left lane past slower cars, trucks and buses, and overtaken on the left."""
    rng = np.random.default_rng(seed)
    v = float(rng.uniform(20, 35))
    actors = []
    for k in range(14):
        body = (truck(), bus(), _car(rng), van(), _car(rng))[int(rng.integers(5))]
        slow = v - float(rng.uniform(4, 9))
        actors.append(Actor(body, drive(30.0 + 45 * k, slow), still(LANE + float(rng.normal(0, 0.15)))))
    actors += [Actor(_car(rng), drive(-15.0 - 80 * k, v + float(rng.uniform(3, 8))), still(-LANE)) for k in range(3)]
    return base("overtaking", actors, drive(0, v), seed, seconds, **rest)


def parked(seed: int = 0, seconds: float = 60.0, **rest: object) -> World:
    """A street at 8 to 14 m/s between two rows of parked cars; people walk on the pavements behind them."""
    rng = np.random.default_rng(seed)
    v = float(rng.uniform(8, 14))
    actors = []
    for side, near in ((1, 2.9), (-1, 6.0)):
        s = 8.0
        while s < v * seconds + 60:
            if rng.uniform() < 0.75:
                d = side * (near + float(rng.normal(0, 0.1)))
                actors.append(
                    Actor(van() if rng.uniform() < 0.15 else _car(rng), still(s), still(d), 0.0 if side > 0 else math.pi)
                )
            s += float(rng.uniform(6, 9))
        s = 15.0
        while s < v * seconds + 60:
            way = drive(s, float(rng.choice([-1.4, 1.3])))
            actors.append(Actor(walker(height=float(rng.uniform(1.55, 1.9))), way, still(side * (near + 2.2))))
            s += float(rng.uniform(12, 30))
    return base("parked", actors, drive(0, v), seed, seconds, reach=60.0, **rest)


def oncoming(seed: int = 0, seconds: float = 60.0, **rest: object) -> World:
    """A country road: others come towards us in their own lane."""
    rng = np.random.default_rng(seed)
    v = float(rng.uniform(14, 27))
    actors, s = [], 60.0
    while s < 2 * v * seconds:
        body = (_car(rng), _car(rng), van(), truck())[int(rng.integers(4))]
        actors.append(
            Actor(body, drive(s, -v * float(rng.uniform(0.9, 1.1))), still(-LANE + float(rng.normal(0, 0.15))), math.pi)
        )
        s += float(rng.uniform(30, 120))
    return base("oncoming", actors, drive(0, v), seed, seconds, **rest)


def curve(seed: int = 0, seconds: float = 60.0, **rest: object) -> World:
    """A bend of at most half a turn: a car ahead in our lane, parked ones outside of it, oncoming traffic on the left."""
    rng = np.random.default_rng(seed)
    radius = float(rng.choice([-1, 1]) * rng.uniform(120, 400))
    v = min(float(rng.uniform(10, 22)), math.sqrt(2.0 * abs(radius)))  # 2 m/s2 sideways
    bend = 40.0
    end = bend + 2.9 * abs(radius)
    seconds = min(seconds, (end - 80.0) / v)
    actors = [Actor(_car(rng), _pace(rng, v * 1.8 + 2.2, v, seconds), still(0.0))]
    s = 100.0
    while s < end:
        meets = s / v
        actors.append(Actor(_car(rng), drive(s + v * meets, -v), still(-LANE), math.pi, (meets - 5.0, meets + 1.0)))
        s += float(rng.uniform(40, 120))
    actors += [Actor(_car(rng), still(60.0 + 50 * k), still(4.2), 0.0) for k in range(int((end - 60) / 50))]
    return base("curve", actors, drive(0, v), seed, seconds, road=Road(1 / radius, bend), **rest)


def pavement(seed: int = 0, seconds: float = 60.0, **rest: object) -> World:
    """People and bicycles beside the road, along it and towards us; some walk to the kerb, and stand there."""
    rng = np.random.default_rng(seed)
    v = float(rng.uniform(7, 14))
    actors, s = [], 12.0
    while s < v * seconds + 80:
        side = float(rng.choice([-5.5 - LANE / 2, 3.6]))
        passes = s / v
        if rng.uniform() < 0.3:  # to the kerb, before we come
            d = shift(side + math.copysign(2.5, side), (passes - 6, passes - 3, side - math.copysign(0.6, side)))
            actors.append(Actor(walker(height=float(rng.uniform(1.5, 1.9))), still(s), d))
        else:
            actors.append(
                Actor(walker(height=float(rng.uniform(1.5, 1.9))), drive(s, float(rng.choice([-1.3, 1.4]))), still(side))
            )
        if rng.uniform() < 0.2:
            way = drive(s + 6, 4.0)
            actors += [Actor(bicycle(), way, still(2.6)), Actor(rider(), way, still(2.6))]
        s += float(rng.uniform(8, 20))
    return base("pavement", actors, drive(0, v), seed, seconds, reach=60.0, **rest)


PEACEFUL: tuple[Callable[..., World], ...] = (following, overtaking, parked, oncoming, curve, pavement)
"""None of them asks for an alert: see `tests/driving/test_world.py`, which checks that on the truth."""


# --- what happens ------------------------------------------------------------------------------------------------------------


def cut_in(seed: int = 0, **rest: object) -> World:
    """A car from the lane on the left comes in 15 to 20 m ahead: from 3 s to 5.5 s, a little faster than we."""
    rng = np.random.default_rng(seed)
    v = float(rng.uniform(18, 28))
    other = Actor(_car(rng), drive(float(rng.uniform(15, 20)) + 2.2, v + 0.5), shift(-LANE, (3.0, 5.5, 0.0)))
    return base("cut_in", [other], drive(0, v), seed, 8.0, **rest)


def crossing(seed: int = 0, **rest: object) -> World:
    """We stand; someone walks over the road from right to left 12 m ahead: in our way from about 3.9 s to 6.4 s."""
    rng = np.random.default_rng(seed)
    person = Actor(walker(height=float(rng.uniform(1.6, 1.85))), still(12.0), drive(6.5, -1.4), -math.pi / 2)
    return base("crossing", [person], still(0.0), seed, 9.0, **rest)


def stop(seed: int = 0, **rest: object) -> World:
    """The one ahead brakes to a stand with 2 m/s2 from 2 s on, we behind it a second later: it stands at about 7 s."""
    rng = np.random.default_rng(seed)
    v = 10.0
    lead = Actor(_car(rng), drive(18 + 2.2, v, (2.0, -2.0)), still(0.0))
    return base("stop", [lead], drive(0, v, (3.0, -2.0)), seed, 12.0, **rest)


def near_miss(seed: int = 0, **rest: object) -> World:
    """15 m/s towards a car that stands; we brake with 7 m/s2 at 1.2 s before it, and stop 2 m behind it."""
    rng = np.random.default_rng(seed)
    v, a = 15.0, -7.0
    room = v * v / (2 * -a)
    t = 4.0
    lead = Actor(_car(rng), still(v * t + room + 2.0 + 2.2), still(0.0), 0.0)
    return base("near_miss", [lead], drive(0, v, (t, a)), seed, 9.0, **rest)


def behind_van(seed: int = 0, **rest: object) -> World:
    """At 5 m/s; someone walks from the left behind a van that stands at the right, and comes out at its other side."""
    rng = np.random.default_rng(seed)
    person = Actor(walker(height=float(rng.uniform(1.6, 1.8))), still(34.0), drive(-1.5, 1.4), math.pi / 2)
    return base("behind_van", [Actor(van(), still(28.0), still(3.0), 0.0), person], drive(0, 1.0), seed, 8.0, **rest)


# --- for accuracy ------------------------------------------------------------------------------------------------------------


def approach(seed: int = 0, **rest: object) -> World:
    """We come up to others of all kinds at all speeds, in our lane and beside it."""
    rng = np.random.default_rng(seed)
    v = float(rng.uniform(8, 30))
    close = float(rng.uniform(2, min(v, 15)))
    kinds = (_car(rng), _car(rng), van(), truck(), bus())
    body = kinds[int(rng.integers(len(kinds)))]
    seconds = 6.0
    gap = close * seconds + float(rng.uniform(4, 15))
    actors = [Actor(body, drive(gap + body.length / 2, v - close), still(float(rng.normal(0, 0.4))))]
    for side in (-LANE, LANE):
        body = kinds[int(rng.integers(len(kinds)))]
        actors.append(Actor(body, drive(float(rng.uniform(12, 60)), v - float(rng.uniform(-3, 3))), still(side)))
    actors.append(Actor(walker(height=float(rng.uniform(1.6, 1.85))), drive(v * seconds * 0.8, 1.3), still(LANE + 2.5)))
    return base("approach", actors, drive(0, v), seed, seconds, **rest)


def with_scenery(world: World) -> World:
    """The same with houses and posts beside the road, as pictures need them."""
    length = world.s(world.seconds) + 130
    return replace(world, actors=(*world.actors, *scenery(length, len(world.actors))))


def small(world: World, width: int = 640, height: int = 360, rate: float | None = None) -> World:
    """The same, of smaller pictures or fewer of them."""
    assert world.camera.mounted is not None
    return replace(world, camera=world.camera.resized(width, height), rate=world.rate if rate is None else rate)
