"""`streamseg serve`: what a session finds comes over HTTP as it is, and what cannot be answered is told with the right status."""

from __future__ import annotations

import asyncio
import contextlib
import json
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from streamseg.pipeline.session import Session
from tests import clips, graphs

pytest.importorskip("uvicorn", reason="needs the extra 'live'")
httpx = pytest.importorskip("httpx", reason="needs the extra 'dev'")


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    path = tmp_path_factory.mktemp("model") / "known.onnx"
    graphs.constant_model(path, boxes=((20.0, 28.0, 60.0, 58.0),), scores=(0.9,), labels=(0,), size=(64, 96), batch=None)
    with Session(model=path, threads=1, engine="onnxruntime") as opened:
        yield opened


GIVEN: dict[str, Any] = {"name": "images", "shape": [2, 64, 96, 3], "datatype": "UINT8"}


@contextlib.contextmanager
def serving(session: Session, limits: Any = None, token: str | None = None) -> Iterator[Any]:
    """The server as it is, and a client of it."""
    from streamseg.live.web.guard import Door
    from streamseg.live.web.listen import listen
    from streamseg.serve.app import make_app
    from streamseg.serve.server import serve

    listener = listen("127.0.0.1", 0)
    port = listener.getsockname()[1]
    server = serve(make_app(session, Door(token, port), limits))
    thread = threading.Thread(target=lambda: server.run(sockets=[listener]), daemon=True)
    thread.start()
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join(20)
        listener.close()
    assert not thread.is_alive()


@pytest.fixture(scope="module")
def client(session: Session, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from streamseg.serve.app import Limits

    uploads = tmp_path_factory.mktemp("uploads")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(uploads))
        with serving(session, Limits(picture=200_000, film=1_000_000, seconds=2.0)) as opened:
            yield opened
    assert list(uploads.iterdir()) == [], "uploads are left behind"


def png() -> bytes:
    picture = np.random.default_rng(0).integers(0, 255, (64, 96, 3), np.uint8)
    return cv2.imencode(".png", picture)[1].tobytes()


def test_a_picture_is_answered_as_the_session_sees_it(client: Any, session: Session, tmp_path: Path) -> None:
    (tmp_path / "p.png").write_bytes(png())
    [seen] = session.stream(tmp_path / "p.png", conf=0.3)
    answer = client.post("/pictures?conf=0.3", content=png())
    assert (answer.status_code, answer.json()) == (200, json.loads(json.dumps(seen.to_json())))
    assert client.post("/pictures?conf=0.95", content=png()).json()["instances"] == []
    drawn = client.post("/pictures?draw=png", content=png())
    shown = cv2.imdecode(np.frombuffer(drawn.content, np.uint8), cv2.IMREAD_COLOR)
    assert drawn.headers["content-type"] == "image/png"
    assert shown.shape == (64, 96, 3)


def test_a_film_is_answered_line_by_line_or_drawn(client: Any, tmp_path: Path) -> None:
    film = clips.cfr(tmp_path / "a.mp4", 10, 25)
    answer = client.post("/films?classes=person", content=film.read_bytes())
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert [line["frame"] for line in lines] == list(range(10))
    assert all(line["instances"] for line in lines[3:])
    drawn = client.post("/films?draw=mp4", content=film.read_bytes())
    (tmp_path / "seen.mp4").write_bytes(drawn.content)
    assert len(clips.decoded(tmp_path / "seen.mp4")) == 10


@pytest.mark.parametrize(
    ("path", "body", "status", "told"),
    [
        ("/pictures", b"no picture", 422, "upload: "),
        ("/pictures", b"", 400, "the body is empty"),
        ("/pictures", b"x" * 200_001, 413, "at most 200000 are taken"),
        ("/pictures?conf=x", b"x", 400, "conf=x: a number is needed"),
        ("/pictures?classes=unicorn", None, 400, "there is no 'unicorn'"),
        ("/pictures?output=/etc/passwd", b"x", 400, "unknown option 'output'"),
        ("/pictures?draw=exe", b"x", 400, "draw=exe: allowed: jpg, png"),
        ("/films", b"no film", 422, "upload: "),
        ("/films?duration=9", b"film", 413, "would be looked at for 9 s, and at most 2 s are taken"),
        ("/v2/models/other/infer", b"{}", 404, "the one here is 'test'"),
        ("/v2/models/test/infer", b"{}", 400, "no request of the protocol"),
        ("/v2/models/test/infer", b"\xff", 400, "no request of the protocol"),
        (
            "/v2/models/test/infer",
            b'{"inputs": [{"name": "images", "shape": [1, 2], "datatype": "UINT8"}]}',
            400,
            "the model takes",
        ),
    ],
)
def test_what_cannot_be_answered_is_told(
    client: Any, tmp_path: Path, path: str, body: bytes | None, status: int, told: str
) -> None:
    if body == b"film":
        body = clips.cfr(tmp_path / "a.mp4", 10, 25).read_bytes()
    answer = client.post(path, content=png() if body is None else body)
    assert answer.status_code == status, answer.text
    assert told in answer.json()["error"]
    assert "/tmp" not in answer.text
    assert "streamseg-serve" not in answer.text


