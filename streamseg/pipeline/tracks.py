"""What `streamseg tracks` works on: the results of a whole film, looked at first where there are none, and its pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from streamseg.config.schema import PipelineConfig
from streamseg.core.types import Frame
from streamseg.decode.address import as_source
from streamseg.errors import ConfigError, ResultsError
from streamseg.pipeline import opening, results
from streamseg.pipeline.build import look_at
from streamseg.pipeline.extra import extra_steps
from streamseg.pipeline.finding import results_config
from streamseg.pipeline.opening import Source
from streamseg.pipeline.outputs import film_of
from streamseg.pipeline.stages import steps
from streamseg.pipeline.video import Video
from streamseg.record import ENDING, Results, open_results
from streamseg.record.source_key import same_source
from streamseg.system.callbacks import Message

__all__ = ["ensure_results", "pictures_of", "results_place"]


def results_place(source: Source, asked: str = "auto") -> Path:
    """Where the results of a film are, or are to be: at `asked`, if that is a path; in this folder, or else beside the film."""
    if asked not in ("auto", "off"):
        return Path(asked).expanduser()
    name = f"{film_of(source)[0]}{ENDING}"
    beside = Path(str(source)).parent / name
    return beside if not Path(name).exists() and beside.exists() else Path(name)


def ensure_results(
    source: Source, config: PipelineConfig, path: Path, *, as_it_is: bool = False, on_message: Message | None = None
) -> Results:
    """The results file of a film at `path`, open; the film is looked at first where there is none that fits.

    `as_it_is`: one of this film is taken whatever model and settings it was made with. Raises StreamsegError, ConfigError among
    them for a source that cannot be looked at twice.
    """
    origin, kept = as_source(source), results_config(config, path)
    chosen = steps(extra_steps(config))
    decoder, _ = opening.make_decoder(origin, kept, None, on_message)
    with closing(decoder):
        info = decoder.open()
    why_not = results.why_no_key(kept, origin, info, chosen, ())
    if why_not is not None:
        raise ConfigError(f"{source}: its tracks cannot be kept: {why_not}")
    if as_it_is and path.exists():
        found = open_results(path)
        if same_source(found.head.get("source"), results.key_of(origin)):
            return found
        found.close()
        raise ResultsError(f"{path}: it is of another film; name the results of this one with --results FILE{ENDING}")
    keeping = results.keeping(kept, origin, info, (), chosen, (), say=on_message)
    if keeping is not None and keeping.read is not None:
        return keeping.read
    look_at(source, kept, on_message=on_message)
    return open_results(path)


def pictures_of(video: Video, numbers: Sequence[int]) -> Iterator[Frame]:
    """Those frames of a film, in order; what lies between is decoded where they are near one another."""
    return (video[number].frame for number in sorted(set(numbers)))
