"""A small world with exact truth, seen by a camera on a vehicle: what driving scenes are measured against.

    world = scenarios.slower_lead(seed=3)
    detector = Detector(seed=3)
    for truth in world:                       # one Truth a frame: boxes, masks, metres, closing speed, horizon, turn
        result = detector(truth)              # what a network might have found in it

`Drive` runs the real stages from the tracker to the scene over it. `render.Renderer` makes pictures of the same world.

The ground is flat. Places on it are metres in the road's own coordinates: `s` along its middle, `d` to the right of it. A road user
is made of convex solids of known size; the camera is a pinhole that pitches, rolls and yaws with its vehicle and reads its rows one
after the other. Axes, angles and signs are those of `streamseg.core.scene`.
"""

from tests.world.body import Body, bicycle, bus, car, rider, truck, van, walker
from tests.world.detector import Detector
from tests.world.drive import Drive
from tests.world.truth import Truth
from tests.world.world import Actor, World

__all__ = ["Actor", "Body", "Detector", "Drive", "Truth", "World", "bicycle", "bus", "car", "rider", "truck", "van", "walker"]