def test_a_long_film_is_refused_before_it_is_looked_at(client: Any, tmp_path: Path) -> None:
    film = clips.cfr(tmp_path / "a.mp4", 75, 25).read_bytes()
    assert client.post("/films", content=film).status_code == 413
    assert len(client.post("/films?duration=1", content=film).text.splitlines()) == 25


def test_a_form_is_no_picture(client: Any) -> None:
    assert client.post("/pictures", files={"file": png()}).status_code == 415


def test_the_protocol_gives_what_the_engine_gives(client: Any, session: Session) -> None:
    """In JSON and in binary, all outputs and some; the metadata says what there is."""
    images = np.random.default_rng(1).integers(0, 255, (2, 64, 96, 3), np.uint8)
    direct = session.client().submit(images).result()
    plain = client.post("/v2/models/test/infer", json={"id": "7", "inputs": [GIVEN | {"data": images.ravel().tolist()}]}).json()
    assert (plain["id"], plain["model_name"]) == ("7", "test")
    for output in plain["outputs"]:
        assert np.array_equal(np.reshape(output["data"], output["shape"]), direct[output["name"]])
    data = GIVEN | {"parameters": {"binary_data_size": images.nbytes}}
    head = json.dumps({"inputs": [data], "outputs": [{"name": "boxes", "parameters": {"binary_data": True}}]}).encode()
    binary = client.post(
        "/v2/models/test/versions/1/infer",
        content=head + images.tobytes(),
        headers={"Inference-Header-Content-Length": str(len(head))},
    )
    told = json.loads(binary.content[: int(binary.headers["Inference-Header-Content-Length"])])
    assert [output["name"] for output in told["outputs"]] == ["boxes"]
    assert binary.content[int(binary.headers["Inference-Header-Content-Length"]) :] == direct["boxes"].tobytes()
    known = client.get("/v2/models/test").json()
    assert known["inputs"] == [{"name": "images", "datatype": "UINT8", "shape": [-1, 64, 96, 3]}]
    assert {output["name"] for output in known["outputs"]} == set(direct)
    for path in ("/", "/healthz", "/readyz", "/v2", "/v2/health/live", "/v2/health/ready", "/v2/models/test/ready"):
        assert client.get(path).status_code == 200, path


def test_who_comes_when_all_places_are_taken_is_told_so_at_once(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """One works, one waits, the third gets 429, and all is free again afterwards."""
    from streamseg.serve.app import Limits

    hold, begun, real = threading.Event(), threading.Event(), Session.stream

    def slow(self: Session, *args: Any, **kwargs: Any) -> Any:
        begun.set()
        hold.wait(20)
        yield from real(self, *args, **kwargs)

    monkeypatch.setattr(Session, "stream", slow)
    with serving(session, Limits(workers=1, queue=1)) as client, ThreadPoolExecutor(3) as many:
        asked = [many.submit(client.post, "/pictures", content=png()) for _ in range(3)]
        [full, *_] = wait(asked, 20, FIRST_COMPLETED).done
        assert begun.wait(20)
        assert full.result().status_code == 429
        assert full.result().headers["retry-after"] == "1"
        hold.set()
        assert sorted(one.result(20).status_code for one in asked) == [200, 200, 429]
        assert client.post("/pictures", content=png()).status_code == 200


def test_a_place_is_given_back_whatever_happens() -> None:
    from streamseg.serve.lanes import Full, Lane

    async def use() -> int:
        lane = Lane("test", 1, 0)
        with contextlib.suppress(RuntimeError):
            async with lane.place():
                with pytest.raises(Full):
                    await lane.place().__aenter__()
                raise RuntimeError
        lane.close()
        return lane.taken

    assert asyncio.run(use()) == 0


def test_who_hangs_up_amid_a_film_costs_no_more(session: Session, tmp_path: Path) -> None:
    """The run behind the answer ends, and its place is free."""
    from streamseg.serve.app import Limits

    film = clips.cfr(tmp_path / "a.mp4", 400, 25).read_bytes()
    with serving(session, Limits(workers=1, queue=0)) as client:
        with client.stream("POST", "/films", content=film) as answer:
            assert next(answer.iter_lines())
        deadline = time.monotonic() + 20
        while (again := client.post("/films?duration=0.2", content=film)).status_code == 429 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert again.status_code == 200


def test_nobody_without_the_token(session: Session) -> None:
    with serving(session, token="secret") as client:
        assert client.post("/pictures", content=png()).status_code == 403
        assert client.get("/healthz").status_code == 200
        assert client.post("/pictures", content=png(), headers={"Authorization": "Bearer secret"}).status_code == 200
