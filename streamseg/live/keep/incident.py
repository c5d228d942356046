"""Incidents: a stretch of what a camera sent, with what was found in it and how, to be run again elsewhere, or by a newer version.

    INCIDENT/film.mp4              the camera's packets, as a clip holds them
    INCIDENT/results.streamseg     what is found in each picture of it: every box, score, mask and identity (docs/results.md)
    INCIDENT/incident.json         the settings, the model's check sum, engine, versions, and the events as they were told live

What is found is found anew when an incident is saved: each picture of the film, from its first one on, with the camera's settings.
Live, pictures may have been left out, and tracks go back further; so identities have other numbers there than here.
"""

from __future__ import annotations

import json
import platform
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from streamseg.errors import ConfigError, OutputError, SourceNotFound
from streamseg.live.keep.archive import plain
from streamseg.live.keep.rows import KeptEvent
from streamseg.live.keep.settings import as_film
from streamseg.live.keep.store import EventStore
from streamseg.pipeline.tracks import ensure_results
from streamseg.record import FrameRecord, Results, open_results
from streamseg.system.callbacks import Message
from streamseg.system.output_files import make_folder, replace_atomically, sha256_of
from streamseg.system.version import installed_version

__all__ = ["Replay", "replay", "save_incident"]

_SCHEMA = "streamseg.incident/1"
_ABOUT, _RESULTS = "incident.json", "results.streamseg"
_PARTS = ("openvino", "onnxruntime", "tensorrt", "tensorrt-rtx", "numpy", "opencv-python-headless", "av")
"""Packages on which it depends what is found."""


@dataclass(frozen=True, slots=True)
class Replay:
    """What came of running an incident again."""

    same: bool
    """The results are the same, byte for byte."""
    frames: int
    differs: tuple[str, ...]
    """What is not as it was, in sentences: first what may be the reason, then what was found otherwise."""


def save_incident(
    store: EventStore, event: str, folder: Path, *, model: str | None = None, on_message: Message | None = None
) -> Path:
    """Save the clip of an event as an incident in `folder`, which is made; gives it back.

    `model`: in place of the one that the settings name, where that lies elsewhere now. Raises ConfigError, OutputError.
    """
    found = store.event(event)
    if found is None:
        raise ConfigError(f"there is no event {event!r}; `streamseg events` lists them, --json with their ids")
    clip = store.clip(event)
    if clip is None or not clip.is_file():
        raise ConfigError(f"event {event}: there is no clip of it (not finished, deleted, or none was wanted)")
    settings = store.settings(found.camera, found.utc)
    if settings is None:
        raise ConfigError(f"event {event}: the settings of camera {found.camera} at that time are not known")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OutputError(f"{folder}: there is something already; choose another name")
    make_folder(folder)
    film = folder / f"film{clip.suffix}"
    try:
        shutil.copyfile(clip, film)
        config = as_film(json.loads(settings), model)
        with ensure_results(film, config, folder / _RESULTS, on_message=on_message) as results:
            about = _about(store, found, clip, json.loads(settings), results)
        about |= {"film": film.name, "film_sha256": sha256_of(film), "results_sha256": sha256_of(folder / _RESULTS)}
        replace_atomically(folder / _ABOUT, json.dumps(about, indent=2, ensure_ascii=False).encode() + b"\n")
    except OSError as error:
        raise OutputError(f"{folder}: the incident cannot be saved: {error.strerror or error}") from error
    return folder


def _about(store: EventStore, event: KeptEvent, clip: Path, settings: Any, results: Results) -> dict[str, Any]:
    file = next((each for each in store.files(event.camera) if store.folder / each.path == clip), None)
    begin, end = (event.utc, event.utc) if file is None else (file.begin_utc, file.end_utc)
    told = store.search(since=begin, until=end, camera=event.camera, limit=10_000)
    return {
        "schema": _SCHEMA,
        "camera": event.camera,
        "begin_utc": begin,
        "end_utc": end,
        "event": event.id,
        "events": [plain(each) for each in reversed(told)],
        "frames": len(results),
        "model": {key: results.head["model"].get(key) for key in ("name", "sha256", "engine", "precision")},
        "versions": _versions(),
        "settings": settings,
    }


