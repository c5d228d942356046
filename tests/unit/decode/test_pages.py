"""Image files of several pictures: all of them with their own times; or the reason why not, and what to do."""

from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np
import pytest

from streamseg.composite import to_image
from streamseg.decode import open_source
from streamseg.errors import StreamsegError, TooLarge, Unreadable
from streamseg.pixels import planes
from tests import animations, clips
from tests.animations import DELAYS, STARTS


def frames(source, **options):
    with open_source(source, **options) as decoder:
        found = list(decoder.frames())
        return decoder, found


@pytest.mark.parametrize("name", ["a.png", "a.apng", "a.webp", "a.gif", "a.avif"])
def test_every_picture_comes_at_its_own_time(name, tmp_path) -> None:
    path = tmp_path / name
    animations.write(path if name != "a.apng" else tmp_path / "a.png")
    if name == "a.apng":
        (tmp_path / "a.png").rename(path)
    decoder, found = frames(path)
    assert decoder.warnings == []
    assert [clips.read_index(to_image(f.picture)[..., 1]) for f in found] == list(range(5))
    assert [round(f.time * 1000) for f in found] == list(STARTS)
    assert [round(float(f.duration * f.time_base * 1000)) for f in found] == list(DELAYS)


@pytest.mark.parametrize("alpha", [False, True])
def test_webp_is_laid_over_as_libwebp_does_it(alpha, tmp_path) -> None:
    """OpenCV reads it by libwebp's own animation decoder."""
    path = animations.write(tmp_path / "a.webp", animations.arrays(alpha=alpha))
    _, reference = cv2.imreadanimation(str(path))
    decoder, found = frames(path)
    assert len(found) == len(reference.frames) == 5
    assert {f.picture.format.name for f in found} <= {"rgba", "rgb24"}
    for frame, expected in zip(found, reference.frames, strict=True):
        mine = to_image(frame.picture, "bgra").astype(int)
        if expected.shape[2] == 3:
            np.testing.assert_array_equal(mine[..., :3], expected)
            continue
        seen = expected[..., 3:] > 0  # what cannot be seen has no colour
        assert np.abs(mine - expected)[..., 3].max() <= 1
        assert (np.abs(mine - expected) * seen).max() <= 2
    assert decoder.info.frame_count == 5
    assert decoder.info.duration == pytest.approx(sum(DELAYS) / 1000)


