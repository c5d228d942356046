"""Labels of pictures by SMPTE ST 12-1: known ones about the minutes where drop-frame skips, and counting on from them."""

from fractions import Fraction

import pytest

from streamseg.core.timecode import Timecode

NTSC, DOUBLE = Fraction(30000, 1001), Fraction(60000, 1001)
KNOWN = [
    (NTSC, 0, "00:00:00;00"),
    (NTSC, 1799, "00:00:59;29"),
    (NTSC, 1800, "00:01:00;02"),
    (NTSC, 3597, "00:01:59;29"),
    (NTSC, 3598, "00:02:00;02"),
    (NTSC, 17_981, "00:09:59;29"),
    (NTSC, 17_982, "00:10:00;00"),
    (NTSC, 19_781, "00:10:59;29"),
    (NTSC, 19_782, "00:11:00;02"),
    (NTSC, 107_892, "01:00:00;00"),
    (NTSC, 2_589_407, "23:59:59;29"),
    (DOUBLE, 3599, "00:00:59;59"),
    (DOUBLE, 3600, "00:01:00;04"),
    (DOUBLE, 35_964, "00:10:00;00"),
    (DOUBLE, 215_784, "01:00:00;00"),
    (NTSC, 1800, "00:01:00:00"),
    (Fraction(24000, 1001), 86_399, "00:59:59:23"),
    (Fraction(25), 89_999, "00:59:59:24"),
    (Fraction(50), 179_999, "00:59:59:49"),
]


@pytest.mark.parametrize(("rate", "number", "label"), KNOWN)
def test_known_labels_both_ways(rate, number, label):
    code = Timecode.parse(label, rate)
    assert code.number == number
    assert str(code) == label


@pytest.mark.parametrize("rate", [NTSC, DOUBLE])
def test_each_picture_of_a_day_near_a_minute_has_a_label_of_its_own(rate):
    counted = round(rate)
    for minute in range(0, 1440, 7):
        near = Timecode.parse(f"{minute // 60:02}:{minute % 60:02}:59;{counted - 1:02}", rate)
        after = near + 1
        following = (minute + 1) % 1440
        first = 0 if following % 10 == 0 else counted // 15
        assert str(after) == f"{following // 60:02}:{following % 60:02}:00;{first:02}"
        assert after.number in (near.number + 1, 0)


def test_a_day_ends_where_it_began():
    assert str(Timecode.parse("23:59:59;29", NTSC) + 1) == "00:00:00;00"
    assert str(Timecode.parse("23:59:59:24", Fraction(25)) + 1) == "00:00:00:00"


@pytest.mark.parametrize("text", ["", "1:00:00:00", "00:60:00:00", "24:00:00:00", "00:00:00:25", "00:00:00:00:00", "timecode"])
def test_what_is_no_label_of_this_rate(text):
    assert Timecode.parse(text, Fraction(25)) is None
    assert Timecode.parse("00:00:00:00", None) is None
    assert Timecode.parse("00:00:00:00", Fraction(1, 60)) is None


def test_a_semicolon_alone_makes_no_drop_frame():
    """25 pictures a second need none; FFmpeg refuses to write it."""
    assert str(Timecode.parse("10:00:00;05", Fraction(25))) == "10:00:00:05"


def test_fields_made_into_pictures_count_double():
    assert str(Timecode.parse("10:00:00:05", Fraction(25)).counted_at(Fraction(50))) == "10:00:00:10"
    assert str(Timecode.parse("00:01:00;02", NTSC).counted_at(DOUBLE)) == "00:01:00;04"
    assert str(Timecode.parse("10:00:00:05", Fraction(25)).counted_at(Fraction(30))) == "10:00:00:05"


def test_slow_films_count_with_one_digit():
    """As FFmpeg writes it at ten pictures a second and fewer."""
    assert Timecode.parse("01:00:00:7", Fraction(10)).number == 36_007
    assert Timecode.parse("01:00:00:7", Fraction(5)) is None
