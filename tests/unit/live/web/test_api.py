"""The JSON API does what Control does, and says no in sentences."""

import json
import time
from collections import Counter
from dataclasses import replace

import pytest

from streamseg.core.types import Event
from streamseg.live.news import Happened
from tests.unit.live.web.conftest import shown


def happened(number, **more):
    event = Event("cross", 1.0, number, "person", "gate", "in")
    return Happened(f"door-{number}", "door", 1000.0 + number, event, number, 0, **more)


def test_cameras_are_listed_without_credentials(client):
    cameras = client.get("/api/cameras").json()
    assert [(c["name"], c["state"]) for c in cameras] == [("door", "watching"), ("yard", "starting")]
    assert cameras[0]["rate"] == 14.96
    assert cameras[0]["latency_ms"]["p95"] == 71.0
    everything = json.dumps(cameras) + client.get("/api/cameras/door").text + client.get("/health").text
    assert "secret" not in everything


def test_a_camera_is_added_paused_changed_and_removed(client, control):
    added = client.post("/api/cameras", json={"name": "lab", "options": {"source": "0"}})
    assert added.status_code == 201
    assert added.json()["status"]["state"] == "starting"
    assert client.post("/api/cameras/lab/pause").json()["status"]["state"] == "paused"
    assert client.post("/api/cameras/lab/resume").json()["status"]["state"] == "starting"
    changed = client.patch("/api/cameras/lab", json={"conf": 0.4, "lines": {"gate": [[0.1, 0.5], [0.9, 0.5]]}})
    assert changed.json()["options"] == {"source": "0", "conf": 0.4, "lines": {"gate": [[0.1, 0.5], [0.9, 0.5]]}}
    assert client.delete("/api/cameras/lab").status_code == 204
    assert [camera.name for camera in control.cameras()] == ["door", "yard"]


@pytest.mark.parametrize(
    ("method", "path", "sent", "status", "said"),
    [
        ("GET", "/api/cameras/dor", None, 404, "dor"),
        ("DELETE", "/api/cameras/dor", None, 404, "dor"),
        ("PATCH", "/api/cameras/door", {"conf": 7}, 422, "conf"),
        ("PATCH", "/api/cameras/door", {"lines": {"gate": [[0.1, 0.5]]}}, 422, "two different points"),
        ("PATCH", "/api/cameras/door", {"konf": 0.5}, 422, "konf"),
        ("POST", "/api/cameras", {"name": "door", "options": {"source": "0"}}, 422, "already"),
        ("POST", "/api/cameras", {"name": "lab"}, 422, "options"),
        ("POST", "/api/cameras", {"name": "", "options": {}}, 422, "name"),
        ("GET", "/api/events?since=yesterday", None, 422, "since"),
        ("GET", "/api/events/nothing/thumbnail.jpg", None, 404, "no picture"),
        ("GET", "/api/events/nothing/clip", None, 404, "no film"),
        ("GET", "/live/dor.jpg", None, 404, "dor"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(client, method, path, sent, status, said):
    answer = client.request(method, path, json=sent)
    assert (answer.status_code, said in answer.json()["error"]) == (status, True), answer.text


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"[1]", "application/json", 422),
        (b'{"conf": NaN}', "application/json", 400),
        (b"[" * 60000, "application/json", 400),
        (b'{"conf": 0.5}', "text/plain", 415),
        (b" " * 70000, "application/json", 413),
    ],
)
def test_what_is_sent_is_bounded_json(client, body, kind, status):
    assert client.patch("/api/cameras/door", content=body, headers={"Content-Type": kind}).status_code == status


def test_an_event_of_somebody_named_tells_the_name(client, control):
    picture, seen = shown()
    control.feeds["door"].show(picture, replace(seen, instances=replace(seen.instances, track_names={2: "Anna"})))
    with client.websocket_connect("/api/news", headers={"Host": "127.0.0.1:8080"}) as news:
        news.receive_json()
        control.bus.publish(happened(2))
        told = news.receive_json()["event"]
    assert (told["name"], told["class"], told["track"]) == ("Anna", "person", 2)
    assert [each["name"] for each in client.get("/api/events?text=ann").json()] == ["Anna"]