def _webp(*rows, size=(8, 8)) -> bytes:
    """An animation of one-coloured frames: (x, y, side, BGRA, delay, blends, disposes) each; WebP container specification."""
    u24 = lambda value: value.to_bytes(3, "little")  # noqa: E731
    chunk = lambda kind, data: kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)  # noqa: E731
    body = chunk(b"VP8X", struct.pack("<B3x", 0x12) + u24(size[0] - 1) + u24(size[1] - 1)) + chunk(b"ANIM", b"\0" * 6)
    for x, y, side, colour, delay, blends, disposes in rows:
        still = cv2.imencode(".webp", np.full((side, side, 4), colour, np.uint8), [cv2.IMWRITE_WEBP_QUALITY, 101])[1].tobytes()[
            12:
        ]
        still = still[still.index(b"VP8L") :]
        flags = bytes([2 * (not blends) + disposes])
        body += chunk(b"ANMF", u24(x // 2) + u24(y // 2) + u24(side - 1) * 2 + u24(delay) + flags + still)
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


RED, GREEN, CLEAR = (0, 0, 255, 255), (0, 255, 0, 255), (9, 9, 9, 0)


def test_webp_disposes_blends_and_knows_no_delay_of_zero(tmp_path) -> None:
    path = tmp_path / "a.webp"
    path.write_bytes(
        _webp(
            (0, 0, 8, RED, 0, True, False),  # red
            (2, 2, 4, GREEN, 70, True, True),  # a green square on it, which then leaves a hole
            (0, 0, 2, CLEAR, 30, True, False),  # nothing, laid over: red stays
            (0, 0, 2, CLEAR, 30, False, False),  # nothing, put there: a hole
        )
    )
    _, found = frames(path)
    shown = [to_image(f.picture, "rgba") for f in found]
    assert [round(f.time * 1000) for f in found] == [0, 100, 170, 200]
    assert [tuple(p[3, 3]) for p in shown] == [(255, 0, 0, 255), (0, 255, 0, 255), (0, 0, 0, 0), (0, 0, 0, 0)]
    assert [int(p[0, 0, 3]) for p in shown] == [255, 255, 255, 0]
    assert [tuple(p[7, 7]) for p in shown] == [(255, 0, 0, 255)] * 4


def test_a_webp_canvas_beyond_the_limit_is_refused_before_it_is_made(tmp_path) -> None:
    path = tmp_path / "a.webp"
    path.write_bytes(_webp((0, 0, 8, RED, 40, True, False), size=(16384, 16384)))
    with pytest.raises(TooLarge, match="16384x16384 exceeds the limit"):
        open_source(path)


@pytest.mark.parametrize("damage", ["frame outside", "no frame", "frame of another size", "cut"])
def test_a_damaged_webp_is_said_to_be(damage, tmp_path) -> None:
    data = _webp((0, 0, 8, RED, 40, True, False), (4, 4, 4, GREEN, 40, True, False))
    at = data.rindex(b"ANMF") + 8
    if damage == "frame outside":
        data = data[:at] + b"\x03" + data[at + 1 :]
    elif damage == "no frame":
        data = data[: data.index(b"ANMF")]
    elif damage == "frame of another size":
        data = data[: at + 6] + b"\x01" + data[at + 7 :]
    else:
        data = data[:-12]
    (tmp_path / "a.webp").write_bytes(data)
    with pytest.raises(Unreadable, match=r"a\.webp"):
        frames(tmp_path / "a.webp")


def test_part_of_a_webp(tmp_path) -> None:
    _, found = frames(animations.write(tmp_path / "a.webp"), start=0.12, duration=0.3)
    assert [round(f.time * 1000) for f in found] == [140, 390]
    assert [clips.read_index(to_image(f.picture)[..., 1]) for f in found] == [2, 3]


def test_a_gif_without_delays_is_shown_as_browsers_do(tmp_path) -> None:
    path = animations.write(tmp_path / "a.gif")
    data = bytearray(path.read_bytes())
    at = -1
    while (at := data.find(b"\x21\xf9\x04", at + 1)) >= 0:
        data[at + 4 : at + 6] = b"\0\0"
    path.write_bytes(data)
    assert [round(f.time * 1000) for f in frames(path)[1]] == [0, 100, 200, 300, 400]


def test_pages_of_a_tiff_are_pictures_at_the_rate_asked_for(tmp_path) -> None:
    path = tmp_path / "a.tif"
    assert cv2.imwritemulti(str(path), animations.arrays())
    decoder, found = frames(path, rate=10)
    assert [clips.read_index(to_image(f.picture)[..., 1]) for f in found] == list(range(5))
    assert [f.time for f in found] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
    assert decoder.info.frame_count == 5
    assert [f.index for f in frames(path, rate=10, start=0.15)[1]] == [2, 3, 4]


def _tiff(*pages: tuple[int, int]) -> bytes:
    """Grey 16x2 pages of the value of their number, (subfile type, compression) each."""
    data, last = b"II*\0\0\0\0\0", 4
    for number, (kind, packing) in enumerate(pages):
        strip = len(data)
        data += bytes([number]) * 32
        tags = [(254, 4, kind), (256, 3, 16), (257, 3, 2), (258, 3, 8), (259, 3, packing), (262, 3, 1)]
        tags += [(273, 4, strip), (277, 3, 1), (278, 3, 2), (279, 4, 32)]
        data = data[:last] + struct.pack("<I", len(data)) + data[last + 4 :]
        data += struct.pack("<H", len(tags)) + b"".join(
            struct.pack("<HHII", tag, type_, 1, value) for tag, type_, value in tags
        )
        last = len(data)
        data += b"\0" * 4
    return data


def test_reduced_copies_and_masks_in_a_tiff_are_no_pictures(tmp_path) -> None:
    """The pages have no numbers (tag 297), by which alone FFmpeg finds them."""
    (tmp_path / "a.tif").write_bytes(_tiff((0, 1), (1, 1), (4, 1), (2, 1)))
    _, found = frames(tmp_path / "a.tif")
    assert [int(to_image(f.picture)[0, 0, 0]) for f in found] == [0, 3]
    (tmp_path / "b.tif").write_bytes(_tiff((0, 1), (1, 1)))
    assert len(frames(tmp_path / "b.tif")[1]) == 1


def test_a_tiff_that_loops_ends(tmp_path) -> None:
    data = bytearray(_tiff((0, 1), (0, 1)))
    data[-4:] = data[4:8]
    (tmp_path / "a.tif").write_bytes(data)
    assert len(frames(tmp_path / "a.tif")[1]) == 2


def test_jpeg_in_a_tiff_is_refused(tmp_path) -> None:
    """FFmpeg gives its YCbCr as if it were RGB."""
    (tmp_path / "a.tif").write_bytes(_tiff((0, 7)))
    with pytest.raises(Unreadable, match=r"packed as JPEG.*convert it"):
        open_source(tmp_path / "a.tif")


@pytest.mark.parametrize("name", ["frame2.png", "frame2.webp", "frame2.tif"])
def test_in_a_sequence_a_file_is_one_picture_and_it_is_said(name, tmp_path) -> None:
    folder = clips.image_folder(tmp_path / "in", 3)
    (folder / "frame2.png").unlink()
    pictures = animations.arrays()
    if name.endswith("tif"):
        assert cv2.imwritemulti(str(folder / name), pictures)
    else:
        animations.write(folder / name, pictures)
    decoder, found = frames(folder)
    assert len(found) == 3
    assert clips.read_index(to_image(found[1].picture)[..., 1]) == 0
    said = [w for w in decoder.warnings if "holds 5 pictures, of which only the first" in w]
    assert len(said) == 1
    assert name in said[0]


def test_transparency_that_avif_keeps_apart_is_said_to_be_lost(tmp_path) -> None:
    decoder, found = frames(animations.write(tmp_path / "a.avif", animations.arrays(alpha=True)))
    assert len(found) == 5
    assert "transparency" in decoder.warnings[0]


def test_a_heic_photo_is_a_picture(tmp_path) -> None:
    path = animations.heic(tmp_path / "a.heic", [clips.picture(5)])
    _, found = frames(path)
    assert [(f.width, f.height) for f in found] == [(96, 64)]
    assert clips.read_index(planes.views(found[0].picture).planes[0].array) == 5


def _tiles(whole, columns, rows, side):
    """`whole`, repeated at its right and lower border, in squares."""
    view = planes.views(whole)
    made = []
    for row in range(rows):
        for column in range(columns):
            tile = planes.new_frame(side, side, "yuv420p")
            for (into, spec), (of, _) in zip(planes.views(tile).planes, view.planes, strict=True):
                step = side >> spec.shift_x
                y = np.minimum(np.arange(row * step, (row + 1) * step), of.shape[0] - 1)
                x = np.minimum(np.arange(column * step, (column + 1) * step), of.shape[1] - 1)
                into[...] = of[np.ix_(y, x)]
            made.append(tile)
    return made


def test_a_heic_photo_of_tiles_is_put_together(tmp_path) -> None:
    whole = clips.picture(37, 180, 100)
    path = animations.heic(tmp_path / "a.heic", _tiles(whole, 3, 2, 64), columns=3, size=(180, 100))
    decoder, found = frames(path)
    assert decoder.warnings == []
    assert [(f.width, f.height) for f in found] == [(180, 100)]
    for mine, its in zip(planes.views(found[0].picture).planes, planes.views(whole).planes, strict=True):
        assert np.abs(mine.array.astype(int) - its.array).mean() < 2
    with pytest.raises(TooLarge, match="180x100 exceeds"):
        open_source(path, max_pixels=10_000)


@pytest.mark.parametrize("turn", range(4))
def test_a_photo_of_tiles_is_turned_upright(turn, tmp_path) -> None:
    whole = clips.picture(37, 128, 64)
    path = animations.heic(tmp_path / "a.heic", _tiles(whole, 2, 1, 64), columns=2, turn=turn)
    _, found = frames(path)
    shown = planes.views(found[0].picture).planes[0].array
    expected = np.rot90(planes.views(whole).planes[0].array, turn)
    assert shown.shape == expected.shape
    assert np.abs(shown.astype(int) - expected).mean() < 2


@pytest.mark.parametrize("damage", ["tile lost", "grid cut", "no layout", "cut"])
def test_a_damaged_photo_of_tiles_is_said_to_be(damage, tmp_path) -> None:
    path = animations.heic(tmp_path / "a.heic", _tiles(clips.picture(1, 128, 128), 2, 2, 64), columns=2)
    data = path.read_bytes()
    if damage == "tile lost":
        data = data.replace(struct.pack(">HH4H", 99, 4, 1, 2, 3, 4), struct.pack(">HH4H", 99, 4, 1, 2, 3, 7))
    elif damage == "grid cut":
        data = data.replace(struct.pack(">BBBBHH", 0, 0, 1, 1, 128, 128), struct.pack(">BBBBHH", 0, 0, 1, 2, 128, 128))
    elif damage == "no layout":
        data = data.replace(b"dimg", b"cdsc")
    else:
        data = data[: len(data) // 2]
    path.write_bytes(data)
    with pytest.raises(StreamsegError, match=r"a\.heic"):
        frames(path)


def test_several_photos_in_one_file_are_said(tmp_path) -> None:
    path = animations.heic(tmp_path / "a.heic", [clips.picture(n) for n in range(3)], columns=0)
    decoder, found = frames(path)
    assert len(found) == 1
    assert "holds 3 photos, of which only the first is read" in decoder.warnings[0]


def test_a_hidden_first_frame_of_an_animated_png_is_not_shown(tmp_path) -> None:
    """Its IDAT has no fcTL before it: only who knows no animation shows it (PNG specification, third edition, 4.9)."""
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))  # noqa: E731
    lines = lambda value: zlib.compress((b"\0" + bytes([value]) * 8) * 8)  # noqa: E731
    control = lambda number, delay: chunk(b"fcTL", struct.pack(">IIIIIHHBB", number, 8, 8, 0, 0, delay, 1000, 0, 0))  # noqa: E731
    parts = [chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 0)), chunk(b"acTL", struct.pack(">II", 2, 0))]
    parts += [chunk(b"IDAT", lines(10)), control(0, 200), chunk(b"fdAT", struct.pack(">I", 1) + lines(100))]
    parts += [control(2, 50), chunk(b"fdAT", struct.pack(">I", 3) + lines(200)), chunk(b"IEND", b"")]
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    _, found = frames(tmp_path / "a.png")
    assert [(round(f.time, 3), int(to_image(f.picture)[0, 0, 0])) for f in found] == [(0, 100), (0.2, 200)]


