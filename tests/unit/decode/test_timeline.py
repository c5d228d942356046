"""Times made to go forward."""

from __future__ import annotations

from fractions import Fraction

import av

from streamseg.decode.timeline import DecodeCounters, Splicer, Timeline

MS = Fraction(1, 1000)


def stamps(pts: list[int | None], rate: int = 25) -> tuple[list[int], DecodeCounters, list[bool]]:
    counters = DecodeCounters()
    line = Timeline(MS, Fraction(rate), counters)
    results = [line.stamp(p, MS) for p in pts]
    return [r[0] for r in results], counters, [r[2] for r in results]


def test_good_times_are_untouched() -> None:
    times = [0, 1, 40, 41, 5000]
    got, counters, _ = stamps(times)  # type: ignore[arg-type]
    assert got == times
    assert counters == DecodeCounters()


def test_missing_times_follow_the_rate_without_drift() -> None:
    got, counters, _ = stamps([None] * 31, rate=30)
    assert got == [round(i * 1000 / 30) for i in range(31)]
    assert counters.synthetic_pts == 31


def test_a_hole_is_filled_from_the_time_before_it() -> None:
    got, counters, _ = stamps([100, None, None, 220])
    assert got == [100, 140, 180, 220]
    assert counters.synthetic_pts == 2


def test_a_picture_without_time_follows_the_one_before_by_what_that_lasts() -> None:
    """A transport stream in which every second picture has no time is guessed to have half of its rate."""
    line = Timeline(MS, Fraction(25, 2), DecodeCounters())
    assert [line.stamp(pts, MS, lasted=Fraction(1, 25))[0] for pts in (0, None, 80, None)] == [0, 40, 80, 120]


def test_repeated_and_disordered_times_move_by_the_least() -> None:
    got, counters, jumps = stamps([0, 40, 40, 39, 120])
    assert got == [0, 40, 41, 42, 120]
    assert counters.non_monotonic == 2
    assert not any(jumps)


def test_a_jump_back_goes_on_one_step_later() -> None:
    got, counters, jumps = stamps([1000, 1040, 0, 40, 80])
    assert got == [1000, 1040, 1080, 1120, 1160]
    assert jumps == [False, False, True, False, False]
    assert counters.jumps == 1


def test_another_time_base_is_converted() -> None:
    line = Timeline(Fraction(1, 90000), Fraction(25), DecodeCounters())
    assert line.stamp(40, MS)[0] == 3600


def packet(index: int, dts: int | None, pts: int | None = None, duration: int = 40) -> av.Packet:
    class Fake:
        """Only the attributes that a splicer reads and writes."""

        is_keyframe = True

    fake = Fake()
    fake.stream_index, fake.dts, fake.pts, fake.duration, fake.time_base = index, dts, pts, duration, MS  # type: ignore[attr-defined]
    return fake  # type: ignore[return-value]


def test_the_splicer_leaves_a_steady_clock_alone() -> None:
    splicer = Splicer()
    for dts in (-80, -40, 0, 40, 5000):
        p = packet(0, dts, dts + 80)
        assert not splicer.place(p)
        assert (p.dts, p.pts) == (dts, dts + 80)


def test_sound_and_picture_share_the_shift_of_a_seam() -> None:
    splicer = Splicer()
    for i in range(10):
        splicer.place(packet(0, 40 * i))
        splicer.place(packet(1, 20 * i, 20 * i, 20))
    seam = packet(0, 0, 0)
    assert splicer.place(seam)
    assert seam.dts == 400
    sound = packet(1, 0, 0, 20)
    splicer.place(sound)
    assert sound.dts == 400


def test_stragglers_at_a_seam_stay_in_their_segment() -> None:
    """A transport stream gives its last picture only when the next one begins: after the sound of the new part."""
    splicer = Splicer()
    for i in range(50):
        splicer.place(packet(0, 40 * i))
        splicer.place(packet(1, 40 * i))
    sound = packet(1, 0)
    assert splicer.place(sound)
    last_picture = packet(0, 2000)
    assert not splicer.place(last_picture)
    assert last_picture.dts == 2000
    picture = packet(0, 40)
    assert splicer.place(picture)
    assert picture.dts - sound.dts == 40


