"""Every error that streamseg raises on purpose, and the exit code each one gives.

    StreamsegError                1
    ├── ConfigError               3   a pipeline file, a recipe or an option holds a bad value
    ├── SourceError               4   what we read
    │   ├── SourceNotFound        5   no such file, device or address
    │   ├── Unreadable            6   it is there, but is not (or no longer) a video we can decode
    │   ├── NoVideo               7   it opens, but holds no picture
    │   ├── TooLarge              8   its pictures are larger than the limit
    │   └── SourceLost            9   a live source went away and did not come back
    ├── OutputError              10   what we write
    │   ├── OutputExists         11   the output is there and --overwrite was not given
    │   ├── OutputIsInput        12   the output would overwrite the source
    │   └── NotKept              20   something of the source is not kept as it is, and --strict was given
    ├── ModelError               13   the model file is missing, foreign, tampered with or not our graph
    ├── EngineError              14   the engine failed to load or run the model
    │   └── EngineUnavailable    15   that engine cannot run on this machine
    ├── BadOutput                16   the network keeps answering nonsense (NaN, infinite boxes)
    ├── MissingExtra             17   an optional part is not installed; says which extra to install
    ├── StageError               18   a stage failed in a way nobody foresaw; names the stage
    └── ResultsError             19   a results file is damaged, foreign, or lacks what is asked of it

2 is a usage error (unknown option). As shells expect, 129 is a closed terminal (SIGHUP), 130 an interrupt, 141 a reader of standard
output that went away (a closed pipe) and 143 a termination.
"""

from typing import Any

from streamseg.errors.credentials import scrub

__all__ = [
    "BadOutput",
    "ConfigError",
    "EngineError",
    "EngineUnavailable",
    "MissingExtra",
    "ModelError",
    "NoVideo",
    "NotKept",
    "OutputError",
    "OutputExists",
    "OutputIsInput",
    "ResultsError",
    "SourceError",
    "SourceLost",
    "SourceNotFound",
    "StageError",
    "StreamsegError",
    "TooLarge",
    "Unreadable",
    "clean",
    "scrub",
]


def clean(error: BaseException) -> BaseException:
    """`error`, to be chained behind another: itself, or, if it or what is behind it says a secret, a stand-in that does not."""
    behind = error.__cause__ or error.__context__
    words = f"{error!r} {error} {error.args} {getattr(error, '__notes__', '')}"
    cleaned = None if behind is None else clean(behind)
    if scrub(words) == words and cleaned is behind:
        return error
    stand_in = RuntimeError(scrub(f"{type(error).__name__}: {error}")).with_traceback(error.__traceback__)
    stand_in.__cause__ = cleaned
    return stand_in


class StreamsegError(Exception):
    """Base of all errors; the message is one a user can act on, free of credentials."""

    exit_code = 1

    def __init__(self, message: str) -> None:
        super().__init__(scrub(message))

    def __reduce__(self) -> tuple[Any, ...]:
        # Those that make their message of other things cannot be made of it; multiprocessing hangs on what it cannot restore.
        return _restored, (type(self), str(self), self.__dict__)


def _restored(kind: type[StreamsegError], message: str, state: dict[str, Any]) -> StreamsegError:
    error = kind.__new__(kind, message)
    error.args = (message,)
    error.__dict__.update(state)
    return error


class ConfigError(StreamsegError, ValueError):
    """A pipeline file, a recipe or an option holds a bad value."""

    exit_code = 3


class SourceError(StreamsegError):
    """The source cannot be read."""

    exit_code = 4


class SourceNotFound(SourceError):
    """No such file, device or address."""

    exit_code = 5


class Unreadable(SourceError):
    """The source exists, but its bytes are not (or stop being) a video that can be decoded."""

    exit_code = 6


class NoVideo(SourceError):
    """The source opens, but holds no picture."""

    exit_code = 7


class TooLarge(SourceError):
    """The source's pictures are larger than the limit; nothing was decoded."""

    exit_code = 8


class SourceLost(SourceError):
    """A live source went away and did not come back in time."""

    exit_code = 9


class OutputError(StreamsegError):
    """The output cannot be written; what was written so far is kept."""

    exit_code = 10


class OutputExists(OutputError):
    """The output is already there and overwriting was not asked for."""

    exit_code = 11


class OutputIsInput(OutputError):
    """The output is the same file as the source."""

    exit_code = 12


class NotKept(OutputError):
    """Something of the source is not kept as it is, or something did not go as usual, and that was to be an error."""

    exit_code = 20


class ModelError(StreamsegError):
    """The model file is missing, foreign, tampered with or not a streamseg graph."""

    exit_code = 13


class EngineError(StreamsegError):
    """The engine failed to load or to run the model."""

    exit_code = 14


class EngineUnavailable(EngineError):
    """The engine asked for cannot run on this machine."""

    exit_code = 15


class BadOutput(StreamsegError):
    """The network keeps answering nonsense (NaN, infinite or absurd boxes)."""

    exit_code = 16


class MissingExtra(StreamsegError):
    """An optional part is not installed."""

    exit_code = 17

    def __init__(self, what: str, extra: str | None = None) -> None:
        """`extra` is the one of streamseg that brings it; None: `what` is a package that no extra brings."""
        from streamseg.errors.extras import how_to_install

        how = f"pip install {what}" if extra is None else how_to_install(extra)
        super().__init__(f"{what} is not installed; run: {how}")


class StageError(StreamsegError):
    """A stage failed in a way nobody foresaw; the cause is chained."""

    exit_code = 18

    def __init__(self, stage: str, cause: BaseException) -> None:
        super().__init__(f"the {stage} stage failed: {type(cause).__name__}: {cause}")
        self.stage = stage


class ResultsError(StreamsegError):
    """A results file is damaged, foreign, of another version, or lacks a frame that is asked of it."""

    exit_code = 19