def test_photos_of_all_kinds_make_a_sequence(tmp_path) -> None:
    folder = clips.image_folder(tmp_path / "in", 1)
    animations.heic(folder / "frame2.heic", [clips.picture(1)])
    assert cv2.imwrite(str(folder / "frame3.avif"), animations.arrays()[2])
    (folder / "tile.mp4").unlink()
    _, found = frames(folder)
    assert [clips.read_index(to_image(f.picture)[..., 0]) for f in found] == [0, 1, 2]


def _jpeg(orientation: int, picture: np.ndarray) -> bytes:
    data, note = (
        cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 98])[1].tobytes(),
        b"Exif\0\0" + animations.exif(orientation),
    )
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(note) + 2) + note + data[2:]


def _png(orientation: int, picture: np.ndarray) -> bytes:
    data, note = cv2.imencode(".png", picture)[1].tobytes(), b"eXIf" + animations.exif(orientation)
    return data[:33] + struct.pack(">I", len(note) - 4) + note + struct.pack(">I", zlib.crc32(note)) + data[33:]


@pytest.mark.parametrize(("make", "suffix"), [(_jpeg, "jpg"), (_png, "png")])
def test_every_orientation_of_a_photo_is_heeded_mirrored_ones_too(make, suffix, tmp_path) -> None:
    """EXIF 2.32, 4.6.4: what the stored picture's first row and column are. All in one folder: each photo counts for itself."""
    upright = np.zeros((48, 64, 3), np.uint8)
    upright[:24, :32], upright[:24, 32:] = (0, 0, 255), (0, 255, 0)
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright),
        7: np.rot90(upright, 2).transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }
    for number, tag in enumerate((1, 4, 1, 2, 3, 2, 5, 8, 5, 6, 7, 6)):
        (tmp_path / f"{number}.{suffix}").write_bytes(make(tag, np.ascontiguousarray(stored[tag])))
    _, found = frames(tmp_path)
    assert len(found) == 12
    for frame in found:
        assert (frame.width, frame.height) == (64, 48)
        assert np.abs(to_image(frame.picture, "bgr24").astype(int) - upright).mean() < 4, frame.index