def replay(folder: Path, *, model: str | None = None, engine: str | None = None, on_message: Message | None = None) -> Replay:
    """Run an incident again, and compare. `model`, `engine`: others than then.

    Raises ConfigError, ResultsError or SourceNotFound for a folder that is no whole incident, and what a run raises.
    """
    about = _read(folder)
    film = folder / str(about.get("film"))
    if not film.is_file():
        raise SourceNotFound(f"{film}: no such file: the incident is not whole")
    config = as_film(about.get("settings"), model)
    if engine is not None:
        config = config.model_copy(update={"infer": config.infer.model_copy(update={"engine": engine, "precision": "auto"})})
    with open_results(folder / _RESULTS) as then, tempfile.TemporaryDirectory() as place:
        path = Path(place) / _RESULTS
        with ensure_results(film, config, path, on_message=on_message) as now:
            same = path.read_bytes() == then.path.read_bytes()
            differs = () if same else (*_reasons(about, film, then, now), *_found_otherwise(then, now))
            return Replay(same, len(now), differs)


def _read(folder: Path) -> dict[str, Any]:
    path = folder / _ABOUT
    try:
        about = json.loads(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"{folder}: this is no incident of streamseg ({_ABOUT}: {error.strerror or error})") from error
    except ValueError as error:
        raise ConfigError(f"{path}: is damaged: {error}") from error
    if not isinstance(about, dict) or about.get("schema") != _SCHEMA:
        raise ConfigError(f"{path}: is of another version than {_SCHEMA!r}, which this streamseg reads")
    return about


def _versions() -> dict[str, str]:
    found = {"streamseg": installed_version(), "python": platform.python_version(), "machine": platform.machine()}
    for name in _PARTS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _reasons(about: dict[str, Any], film: Path, then: Results, now: Results) -> list[str]:
    """What is not as it was, and may be why other things are found."""
    said = []
    if sha256_of(film) != about.get("film_sha256"):
        said.append(f"the film ({film.name}) is not the one that was saved")
    if sha256_of(then.path) != about.get("results_sha256"):
        said.append(f"{then.path.name} is not the one that was saved")
    there, here = ({"model": {}, "settings": {}} | each.head for each in (then, now))
    said += _changed("model ", there["model"], here["model"], ("name", "sha256", "size", "engine", "precision"))
    said += _changed("", about.get("versions", {}), _versions())
    return said + _changed("", there["settings"], here["settings"])


def _changed(what: str, there: dict[str, Any], here: dict[str, Any], names: Sequence[str] = ()) -> list[str]:
    return [
        f"{what}{name} was {_short(there.get(name))}, and is {_short(here.get(name))}"
        for name in names or sorted({*there, *here})
        if there.get(name) != here.get(name)
    ]


def _short(value: object) -> str:
    if value is None:
        return "not there"
    return value[:12] if isinstance(value, str) and len(value) == 64 else str(value)


def _found_otherwise(then: Results, now: Results) -> list[str]:
    """Where what was found begins to differ, and by how much."""
    if len(then) != len(now):
        return [f"{len(now)} pictures were looked at, and {len(then)} then"]
    others = [(one, other) for one, other in zip(then, now, strict=True) if not _same(one, other)]
    if not others:
        return ["what was found is the same in every picture; only what the file says of itself differs"]
    one, other = others[0]
    names = ", ".join(sorted(one.instances.names)) or "nothing", ", ".join(sorted(other.instances.names)) or "nothing"
    what = f"{names[1]} was found where {names[0]} was" if names[0] != names[1] else "boxes, scores or masks are not the same"
    counts = sum(len(a) != len(b) for a, b in others)
    return [
        f"{len(others)} of {len(then)} pictures differ, {counts} in the number of objects; first at {one.time:.2f} s: {what}"
    ]


def _same(one: FrameRecord, other: FrameRecord) -> bool:
    a, b = one.instances, other.instances
    columns: Sequence[str] = ("boxes", "scores", "labels", "track_ids", "masks")
    return (one.index, one.pts, one.detected, len(a)) == (other.index, other.pts, other.detected, len(b)) and all(
        np.array_equal(getattr(a, name), getattr(b, name)) for name in columns
    )
