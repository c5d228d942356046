"""Films of every kind of recorder: what is read of them is where they were made to be."""

import math
import struct
import sys
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import av
import pytest

from streamseg.errors import ConfigError, MissingExtra, SourceNotFound, Unreadable
from streamseg.telemetry import FilmTime, Track, read_telemetry
from tests import clips
from tests import telemetry_files as files

FILM = FilmTime(0.0, 3.0)


def read(path: Path, time: FilmTime = FILM, **more) -> Track | None:
    return read_telemetry(path, time, **more)


def check(track: Track | None, at: float = 1.5, *, utc: bool = True, altitude: bool = True, within: float = 0.5):
    """The position of the drive at a time of the film, within metres."""
    assert track is not None
    fix = track.at(at)
    assert fix is not None
    latitude, longitude = files.place(at)
    meters = 111_195 * math.hypot(fix.latitude - latitude, (fix.longitude - longitude) * math.cos(math.radians(latitude)))
    assert meters < within, (fix, latitude, longitude)
    assert fix.speed == pytest.approx(files.SPEED, rel=0.02)
    assert fix.heading == pytest.approx(files.HEADING, abs=1)
    if altitude:
        assert fix.altitude == pytest.approx(files.ALTITUDE, abs=0.1)
    if utc:
        assert fix.utc == pytest.approx(files.BEGIN.timestamp() + at, abs=0.05)


def test_a_gopro_of_both_kinds(tmp_path: Path) -> None:
    track = read(files.gopro(tmp_path / "GX010001.MP4"))
    check(track)
    assert track is not None
    assert len(track) == 30
    fix = track.at(1.5)
    assert fix is not None
    assert fix.accuracy == pytest.approx(6.0)  # a dilution of 2, of 3 m
    check(read(files.gopro(tmp_path / "GX010002.MP4", payload=files.gps9)))


@pytest.mark.parametrize("payload", [files.camm5, files.camm6])
def test_camm(tmp_path: Path, payload) -> None:
    track = read(files.camm(tmp_path / "a.mp4", payload=payload))
    check(track, 1.25, utc=payload is files.camm6)
    if payload is files.camm6:
        fix = track.at(1.25)
        assert fix.accuracy == pytest.approx(2.5)


@pytest.mark.parametrize("make", [files.gopro, files.camm, files.blackvue])
def test_as_mapillary_tools_reads_it(tmp_path: Path, make) -> None:
    """Another reader of the same bytes: the positions are its."""
    gpmf, camm, bv = (
        pytest.importorskip(f"mapillary_tools.{n}") for n in ("gpmf.gpmf_parser", "camm.camm_parser", "blackvue_parser")
    )
    path = make(tmp_path / "a.mp4")
    with path.open("rb") as file:
        extract = {files.gopro: gpmf.extract_gopro_info, files.camm: camm.extract_camm_info}.get(make, bv.extract_blackvue_info)
        info = extract(file)
    points = info.gps or info.mini_gps  # it takes those of CAMM's type 6 for type 5
    track = read(path)
    assert track is not None
    assert len(track) == len(points)
    for point in points:
        fix = track.at(point.time)
        assert (fix.latitude, fix.longitude) == pytest.approx((point.lat, point.lon), abs=1e-6)


def test_blackvue_and_novatek(tmp_path: Path) -> None:
    check(read(files.blackvue(tmp_path / "20240517_143000_NF.mp4")))
    check(
        read(files.novatek(tmp_path / "2024_0517_143000_0001F.MP4")), utc=False, altitude=False, within=3
    )  # its numbers have 24 bits


def test_logs_beside_a_film(tmp_path: Path) -> None:
    film = clips.cfr(tmp_path / "a.mp4", frames=2)
    for name, text in (
        ("a.gpx", files.gpx(range(4))),
        ("A.NMEA", files.nmea(range(4))),
        ("a.srt", files.srt(4)),
    ):
        log = tmp_path / name
        log.write_text(text)
        check(read(film), utc=not name.endswith("srt"))
        log.unlink()
    assert read(film) is None


def test_a_blackvue_log_serves_both_of_its_cameras(tmp_path: Path) -> None:
    film = clips.cfr(tmp_path / "20240517_143000_NR.mp4", frames=2)
    (tmp_path / "20240517_143000_N.gps").write_text(
        "".join(f"[{1715956200000 + 1000 * s}]{files.rmc(s)}\n\n" for s in range(4))
    )
    check(read(film), altitude=False)


