"""Nothing that could let somebody in is shown: addresses generated from a seed, with every way a secret stands in one."""

import io
import json
import random
import string
import sys
import time
from urllib.parse import quote

import pytest

from streamseg.config import parse_pipeline
from streamseg.decode.address import parse_source
from streamseg.errors import ConfigError, SourceError, StageError, StreamsegError, clean
from streamseg.errors.credentials import misread, scrub, shown
from streamseg.runtime import Branch, Runtime

SCHEMES = ["rtsp", "rtsps", "rtmp", "http", "https", "srt", "tcp", "udp", "ftp", "custom+x"]
HOSTS = ["cam.example.org", "10.0.0.7", "localhost", "[fe80::17]", "door-2"]
PORTS = ["", ":554", ":8080"]
PATHS = ["/main", "/ch0/stream.sdp", "/a/b%20c.mp4", "/", "/axis-cgi/mjpg/video.cgi"]
PLAIN = string.ascii_letters + string.digits
AWKWARD = PLAIN + "@:/#?!$%^*()+~.,-_@/@/"
KEYS = ["token", "access_token", "password", "pwd", "auth", "X-Amz-Signature", "sig", "key", "api-key", "passphrase", "Secret"]


def word(rng, characters=PLAIN, least=4):
    made = "".join(rng.choice(characters) for _ in range(rng.randint(least, 14)))
    return made.replace("://", ":/_")


def leaks(secret, text):
    """Parts of the secret, of three characters, in a text; those that stand in what is no secret do not tell."""
    parts = {secret[i : i + 3] for i in range(len(secret) - 2)}
    return sorted(part for part in parts if part in text and not any(part in known for known in NO_SECRET))


def user_info(rng):
    """(address, what of it is secret, what must stay readable)."""
    password, host, path = word(rng, AWKWARD), rng.choice(HOSTS), rng.choice(PATHS)
    if rng.random() < 0.3:
        password = quote(password, safe="")
    user = rng.choice(["admin", "root", "ad@min", "us.er"])
    return f"{rng.choice(SCHEMES)}://{user}:{password}@{host}{rng.choice(PORTS)}{path}", password, [host, path]


def query(rng):
    """The same for a token in the query, among other keys."""
    secret, host, path = word(rng), rng.choice(HOSTS), rng.choice(PATHS)
    if rng.random() < 0.3:
        secret = quote(word(rng, AWKWARD), safe="")
    pairs = ["res=640x480", f"{rng.choice(KEYS)}={secret}", "cam=2"]
    rng.shuffle(pairs)
    return f"{rng.choice(SCHEMES)}://{host}{path}{rng.choice('?#')}{rng.choice('&;').join(pairs)}", secret, [host, path]


def nested(rng):
    """An address that goes through a proxy, its own percent-encoded up to twice."""
    inner, secret, _ = user_info(rng)
    for _ in range(rng.randint(1, 2)):
        inner = quote(inner, safe="")
    return f"http://proxy.example/{rng.choice(['fetch?url=', ''])}{inner}", secret, ["proxy.example"]


NO_SECRET = [
    *(f"{scheme}://***@{host}{port}{path}" for scheme in SCHEMES for host in HOSTS for port in PORTS for path in PATHS),
    *(f"{mark}{key}=***" for key in KEYS for mark in "?#&;"),
    "?res=640x480&cam=2;res=640x480;#res=#cam=",
    "http://proxy.example/fetch?url=",
]
MAKERS = [user_info, query, nested]


@pytest.mark.parametrize("seed", range(4))
def test_of_a_generated_address_only_what_is_no_secret_is_shown(seed):
    rng = random.Random(seed)
    for _ in range(100):
        address, secret, readable = rng.choice(MAKERS)(rng)
        for text in (shown(address), scrub(address), scrub(shown(address))):
            assert not leaks(secret, text), (address, text)
            if "[" not in address or address.count("%") == 0:
                assert all(part in text for part in readable), (address, text)


TEXTS = [
    "cannot open {!r}: refused",
    "[Errno 1482175736] Invalid data found when processing input: {!r}; last error log: x",
    "it was {0}, then {1}; and nothing else",
    '{{"source": "{0}", "next": "{1}"}}',
    "({0})",
    "<a href='{0}'>{1}</a>",
]
NO_SECRET += TEXTS


@pytest.mark.parametrize("seed", range(3))
def test_addresses_are_found_within_texts(seed):
    rng = random.Random(1000 + seed)
    for _ in range(50):
        made = [rng.choice([user_info, query])(rng) for _ in range(2)]
        text = scrub(rng.choice(TEXTS).format(*(address for address, _, _ in made)))
        for address, secret, _ in made:
            assert not leaks(secret, text), (address, text)


