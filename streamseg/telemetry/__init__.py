"""Where the vehicle was: positions that a camera's receiver wrote into a film or beside it, on the clock of the film."""

from streamseg.telemetry.film import created_at, named_at, read_telemetry
from streamseg.telemetry.sync import FilmTime
from streamseg.telemetry.track import Track

__all__ = ["FilmTime", "Track", "created_at", "named_at", "read_telemetry"]
