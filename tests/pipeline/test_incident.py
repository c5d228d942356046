"""An incident that is run again gives the same, byte for byte; where it does not, it says what differs."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from streamseg.errors import ConfigError, OutputError, SourceNotFound
from streamseg.live.keep.incident import replay, save_incident
from streamseg.live.keep.rows import KeptFile
from streamseg.live.keep.settings import as_json
from streamseg.live.keep.store import EventStore
from streamseg.live.plan import pipeline_of
from tests import clips
from tests.unit.live.keep.test_store import happened

CLIP = "door/clips/2026-11-30_17-05-00+0000.mp4"


@pytest.fixture
def store(tmp_path: Path, known: Path) -> EventStore:
    """Recordings with an event and its clip, of a camera that was watched with the model of known answers."""
    made = EventStore(tmp_path / "r")
    clip = made.folder / CLIP
    clip.parent.mkdir(parents=True)
    clips.cfr(clip, 12)
    config, _ = pipeline_of(
        "door",
        {
            "source": "rtsp://user:secret@10.0.0.7/x",
            "classes": ["person"],
            "privacy": "person",
            "detect_every": 2,
            "max_rate": 13,
        },
    )
    config = config.model_copy(update={"infer": config.infer.model_copy(update={"model": str(known)})})
    made.add_settings("door", 50.0, as_json(config))
    made.add(happened("e1", 100.0))
    made.add(happened("no-clip", 200.0))
    made.add_file(KeptFile(CLIP, "door", True, 95.0, 105.0, clip.stat().st_size), ["e1"])
    return made


def test_it_gives_the_same_byte_for_byte(store: EventStore, tmp_path: Path) -> None:
    folder = save_incident(store, "e1", tmp_path / "incident")
    about = json.loads((folder / "incident.json").read_text())
    assert (about["camera"], about["frames"], [each["id"] for each in about["events"]]) == ("door", 6, ["e1"])
    assert "secret" not in (folder / "incident.json").read_text()
    moved = tmp_path / "elsewhere"
    shutil.move(folder, moved)
    shutil.rmtree(store.folder)
    done = replay(moved)
    assert done.differs == ()
    assert done.same
    assert done.frames == 6
    assert sorted(path.name for path in moved.iterdir()) == ["film.mp4", "incident.json", "results.streamseg"]


def test_it_says_what_differs(store: EventStore, tmp_path: Path) -> None:
    folder = save_incident(store, "e1", tmp_path / "incident")
    about = json.loads((folder / "incident.json").read_text())
    about["settings"]["infer"]["every"] = 1
    about["versions"]["openvino"] = "2020.1"
    (folder / "incident.json").write_text(json.dumps(about))
    done = replay(folder)
    assert not done.same
    assert "openvino was 2020.1, and is " in "\n".join(done.differs)
    assert "infer.every was 2, and is 1" in done.differs
    assert re.match(r"\d of 6 pictures differ, 0 in the number of objects; first at 0\.08 s: ", done.differs[-1])
    clips.cfr(folder / "film.mp4", 8)
    done = replay(folder)
    assert done.differs[0] == "the film (film.mp4) is not the one that was saved"
    assert done.differs[-1] == "4 pictures were looked at, and 6 then"


def test_what_cannot_be_saved_or_run_is_said(store: EventStore, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no event 'e9'"):
        save_incident(store, "e9", tmp_path / "incident")
    with pytest.raises(ConfigError, match="there is no clip of it"):
        save_incident(store, "no-clip", tmp_path / "incident")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thing").touch()
    with pytest.raises(OutputError, match="there is something already"):
        save_incident(store, "e1", tmp_path / "full")
    with pytest.raises(ConfigError, match="this is no incident of streamseg"):
        replay(tmp_path / "full")
    folder = save_incident(store, "e1", tmp_path / "incident")
    (folder / "film.mp4").unlink()
    with pytest.raises(SourceNotFound, match="the incident is not whole"):
        replay(folder)
    (folder / "incident.json").write_text("{")
    with pytest.raises(ConfigError, match="is damaged"):
        replay(folder)
