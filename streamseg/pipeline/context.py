"""What the stages of a run are made from: the pipeline file, the model or what it found before, where frames live, the output."""

from __future__ import annotations

from dataclasses import dataclass

from streamseg.config.schema import PipelineConfig
from streamseg.core.scene import CameraModel
from streamseg.detect.motion import MotionGate
from streamseg.detect.postprocess import gives_masks
from streamseg.encode import Sink
from streamseg.engine import Engine, GraphSpec
from streamseg.gpu import Device
from streamseg.pipeline.decide import Decided
from streamseg.pipeline.outputs import Target
from streamseg.pipeline.where import Fixes
from streamseg.record import Results
from streamseg.record.write import RecordWriter
from streamseg.system.callbacks import Message

__all__ = ["Context"]

ROOM = 48 * 10**6
"""Bytes of pictures that may wait in front of each stage of a film: three of 4K with 8 bits, one with 10."""


@dataclass(frozen=True, slots=True)
class Context:
    """What a stage can be made from."""

    config: PipelineConfig
    spec: GraphSpec | None
    """The model: its classes, and the size of its input. None: what it found before is read (`recalled`)."""
    engine: Engine | None = None
    """What runs the model; None while a pipeline file is checked, before an engine is loaded."""
    device: Device | None = None
    """Where frames live; None: in host memory."""
    live: bool = False
    """What happens happens now, so that latency counts."""
    made: bool = False
    """A program makes the pictures one after the other, and may wait for the result of one before it makes the next."""
    frame_bytes: int = 0
    """What a decoded picture takes in memory; 0: not known."""
    output: Target | None = None
    """For a stage of an output: which one."""
    sink: Sink | None = None
    """That output's sink, open."""
    recalled: Results | None = None
    """What was found before, which is read in place of looking again."""
    decided: Decided | None = None
    """What a person decided, where the whole film is known; None: it is not."""
    writer: RecordWriter | None = None
    """The results file that is written."""
    say: Message | None = None
    """Hears what changes while it runs."""
    gate: MotionGate | None = None
    """Keeps still frames off the network; two stages have a part in it."""
    fixes: Fixes | None = None
    """Gives where the vehicle was at a frame; None: nothing tells."""

    camera: CameraModel | None = None
    """Which camera looks ahead from a vehicle; None: the scene is not looked at."""

    changeable: bool = False
    """The configuration may be another one while it runs."""

    @property
    def graph(self) -> GraphSpec:
        """The model, of a stage that looks."""
        assert self.spec is not None  # such stages are not made where results are read
        return self.spec

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the model's classes, in the order of their labels."""
        return self.recalled.class_names if self.recalled is not None else self.graph.classes

    @property
    def model(self) -> str:
        """The model's name."""
        return str(self.recalled.head["model"]["name"]) if self.recalled is not None else self.graph.name

    @property
    def found_by(self) -> str:
        """The engine, in words, or the file that is read in its place."""
        return str(self.engine) if self.recalled is None else f"none: {self.recalled.path} is read"

    @property
    def precision(self) -> str:
        """Number format in which the network is, or was, computed."""
        if self.recalled is not None:
            return str(self.recalled.head["model"].get("precision", ""))
        return "" if self.engine is None else self.engine.precision

    @property
    def boxes_alone(self) -> bool:
        """Instances have no masks."""
        p = self.config.postprocess
        if self.recalled is not None:
            return not self.recalled.head["model"]["masks"]
        return not gives_masks(self.graph, None if p.head == "auto" else p.head, p.masks)

    @property
    def online(self) -> bool:
        """Whether each frame's tracks are settled when it comes, with nothing known of what comes after."""
        asked = self.config.track.online
        return self.live or (self.made if asked == "auto" else asked)

    @property
    def room(self) -> int:
        """Items that wait in front of a stage at most. Each may hold a picture: of large ones there are fewer."""
        return 1 if self.live else max(1, min(4, ROOM // max(1, self.frame_bytes)))

    @property
    def drops(self) -> bool:
        """Whether the oldest frames are left out when the pipeline is too slow."""
        policy = self.config.decode.policy
        return policy == "drop_oldest" or (policy == "auto" and self.live)