@pytest.mark.parametrize("hours", [0, 2, -5, 5.75])
@pytest.mark.parametrize("at_end", [False, True])
def test_a_long_log_is_placed_by_the_time_of_recording(tmp_path: Path, hours: float, at_end: bool) -> None:
    """The file may call its local time UTC, or say when it ended; the log began 60 s before the film, and goes on for an hour."""
    film = clips.cfr(tmp_path / "a.mp4", frames=2)
    (tmp_path / "a.gpx").write_text(files.gpx(range(-60, 600), extensions=True))
    told = (files.BEGIN + timedelta(hours=hours, seconds=3 if at_end else 0)).timestamp()
    said: list[str] = []
    track = read(film, FilmTime(0.0, 3.0, told), on_message=said.append)
    if at_end:
        fix = track.at(1.5)
        assert fix.utc == pytest.approx(
            files.BEGIN.timestamp() + 4.5, abs=0.1
        )  # nothing tells the two apart: 3 s off, and said
    else:
        check(track)
    assert ("moved by" in said[0]) == bool(hours)


def test_an_offset_places_a_log_by_hand(tmp_path: Path) -> None:
    film = clips.cfr(tmp_path / "a.mp4", frames=2)
    log = tmp_path / "drive.gpx"
    log.write_text(files.gpx(range(-60, 600)))
    with pytest.raises(ConfigError, match="--telemetry-offset"):
        read(film, log=log)
    check(read(film, log=log, offset=-60))
    check(read(film, FilmTime(0.0, 3.0, named=(files.BEGIN + timedelta(hours=2)).timestamp()), log=log))


def test_midnight_leap_second_and_a_date_that_comes_late(tmp_path: Path) -> None:
    film = clips.cfr(tmp_path / "a.mp4", frames=2)
    begin = datetime(2016, 12, 31, 23, 59, 58, tzinfo=UTC)
    leap = files.sentence(
        f"GPGGA,235960.00,{files.dm(files.place(2)[0], 2, 'NS')},{files.dm(files.place(2)[1], 3, 'EW')},1,08,1,200,M,,,,"
    )
    lines = [files.gga(0, begin), files.gga(1, begin), leap]
    lines += [f"{files.gga(s, begin - timedelta(seconds=1))}\n{files.rmc(s, begin - timedelta(seconds=1))}" for s in (3, 4, 5)]
    (tmp_path / "a.nmea").write_text("\n".join(lines))
    track = read(film, FilmTime(0.0, 6.0))
    assert track is not None
    # UTC as computers count it has no second 60: it falls on the next one, which is told once.
    assert len(track) == 5
    for second in (0.0, 1.0, 2.0):
        fix = track.at(second)
        assert fix.utc == pytest.approx(begin.timestamp() + second)
    assert track.at(4.0).utc == pytest.approx(datetime(2017, 1, 1, 0, 0, 2, tzinfo=UTC).timestamp(), abs=1e-3)


def test_what_cannot_be_is_left_out(tmp_path: Path) -> None:
    film = clips.cfr(tmp_path / "a.mp4", frames=2)
    lines = [
        files.rmc(0),
        files.rmc(1, status="V"),
        files.rmc(2, latitude=0.0),  # leaps to the equator
        files.rmc(3),
        files.rmc(3),
        files.rmc(4)[:-4] + "*00",  # a wrong sum
        "$GPRMC,143005.00,A,xx,N,yy,E,nan,inf,170524,,,A",
        "garbage \x00\xff $GP",
        files.rmc(6),
    ]
    (tmp_path / "a.nmea").write_text("\n".join(lines), encoding="latin-1")
    said: list[str] = []
    track = read(film, FilmTime(0.0, 6.0), on_message=said.append)
    assert track is not None
    assert len(track) == 3
    check(track, 2.0, altitude=False)
    assert "leap away" in said[0]
    assert "no fix" in said[0]


def test_no_fix_at_all_and_0_0(tmp_path: Path) -> None:
    said: list[str] = []
    path = files.gopro(tmp_path / "a.mp4", payload=lambda second: files.gps5(second, fix=0, dilution=9999))
    assert read(path, on_message=said.append) is None
    assert "30 of 30 readings have no fix" in said[0]


def test_a_tunnel_is_not_filled(tmp_path: Path) -> None:
    film = clips.cfr(tmp_path / "a.mp4", frames=2)
    (tmp_path / "a.nmea").write_text(files.nmea([*range(5), *range(20, 30)]))
    track = read(film, FilmTime(0.0, 30.0))
    assert track is not None
    assert track.at(4.5) is not None
    assert track.at(12.0) is None
    check(track, 25.0)
    assert track.at(35.0) is None


