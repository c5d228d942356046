"""Who may open the page: this machine, or who shows the token; no other site, by no way."""

import re

import pytest
from starlette.websockets import WebSocketDisconnect

from streamseg.config.live_page import PageConfig
from streamseg.errors import ConfigError
from streamseg.live.config import read_live
from streamseg.live.web import guard
from streamseg.live.web.link import link, qr, token_of


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("STREAMSEG_CONFIG", str(tmp_path / "config"))


@pytest.fixture(autouse=True)
def _no_delay(monkeypatch):
    monkeypatch.setattr(guard, "_WRONG_TOKEN_DELAY", 0.0)


@pytest.fixture
def far(enter):
    """A page that others reach."""
    return enter(host="0.0.0.0", token="sesame-open")


OWN = {"Host": "127.0.0.1:8080"}
"""What a browser says that is told this address."""
HTML = {"Accept": "text/html"}
SHOWN = {"Authorization": "Bearer sesame-open"}
FOREIGN = (
    {"Host": "evil.example"},
    {"Host": "evil.example:8080"},
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"X-Forwarded-For": "203.0.113.9"},
    {"Forwarded": "for=203.0.113.9"},
)


def refused(client, path, headers=None):
    """Whether a WebSocket is not let in."""
    with pytest.raises(WebSocketDisconnect) as gone, client.websocket_connect(path, headers=OWN | (headers or {})):
        pass
    return gone.value.code == 4403


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_other_sites_and_unknown_proxies_get_nothing(client, headers):
    assert client.get("/api/cameras", headers=headers).status_code == 403
    assert client.post("/api/cameras/door/pause", headers=headers).status_code == 403
    assert refused(client, "/api/news", headers)


def test_this_machine_needs_no_token(client):
    assert client.get("/api/cameras").status_code == 200
    same = {"Origin": "http://127.0.0.1:8080", "Sec-Fetch-Site": "same-origin"}
    assert client.get("/api/cameras", headers=same).status_code == 200
    with client.websocket_connect("/api/news", headers=OWN | same) as news:
        assert news.receive_json()["kind"] == "cameras"


def test_from_elsewhere_nothing_opens_without_the_token(far):
    for path in ("/", "/api/cameras", "/live/door.jpg", "/live/door.mjpg", "/api/openapi.json", "/app.js"):
        assert far.get(path).status_code == 403, path
        assert far.get(path, headers={"Authorization": "Bearer wrong"}).status_code == 403, path
    for path in ("/api/news", "/live/door.jpeg.ws", "/live/door.results.ws"):
        assert refused(far, path), path


def test_health_without_the_token_tells_no_names(far):
    assert far.get("/health").json().keys() == {"ok"}
    assert far.get("/health", headers=SHOWN).json()["cameras"].keys() == {"door", "yard"}


def test_the_link_opens_and_leaves_no_token_in_the_address(far):
    answer = far.get("/?token=sesame-open&large=door", headers=HTML)
    assert (answer.status_code, answer.headers["location"]) == (303, "./?large=door")
    cookie = answer.headers["set-cookie"]
    assert "sesame" not in cookie
    assert re.search(r"HttpOnly.*SameSite=lax", cookie, re.I)
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert far.get("/api/cameras").status_code == 200
    with far.websocket_connect("/api/news", headers={"Cookie": cookie.split(";")[0]}) as news:
        assert news.receive_json()["kind"] == "cameras"


def test_programs_show_the_token(far):
    assert far.get("/api/cameras", headers=SHOWN).status_code == 200
    assert far.get("/api/cameras?token=sesame-open").status_code == 200
    assert far.get("/api/cameras", headers=SHOWN | {"Origin": "http://evil.example"}).status_code == 403


def test_a_proxy_with_an_address_of_its_own_is_let_in_with_the_token(enter):
    page = enter(url="https://cams.example.org/street", token="sesame-open")
    headers = {"X-Forwarded-For": "203.0.113.9", "Origin": "https://cams.example.org"}
    assert page.get("/api/cameras", headers=headers).status_code == 403
    assert page.get("/api/cameras", headers=headers | SHOWN).status_code == 200
    assert "secure" in page.get("/?token=sesame-open", headers=HTML).headers["set-cookie"].lower()


def test_headers_keep_third_parties_and_frames_out(client):
    headers = client.get("/").headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http://" not in policy
    assert "ws://127.0.0.1:8080" in policy
    assert headers["x-frame-options"] == "DENY"


def test_a_token_is_made_once_and_kept_for_this_user_alone(tmp_path):
    far = PageConfig(host="0.0.0.0")
    token = token_of(far)
    assert len(token) >= 20
    assert token_of(far) == token
    kept = tmp_path / "config" / "page-token"
    assert kept.stat().st_mode & 0o077 == 0
    assert token_of(PageConfig()) is None


def test_the_printed_link_has_a_real_host_and_a_code_for_the_phone():
    far = link(PageConfig(host="0.0.0.0"), 8080, "sesame open")
    assert re.fullmatch(r"http://(?!0\.0\.0\.0)[\w.:\[\]-]+:8080/\?token=sesame%20open", far)
    assert len(qr(far).splitlines()) > 10
    assert link(PageConfig(), 9000, None) == "http://127.0.0.1:9000/"
    assert link(PageConfig(host="::1"), 9000, None) == "http://[::1]:9000/"
    assert link(PageConfig(url="https://cams.example.org/street"), 9000, "abc") == "https://cams.example.org/street/?token=abc"


@pytest.mark.parametrize(
    "bad",
    [
        {"host": "0.0.0.0", "token": "off"},
        {"token": "short"},
        {"url": "cams.example.org"},
        {"url": "https://u:p@x/"},
        {"port": 70000},
    ],
)
def test_settings_that_would_leave_the_door_open_are_refused(bad):
    with pytest.raises(ConfigError):
        PageConfig(**bad)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("off", None),
        (False, None),
        ("on", ("127.0.0.1", 8080)),
        (9000, ("127.0.0.1", 9000)),
        ("9000", ("127.0.0.1", 9000)),
        ("0.0.0.0:9000", ("0.0.0.0", 9000)),
        ("[::]:9000", ("::", 9000)),
        ({"host": "::1"}, ("::1", 8080)),
    ],
)
def test_the_section_may_be_short(written, meant):
    page = read_live({"page": written}, "cameras").config.page
    assert (None if page is None else (page.host, page.port)) == meant


def test_what_is_no_place_to_listen_is_refused():
    with pytest.raises(ConfigError, match=r"0\.0\.0\.0:8080"):
        read_live({"page": "everywhere"}, "cameras")