def test_events_are_found_by_words_and_times(client, control):
    for number in range(1, 5):
        control.bus.publish(happened(number, thumbnail=b"\xff\xd8" if number == 4 else b""))
    deadline = time.monotonic() + 3
    while len(found := client.get("/api/events").json()) < 4 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert [event["id"] for event in found] == ["door-4", "door-3", "door-2", "door-1"]
    assert [e["id"] for e in client.get("/api/events", params={"since": 1002, "until": 1003}).json()] == ["door-3", "door-2"]
    assert len(client.get("/api/events", params={"text": "per gate in", "limit": 2}).json()) == 2
    assert client.get("/api/events", params={"text": "truck"}).json() == []
    assert client.get("/api/events", params={"camera": "yard"}).json() == []
    assert client.get("/api/events/door-4/thumbnail.jpg").content == b"\xff\xd8"


def test_what_is_seen_is_told_in_fractions_of_the_frame(client, control):
    assert client.get("/api/cameras/door/instances").json() == {"instances": [], "classes": []}
    control.feeds["door"].show(*shown())
    seen = client.get("/api/cameras/door/instances").json()
    assert seen["classes"] == ["person", "car", "dog"]
    first = seen["instances"][0]
    assert (first["track"], first["class"], first["box"]) == (1, "person", [0.1, 0.1, 0.3, 0.9])
    xs, ys = zip(*first["outline"], strict=True)
    assert min(xs) == pytest.approx(0.11, abs=0.01)
    assert max(xs) == pytest.approx(0.29, abs=0.01)
    assert min(ys) == pytest.approx(0.14, abs=0.02)
    assert max(ys) == pytest.approx(0.86, abs=0.02)


def test_health_tells_which_camera_is_gone_since_when(client, control):
    assert client.get("/readyz").status_code == 503
    control.say("yard", state="watching", total=Counter(person=2), skipped=Counter({"decode: late": 1}))
    assert client.get("/api/cameras/yard").json()["status"]["total"] == {"person": 2}
    assert (client.get("/health").status_code, client.get("/readyz").status_code) == (200, 200)
    control.say("door", state="lost", since_utc=1234.5, reason="connection refused")
    gone = client.get("/health")
    assert gone.status_code == 503
    assert gone.json()["cameras"]["door"] == {"state": "lost", "since_utc": 1234.5, "reason": "connection refused"}
    assert client.get("/healthz").status_code == 200


def test_the_description_names_every_route_and_every_field(client):
    described = client.get("/api/openapi.json").json()
    assert described["paths"]["/api/cameras/{name}"].keys() == {"get", "patch", "delete"}
    status = client.get("/api/cameras").json()[0]
    assert status.keys() == described["components"]["schemas"]["Status"]["properties"].keys()


def test_what_is_drawn_is_told_also_where_no_option_says_so(client):
    assert [list(step) for step in client.get("/api/cameras/door").json()["drawn"]] == [["overlay"]]
    changed = client.patch("/api/cameras/door", json={"effects": ["pixelate", {"counts": {}}]})
    assert changed.json()["drawn"] == ["pixelate", {"counts": {}}]
    assert client.patch("/api/cameras/door", json={"effects": []}).json()["drawn"] == []


def test_effects_come_with_what_a_form_needs(client):
    known = {each["name"]: each for each in client.get("/api/about").json()["effects"]}
    assert {"overlay", "blur", "pixelate"} <= known.keys()
    fill = next(option for option in known["overlay"]["options"] if option["name"] == "fill")
    assert fill["type"] == "number"


class Kept:
    """Events on disk."""

    def __init__(self, folder):
        self.film = folder / "clip.mp4"
        self.film.write_bytes(b"a film")

    def search(self, text="", since=None, until=None, camera="", limit=100):
        return [{"id": "door-9", "text": text, "since": since, "camera": camera, "limit": limit, "clip": True}]

    def thumbnail(self, event):
        return b"jpeg" if event == "door-9" else b""

    def clip(self, event):
        return self.film if event == "door-9" else None


def test_events_that_are_kept_are_searched_there(enter, tmp_path):
    kept = []
    client = enter(store=lambda: kept[0] if kept else None)
    assert client.get("/api/about").json()["kept"] is False
    kept.append(Kept(tmp_path))  # the first camera that is recorded was added
    assert client.get("/api/about").json()["kept"] is True
    found = client.get("/api/events", params={"text": "person gate", "since": 5, "camera": "door", "limit": 9999}).json()
    assert found == [{"id": "door-9", "text": "person gate", "since": 5.0, "camera": "door", "limit": 500, "clip": True}]
    assert client.get("/api/events/door-9/thumbnail.jpg").content == b"jpeg"
    assert client.get("/api/events/door-9/clip").content == b"a film"
    assert client.get("/api/events/door-8/clip").status_code == 404