def test_damaged_films_and_logs_say_so_and_harm_nothing(tmp_path: Path) -> None:
    whole = files.gopro(tmp_path / "whole.mp4").read_bytes()
    for cut in (100, len(whole) // 2, len(whole) - 40):
        path = tmp_path / "cut.mp4"
        path.write_bytes(whole[:cut])
        read(path)
    spoilt = tmp_path / "spoilt.mp4"
    for at in range(whole.index(b"DEVC"), whole.index(b"DEVC") + 200, 7):
        spoilt.write_bytes(whole[:at] + b"\xff\xff\xff\xff" + whole[at + 4 :])
        read(spoilt)
    huge = whole.replace(
        struct.pack(">II", 0, 3), struct.pack(">II", 1, 0xFFFFFFF), 1
    )  # the samples are a quarter of a milliard
    spoilt.write_bytes(huge)
    read(spoilt)
    with pytest.raises(SourceNotFound, match="no such file"):
        read(spoilt, log=tmp_path / "none.gpx")
    for text in ("<gpx", "<gpx><trk><trkseg><trkpt lat='x' lon='1'/></trkseg></trk></gpx>", "hello"):
        (tmp_path / "bad.gpx").write_text(text)
        with pytest.raises((Unreadable, ConfigError), match=r"bad\.gpx"):
            read(spoilt, log=tmp_path / "bad.gpx")


def test_speed_and_heading_are_derived_and_none_where_it_stands() -> None:
    from streamseg.telemetry.readings import Reading

    parked = Track([Reading(51.0, 14.0, at=float(s), heading=123.0) for s in range(5)])
    fix = parked.at(2.0)
    assert fix is not None
    assert fix.speed == pytest.approx(0, abs=1e-6)
    assert fix.heading is None  # what a receiver says of its way while it stands is noise
    north = Track([Reading(51.0 + s * 1e-4, 179.9999 if s < 3 else -179.9999, at=float(s)) for s in range(5)])
    over = north.at(2.5)
    assert abs(abs(over.longitude) - 180) < 1e-3  # not 0, on the other side of the Earth
    assert over.heading < 90


def test_offsets_of_time_zones_are_no_local_matter() -> None:
    """A GPX may say its times in a zone of its own."""
    from streamseg.telemetry.gpx import read_gpx

    text = files.gpx([0], files.BEGIN.astimezone(timezone(timedelta(hours=2))))
    assert "+02:00" in text
    assert read_gpx(text, "a.gpx")[0].utc == files.BEGIN.timestamp()


def test_a_clock_of_an_unknown_zone_is_no_utc(tmp_path: Path) -> None:
    """A Viofo's blocks tell the local time: RobXYZ/viofosync#33."""
    track = read(files.novatek(tmp_path / "2024_0517_143000_0001F.MP4"))
    assert track is not None
    assert track.at(1.0).utc is None


def test_several_points_for_one_second_stand_for_its_beginning(tmp_path: Path) -> None:
    """A logger of ten points a second that tells whole ones; of the last of them the speed would come too early."""
    film, log = clips.cfr(tmp_path / "a.mp4", frames=2), tmp_path / "a.nmea"
    log.write_text("\n".join(files.rmc(second + tenth / 10) for second in range(4) for tenth in range(10)))
    check(read(film), 1.0, altitude=False)


def test_without_the_extra_a_log_that_was_found_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynmea2", None)
    film, log, said = clips.cfr(tmp_path / "a.mp4", frames=2), tmp_path / "a.nmea", []
    log.write_text(files.nmea(range(4)))
    assert read(film, on_message=said.append) is None
    assert "pynmea2 is not installed" in said[0]
    with pytest.raises(MissingExtra):
        read(film, log=log)


def test_texts_of_the_films_name_that_are_no_logs_are_passed_over(tmp_path: Path) -> None:
    """Subtitles and a transcript, as many films have; the log behind them is found."""
    film, said = clips.cfr(tmp_path / "a.mp4", frames=2), []
    (tmp_path / "a.txt").write_text("What was said.")
    (tmp_path / "a.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nHello.\n")
    assert read(film, on_message=said.append) is None
    assert not said
    (tmp_path / "a.srt").write_text(files.srt(4))
    check(read(film, on_message=said.append), utc=False)
    assert "a.srt" in said[0]


def test_positions_in_the_subtitles_of_a_matroska(tmp_path: Path) -> None:
    """NMEA as texts on the film's clock; of subtitles without positions a minute is read, and no more."""
    plain = clips.with_subtitles(tmp_path / "plain.mkv", 25)
    assert read(plain) is None
    path = tmp_path / "a.mkv"
    with av.open(str(plain)) as source, av.open(str(path), "w") as target:
        texts = source.streams.subtitles[0]
        stream = target.add_stream_from_template(texts)
        for second in range(4):
            packet = av.Packet(
                f"0,0,Default,,0,0,0,,{files.rmc(second)}".encode()
                if texts.codec_context.name == "ass"
                else files.rmc(second).encode()
            )
            packet.stream, packet.time_base = stream, texts.time_base
            packet.pts = packet.dts = round(second / texts.time_base)
            packet.duration = round(1 / texts.time_base)
            target.mux(packet)
    check(read(path), altitude=False)