def test_a_sparse_stream_follows_the_others_over_a_seam() -> None:
    splicer = Splicer()
    splicer.place(packet(2, 500))
    for i in range(50):
        splicer.place(packet(0, 40 * i))
    for i in range(30):
        splicer.place(packet(0, 40 * i))
    words = packet(2, 1200)
    splicer.place(words, leads=False)
    assert words.dts == 3200


def test_a_fault_of_one_stream_does_not_move_the_others() -> None:
    splicer = Splicer()
    splicer.place(packet(0, 1000))
    splicer.place(packet(1, 1000))
    assert not splicer.place(packet(1, 0), leads=False)
    steady = packet(0, 1040)
    splicer.place(steady)
    assert steady.dts == 1040


def test_a_new_connection_begins_where_it_is_told_but_never_before_the_end() -> None:
    splicer = Splicer()
    splicer.place(packet(0, 1000))
    splicer.restart(5.0)
    p = packet(0, 77, 117)
    assert not splicer.place(p)
    assert (p.dts, p.pts) == (5000, 5040)
    splicer.restart(0.0)
    p = packet(0, 3)
    splicer.place(p)
    assert p.dts == 5080, "behind what was shown, not only what was decoded"


def reordered(index: int, dts: int | None, pts: int, key: bool = False) -> av.Packet:
    p = packet(index, dts, pts)
    p.is_keyframe = key
    return p


def test_pts_before_the_first_dts_are_no_clock_to_compare_dts_with() -> None:
    """Matroska: libav derives dts only once it knows how many pictures are held back."""
    splicer = Splicer()
    for p in (reordered(0, None, 0, True), reordered(0, None, 900), reordered(0, 0, 400), reordered(0, 100, 100)):
        before = (p.dts, p.pts)
        assert not splicer.place(p, reorders=True)
        assert (p.dts, p.pts) == before


def test_pictures_held_back_over_a_pause_are_no_jump() -> None:
    splicer = Splicer()
    for p in (reordered(0, None, 0, True), *(reordered(0, None, t) for t in (600_000, 80, 40, 120, 600_080))):
        assert not splicer.place(p, reorders=True)
    assert splicer.place(reordered(0, None, 300_000, key=True), reorders=True), "but a key frame comes after all before it"


def test_sound_and_picture_leap_together() -> None:
    splicer = Splicer()
    for i in range(10):
        splicer.place(packet(0, 40 * i), leaps=True)
        splicer.place(packet(1, 40 * i + 10), leaps=True)
    sound, picture = packet(1, 7_200_010), packet(0, 7_200_000)
    assert splicer.place(sound, leaps=True)
    assert splicer.place(picture, leaps=True)
    assert sound.dts == 410
    assert picture.dts == 400
    far = packet(0, 7_300_000)
    assert not splicer.place(far), "where clocks do not start anew, it is a pause"


def test_single_pictures_stamped_hours_away_cost_no_time() -> None:
    """Some recorders do so every few seconds (hours ahead, or behind), with the sound as it should be."""
    for away in (37_600_000, -9_800_000):
        splicer = Splicer()
        placed = []
        for i in range(500):
            p = packet(0, 20_000_000 + 40 * i + (away if i % 50 == 49 else 0))
            splicer.place(p, leaps=True)
            placed.append(p.dts)
            splicer.place(packet(1, 20_000_000 + 40 * i + 10), leaps=True)
        assert all(abs(dts - 20_000_000 - 40 * i) <= 40 for i, dts in enumerate(placed))


def test_nothing_is_counted_before_it_happens() -> None:
    assert not any(getattr(DecodeCounters(), name) for name in DecodeCounters.__slots__)


def placed(splicer: Splicer, *times: int, **how: bool) -> list[int]:
    """Where packets of these times, as dts, come to lie."""
    made = []
    for time in times:
        one = packet(0, time)
        splicer.place(one, **how)
        made.append(one.dts)
    return made


def test_a_clock_may_go_back_by_a_quarter_of_a_second_and_no_more() -> None:
    assert placed(Splicer(), 1000, 1040, 790, 830) == [1000, 1040, 790, 830]
    assert placed(Splicer(), 1000, 1040, 789, 829) == [1000, 1040, 1080, 1120]


def test_a_time_that_repeats_does_not_make_the_next_picture_follow_at_once() -> None:
    """Packets without a duration: what the last one lasts is what lay between those before."""
    splicer = Splicer()
    for time in (0, 40, 80, 80, 80):
        splicer.place(packet(0, None, time, duration=0))
    assert splicer.end == Fraction(120, 1000)