KNOWN = {
    "rtsp://admin:P@ss@cam/": "rtsp://***@cam/",
    "rtsp://ad@min:secret@word@host": "rtsp://***@host",
    "ad@min:secret@word@host": "***@host",
    "admin:pa/ss@x@host/main": "***@host/main",
    "rtsp://admin:pa/ss@x@host": "rtsp://***@host",
    "rtsp://admin:Jd@2026@192.168.1.117:554/ch1": "rtsp://***@192.168.1.117:554/ch1",
    "rtsp://admin:abc@123@@10.0.0.1": "rtsp://***@10.0.0.1",
    "rtsp://admin:12/34@cam/x": "rtsp://***@cam/x",
    "file://::?hunter22@host": "file://***@host",
    "rtsp://::/hunter22@host/x": "rtsp://***@host/x",
    "rtsp://bad::?hunter22@host": "rtsp://***@host",
    "rtsp://admin:?hunter22=@host/x?a=1": "rtsp://***@host/x?a=1",
    "rtsp://admin:my pass@cam/x": "rtsp://***@cam/x",
    "rtsp:/admin:secret@cam/x": "***@cam/x",
    "srt://h:9000?passphrase=hunter22&mode=caller": "srt://h:9000?passphrase=***&mode=caller",
    "rtsp://h:554/user=admin_password=tlJwpbo6_channel=1.sdp?real": "rtsp://h:554/user=admin_password=***?real",
    "http://h/x?password=ab;cd#ef": "http://h/x?password=***#***",
    "http://h/x#access_token=abc&n=1": "http://h/x#access_token=***&n=1",
    "http://p/?url=rtsp%3A%2F%2Fa%3Asecret%40cam%2Fx&n=1": "http://p/?url=rtsp://***@cam/x&n=1",
    "http://h/v?t=eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc": "http://h/v?t=***",
    "rtsps://192.168.1.1:7441/7xfVYJDhLLbQ8vXB?enableSrtp": "rtsps://192.168.1.1:7441/***?enableSrtp",
    "rtmp://a.rtmp.example/live2/ab12-cd34-ef56-gh78-ij90": "rtmp://a.rtmp.example/live2/***",
    "rtmp://h/app/live_123456789_AbCdEfGhIjKlMnOpQrStUvWxYz01": "rtmp://h/app/***",
    "http://h/hdntl=exp=1~acl=/*~hmac=abcdef0123456789/a.mp4": "http://h/hdntl=exp=1~acl=/*~hmac=***",
    # nothing to hide
    "rtsp://h:554/h264Preview_01_main": "rtsp://h:554/h264Preview_01_main",
    "rtsp://h/Streaming/Channels/101": "rtsp://h/Streaming/Channels/101",
    "http://h/2026-01-01_FrontDoor-Camera1.mp4": "http://h/2026-01-01_FrontDoor-Camera1.mp4",
    "/data/7xfVYJDhLLbQ8vXB/a.mp4": "/data/7xfVYJDhLLbQ8vXB/a.mp4",
    "allowed: a path, rtsp://, http://, - for a pipe": "allowed: a path, rtsp://, http://, - for a pipe",
    "write rtsp://user:password@host/path, or user:password@host": "write rtsp://user:password@host/path, or user:password@host",
    "http://h/@user/v.mp4": "http://h/@user/v.mp4",
    "http://h/v@2x.mp4?res=640x480": "http://h/v@2x.mp4?res=640x480",
    "rtsp://[fe80::1]:554/x": "rtsp://[fe80::1]:554/x",
    "rtsp://fe80::1/v@2x.mp4": "rtsp://fe80::1/v@2x.mp4",
    "http://[::]:8080/@user/v.mp4": "http://[::]:8080/@user/v.mp4",
    "tcp://:::1234?listen=1": "tcp://:::1234?listen=1",
    "rtsp://::/x": "rtsp://::/x",
    "udp://@239.0.0.1:1234": "udp://@239.0.0.1:1234",
    "/data/2026-01-01T12:30:00@cam1.mp4": "/data/2026-01-01T12:30:00@cam1.mp4",
    "12 frames = 3 s: 50 %": "12 frames = 3 s: 50 %",
}


@pytest.mark.parametrize("address", KNOWN)
def test_known_forms(address):
    if " " not in address or address.startswith("rtsp"):
        assert shown(address) == KNOWN[address]
    assert scrub(address) == KNOWN[address]
    assert scrub(KNOWN[address]) == KNOWN[address], "twice is once"


@pytest.mark.parametrize("password", ["pa/ss", "pa?ss", "pa#ss", "pa ss", "p/a@s"])
def test_a_password_that_ends_the_address_is_said_to_need_encoding(password):
    address = f"rtsp://admin:{password}@cam.example/main"
    assert misread(address)
    with pytest.raises(SourceError, match="percent-encoding: %40 for @, %2F for /") as caught:
        parse_source(address)
    assert password not in str(caught.value)
    assert "cam.example/main" in str(caught.value)


