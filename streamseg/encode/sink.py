"""What every output is: open, take pictures, close; and what a class of them says of itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from streamseg.composite.shape import Shape
from streamseg.core.event_clips import EventClips
from streamseg.core.exr_options import ExrOptions
from streamseg.encode.alpha_note import AlphaNote

if TYPE_CHECKING:
    from streamseg.core.result import Result
    from streamseg.core.types import Frame
    from streamseg.decode import SourceInfo
    from streamseg.encode.video.other_streams import Audio, Packets
    from streamseg.pixels.picture import AnyPicture

__all__ = ["Keeper", "OutputKind", "OutputRequest", "RenderedPicture", "Sink", "SinkCounters"]


class RenderedPicture(Protocol):
    """What a sink takes (`streamseg.composite.Rendered`)."""

    @property
    def result(self) -> Result:
        """The frame, its time and what was found in it."""

    @property
    def picture(self) -> AnyPicture:
        """What to show, in host memory or on a GPU; shared with other outputs, never written into."""


@dataclass(slots=True)
class SinkCounters:
    """What a sink did."""

    frames: int = 0
    """Pictures (or result lines) written."""
    bytes: int = 0
    """Size of the output so far."""
    packets_copied: int = 0
    """Audio and subtitle packets copied from the source."""
    packets_skipped: int = 0
    """Audio and subtitle packets that could not be placed in time."""
    resized: int = 0
    """Pictures scaled into the first one's size because the source changed."""
    dropped: int = 0
    """Pictures not written: their time did not come after the one before, or (live view) a newer one came first."""


class Sink(Protocol):
    """One output. Called from one thread; raises only errors of streamseg."""

    counters: SinkCounters
    warnings: list[str]
    """What the user should know, such as an audio track that the container cannot hold."""

    @property
    def name(self) -> str:
        """What the user called it: a path or an address (without its token)."""

    def open(self) -> None:
        """Check that the output can be written. Nothing is created until the first picture."""

    def __call__(self, rendered: RenderedPicture, /) -> None:
        """Write one picture."""

    def close(self) -> None:
        """Finalise. Safe to call twice, and without `open`."""

    def abort(self) -> None:
        """Stop at once, after an error; what is written stays playable."""


class Keeper(Protocol):
    """What of one output an earlier run has finished, part by part, so that a run that goes on need not make it again."""

    length: int
    """Pictures in a part of a video."""
    threads: int
    """Of its encoders, on whichever machine: their number changes what they write. 0: one a core of this one."""

    def path(self, part: str) -> Path:
        """Where a part is kept that is no file of the output itself."""

    def digest(self, part: str) -> str | None:
        """SHA-256 of a part that is finished; None: it is not."""

    def note(self, part: str, sha256: str) -> None:
        """A part is finished, and on the disk. Raises OutputError."""


@dataclass(frozen=True, slots=True)
class OutputRequest:
    """What one output is to be; a sink takes from it what concerns it."""

    path: str | PathLike[str]
    info: SourceInfo
    """The source, as `Decoder.open` returned it."""
    codec: str = "auto"
    """`auto`, or a name from `codecs.CODECS` or FFmpeg's name of that encoder."""
    crf: float | None = None
    """Quality, smaller is better; None is the codec's own sensible value."""
    overwrite: bool = False
    """Replace an existing output."""
    passthrough: Packets | None = None
    """Audio, subtitles and the like to take over into a video."""
    source: str | int | PathLike[str] | None = None
    """As given to the decoder; a file or folder is never written onto."""
    alpha: bool = False
    """The pictures will be transparent somewhere; checked before anything is decoded."""
    note: AlphaNote = field(default_factory=AlphaNote)
    """How its colours are stored, where they are transparent."""
    depth: int = 0
    """Bits of a sample that were asked for, of a picture that has more than the source; 0: none were."""
    token: str | None = None
    """For a view that listens on other addresses than this machine's own; `?token=` in its address does the same."""
    threads: int = 0
    """For the encoder; 0 is one a core."""
    gpu: bool = False
    """Frames live on a GPU: with the codec `auto`, its encoder is taken where it has one."""
    audio: Audio = "convert"
    """`convert` copies the sound that a video's container can hold, and converts the rest; `copy` converts nothing; `none` leaves
    all sound out."""
    exr: ExrOptions | None = None
    """What an EXR holds; None: as usual."""
    key_rate: float = 2.0
    """Key frames a second, of formats that hold these alone."""
    clips: EventClips | None = None
    """What an output of clips holds; None: as usual."""
    joints: Callable[[], Sequence[Any]] | None = None
    """Of a source of several files: where each begins, as far as they were read (`streamseg.decode.joined.Joint`)."""
    shape: Shape | None = None
    """What is done to the mattes of outputs that hold them beside the picture; None: nothing."""
    keeper: Keeper | None = None
    """The run can be gone on with after it was cut off: what is finished is kept there, and made only once."""


class OutputKind:
    """Base of the classes of sinks that outputs can be of: what the pipeline has to know before it makes one."""

    results: ClassVar[bool] = False
    """It takes the results alone: nothing is drawn for it."""
    looks: ClassVar[bool] = False
    """Of one that takes the results alone: it looks at the frames' own pictures, too."""
    plain: ClassVar[bool] = False
    """It holds masks beside the picture: where -o alone names it, the picture is the source's, without the pipeline's effects."""
    needs_masks: ClassVar[bool] = False
    """It holds masks and nothing else: refused before the run where boxes alone are found."""
    copies: ClassVar[bool] = False
    """It copies what the source holds without looking at it: refused where privacy hides anything."""
    folder: ClassVar[bool] = False
    """It writes into a folder, which may be there already: what lies in it is looked at when it is opened."""
    one_file: ClassVar[bool] = False
    """It writes one file of its name, and is neither results alone nor a video: refused before the run where that is there."""
    tracks: ClassVar[bool] = False
    """It can hold audio and subtitles, so that a pass-through is worth subscribing."""
    newest: ClassVar[bool] = False
    """It is looked at while it happens: it is given the newest picture, and need not see every one."""

    @classmethod
    def make(cls, request: OutputRequest) -> Sink:
        """One for this output, not open yet. Raises OutputError for what can be refused by then."""
        raise NotImplementedError

    def expected(self) -> float:
        """Bytes that a picture will take, roughly, once it is open; 0: that cannot be told, or is next to nothing."""
        return 0.0

    def recalls(self, frame: Frame) -> bool:
        """Whether it has this picture from an earlier run, so that it need not be drawn. Asked once for each, in order, and from
        another thread than the sink's own."""
        return False