def test_an_encoded_password_is_read_and_one_with_at_signs_is_only_advised_on():
    assert parse_source("rtsp://admin:pa%2Fss@cam/main").advice == ""
    assert parse_source("rtsp://admin:pass@cam/main").advice == ""
    assert "%40" in parse_source("rtsp://admin:P@ss@cam/main").advice


def test_an_address_longer_than_a_file_name_may_be_is_an_address():
    long = "https://bucket.example/clip.mp4?X-Amz-Signature=" + "ab12" * 200
    assert parse_source(long).name == "https://bucket.example/clip.mp4?X-Amz-Signature=***"


def everything(error):
    said = ""
    while error is not None:
        said += f"{error} {error!r} {error.args} {getattr(error, 'filename', '')}"
        error = error.__cause__ or error.__context__
    return said


def test_the_chain_behind_an_unforeseen_error_is_clean():
    """libav's exceptions hold the address; a stage that lets one through must not hand it to who logs the chain."""

    class Source:
        def frames(self):
            yield 1

        def stop(self):
            pass

        def close(self):
            pass

    def stage(_):
        try:
            raise OSError(5, "Input/output error", "rtsp://admin:hunter2@cam/main")
        except OSError as error:
            raise KeyError("http://h/?token=hunter2") from error

    runtime = Runtime(Source(), [("decode2", stage)], [Branch("out", [("sink", print)])])
    with pytest.raises(StageError) as caught:
        runtime.run()
    said = everything(caught.value)
    assert "hunter2" not in said
    assert "cam/main" in said, "what failed must still be told"
    assert "KeyError" in said
    harmless = ValueError("no secret")
    assert clean(harmless) is harmless


def test_a_pipeline_file_s_bad_address_is_scrubbed_in_the_error_and_behind_it():
    with pytest.raises(ConfigError) as caught:
        parse_pipeline("outputs: {a: {path: x, composite: ['rtsp://admin:hunter2@cam/main']}}", "p.yaml")
    assert "hunter2" not in everything(caught.value)


@pytest.mark.parametrize(
    "arguments",
    [
        ["rtsp://admin:hunter2@cam/main"],
        ["run", "clip.mp4", "rtsp://admin:hunter2@a-very-long-host-name-that-breaks-lines.example.org/main/of/it"],
        ["--debug", "run", "ftp://admin:hunter2@cam/main", "-o", "x.jsonl"],
        ["run", "clip.mp4", "-o", "ftp://admin:hunter2@cam/main"],
    ],
)
def test_the_command_line_shows_no_password(arguments, monkeypatch, capsys, tmp_path):
    from streamseg.cli.main import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["streamseg", *arguments])
    monkeypatch.setenv("COLUMNS", "60")
    with pytest.raises(SystemExit):
        main()
    said = "".join(capsys.readouterr())
    assert said.strip()
    assert "hunter2" not in said.replace("\n", "").replace("│", "").replace(" ", "")
    assert ("Traceback" in said) == ("--debug" in arguments)


def test_a_message_keeps_what_is_no_secret():
    error = StreamsegError("x.mp4: 12 of 30 frames = 40 %; a@b wrote it; see http://h/p?n=1")
    assert str(error) == "x.mp4: 12 of 30 frames = 40 %; a@b wrote it; see http://h/p?n=1"
    assert json.loads(scrub(json.dumps({"source": "rtsp://a:secret@h/x", "n": 1}))) == {"source": "rtsp://***@h/x", "n": 1}
    assert scrub(io.StringIO("no address").read()) == "no address"


@pytest.mark.parametrize("unit", ["a", "9", "a@", "a=", "a://", "key", "%", "x%3a%2f%2f"])
def test_a_word_of_many_thousand_characters_takes_no_time(unit):
    """Minutes, or a RecursionError, before the searches were bounded."""
    began = time.process_time()
    for text in (unit * 20_000, "@" + unit * 20_000, f"rtsp://h/{unit * 20_000}@x?token=hunter2"):
        assert "hunter2" not in scrub(text)
        shown(text)
    assert time.process_time() - began < 5


@pytest.mark.parametrize(
    "address",
    [
        "onvif:///hunter2@h:1",
        "rtp://h:1/live.m3u8;apikey=hunter2",
        "http://h/a#b?access_token=hunter2",
        "https:///%40hunter2@h",
    ],
)
def test_secrets_in_odd_places_are_found(address):
    assert "hunter2" not in shown(address)
    assert "hunter2" not in scrub(f"cannot open {address}: refused")


@pytest.mark.parametrize("host", ["example.com:80", "127.0.0.1:8080", "[::1]:8080"])
def test_the_colon_of_a_sentence_is_no_password(host):
    sentence = f"http://{host}: cannot listen there"
    assert scrub(sentence) == sentence
    assert "secret" not in scrub(f"http://{host}:secret: cannot listen there")


def test_a_colon_and_a_space_within_a_password_hide_it():
    assert scrub("http://ann:80: secret@cam/x: refused") == "http://***@cam/x: refused"
