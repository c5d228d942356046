"""The runtime's promises: order, bounds, drops that are counted, errors that name their stage, threads that end."""

import contextlib
import os
import signal
import threading
import time

import pytest

from streamseg.errors import OutputError, StageError, StreamsegError, Unreadable
from streamseg.runtime import Branch, Channel, Closed, Runtime
from streamseg.runtime.process import handle_signals


class Numbers:
    """A source of 0 … n-1; endless when n is None."""

    def __init__(self, n=None, *, error=None, pause=0.0):
        self.n, self.error, self.pause = n, error, pause
        self.stopped = threading.Event()
        self.closed = False

    def frames(self):
        i = 0
        while not self.stopped.is_set() and (self.n is None or i < self.n):
            if self.pause:
                time.sleep(self.pause)
            yield i
            i += 1
        if self.error and not self.stopped.is_set():
            raise self.error

    def stop(self):
        self.stopped.set()

    def close(self):
        self.closed = True


class Collect:
    def __init__(self, *, pause=0.0, fail_at=None, error=None):
        self.items, self.pause, self.fail_at, self.error = [], pause, fail_at, error
        self.closed = self.aborted = False

    def __call__(self, item):
        if self.fail_at is not None and len(self.items) == self.fail_at:
            raise self.error
        time.sleep(self.pause)
        self.items.append(item)

    def close(self):
        self.closed = True

    def abort(self):
        self.aborted = True


def run_within(runtime, seconds, **options):
    """Run; fail when it does not end in time or leaves a thread behind."""
    began = time.monotonic()
    try:
        runtime.run(**options)
    finally:
        assert time.monotonic() - began < seconds
        deadline = time.monotonic() + 1
        while runtime.alive() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert runtime.alive() == []


def test_everything_arrives_in_order_at_every_branch():
    a, b, source = Collect(), Collect(pause=0.001), Numbers(200)
    runtime = Runtime(
        source,
        [("double", lambda x: 2 * x), ("plus", lambda x: x + 1)],
        [Branch("a", [("sink a", a)]), Branch("b", [("negate", lambda x: -x), ("sink b", b)])],
    )
    run_within(runtime, 5)
    assert a.items == [2 * i + 1 for i in range(200)]
    assert b.items == [-(2 * i + 1) for i in range(200)]
    assert source.closed
    assert a.closed
    assert b.closed
    counters = runtime.snapshot()
    assert counters["decode"].given == counters["double"].taken == counters["sink b"].taken == 200
    assert all(c.dropped == 0 and c.queued == 0 for c in counters.values())


def test_block_bounds_what_is_in_flight():
    alive, most = 0, 0
    lock = threading.Lock()

    class Counting(Numbers):
        def frames(self):
            nonlocal alive, most
            for i in super().frames():
                with lock:
                    alive += 1
                    most = max(most, alive)
                yield i

    class Slow(Collect):
        def __call__(self, item):
            nonlocal alive
            time.sleep(0.002)
            with lock:
                alive -= 1

    runtime = Runtime(Counting(100), [("same", lambda x: x)], [Branch("out", [("sink", Slow())], capacity=2)], capacity=2)
    run_within(runtime, 5)
    assert most <= 2 + 2 + 3  # two channels and one item in the hands of each of three threads


def test_drop_oldest_keeps_up_and_counts():
    sink = Collect(pause=0.02)
    runtime = Runtime(
        Numbers(200, pause=0.001),
        [("same", lambda x: x)],
        [Branch("out", [("sink", sink)], 1)],
        capacity=1,
        policy="drop_oldest",
    )
    run_within(runtime, 5)
    dropped = runtime.snapshot()["same"].dropped
    assert dropped > 50
    assert len(sink.items) + dropped == 200
    assert sink.items == sorted(sink.items)
    assert sink.items[-1] >= 198  # the newest, not the oldest, survive


def test_a_slow_view_does_not_slow_the_file():
    file, view = Collect(), Collect(pause=0.05)
    branches = [Branch("file", [("file", file)]), Branch("view", [("view", view)], 1, "drop_oldest", optional=True)]
    run_within(Runtime(Numbers(300), [("same", lambda x: x)], branches), 5)
    assert file.items == list(range(300))
    assert len(view.items) < 100


@pytest.mark.parametrize("stage", ["first", "second", "draw", "sink"])
def test_a_stage_that_raises_with_every_queue_full_ends_all_within_two_seconds(stage):
    """supervision 0.27 hangs for good here."""

    def broken(name):
        count = 0

        def work(item):
            nonlocal count
            count += 1
            if name == stage and count == 20:
                time.sleep(0.1)  # let every queue fill
                raise RuntimeError("boom")
            return item

        return work

    runtime = Runtime(
        Numbers(),
        [("first", broken("first")), ("second", broken("second"))],
        [Branch("out", [("draw", broken("draw")), ("sink", broken("sink"))])],
    )
    with pytest.raises(StageError, match=rf"the {stage} stage failed: RuntimeError: boom"):
        run_within(runtime, 2)


def test_a_broken_source_still_delivers_what_it_read():
    sink = Collect(pause=0.005)
    runtime = Runtime(
        Numbers(50, error=Unreadable("cut.mp4: ends in the middle of a frame")),
        [("same", lambda x: x)],
        [Branch("o", [("sink", sink)])],
    )
    with pytest.raises(Unreadable, match=r"cut\.mp4"):
        run_within(runtime, 5)
    assert sink.items == list(range(50))
    assert sink.closed
    assert not sink.aborted


def test_one_failed_output_does_not_stop_the_other():
    good, bad = Collect(), Collect(fail_at=5, error=OutputError("disk full"))
    runtime = Runtime(Numbers(100), [("same", lambda x: x)], [Branch("good", [("good", good)]), Branch("bad", [("bad", bad)])])
    with pytest.raises(OutputError, match="disk full"):
        run_within(runtime, 5)
    assert good.items == list(range(100))
    assert good.closed
    assert bad.aborted


def test_only_views_left_ends_the_run():
    bad, view = Collect(fail_at=5, error=OutputError("disk full")), Collect()
    branches = [Branch("file", [("file", bad)]), Branch("view", [("view", view)], 1, "drop_oldest", optional=True)]
    with pytest.raises(OutputError):
        run_within(Runtime(Numbers(), [("same", lambda x: x)], branches), 2)


def test_flush_is_called_before_the_outputs_close():
    class Pairs:
        def __init__(self):
            self.waiting = []

        def __call__(self, item):
            self.waiting.append(item)
            return self.waiting

        def flush(self):
            self.waiting.append("flushed")

    sink = Collect()
    run_within(Runtime(Numbers(3), [("pairs", Pairs())], [Branch("o", [("sink", sink)])]), 2)
    assert sink.items[-1][-1] == "flushed"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_drains_what_is_in_flight(number):
    before = signal.getsignal(number)  # ignored, where the tests run in the background of a script
    sink = Collect(pause=0.005)
    source = Numbers(pause=0.001)
    runtime = Runtime(source, [("same", lambda x: x)], [Branch("o", [("sink", sink)])])
    threading.Timer(0.2, os.kill, (os.getpid(), number)).start()
    with handle_signals(runtime.interrupt):
        run_within(runtime, 3)
    assert runtime.interrupted == number
    assert sink.items == list(range(runtime.snapshot()["decode"].given))
    assert sink.closed
    assert signal.getsignal(number) is before


def test_a_second_signal_aborts():
    sink = Collect(pause=0.3)
    runtime = Runtime(Numbers(), [("same", lambda x: x)], [Branch("o", [("sink", sink)], capacity=20)], capacity=20)
    for delay in (0.4, 0.5):
        threading.Timer(delay, os.kill, (os.getpid(), signal.SIGINT)).start()
    with handle_signals(runtime.interrupt):
        run_within(runtime, 3)
    assert len(sink.items) < 10


def test_a_run_by_itself_leaves_signals_to_the_program(interrupts):
    """Ctrl-C stays KeyboardInterrupt, which leaves when what was in flight has been written."""
    seen = []
    sink = Collect(pause=0.005)
    runtime = Runtime(Numbers(pause=0.001), [("same", lambda x: x)], [Branch("o", [("sink", sink)])])
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        run_within(runtime, 3, every=0.02, on_tick=lambda: seen.append(signal.getsignal(signal.SIGINT)))
    assert set(seen) == {signal.default_int_handler}
    assert sink.items == list(range(runtime.snapshot()["decode"].given))
    assert sink.closed


def test_a_second_ctrl_c_aborts(interrupts):
    sink = Collect(pause=0.3)
    runtime = Runtime(Numbers(), [("same", lambda x: x)], [Branch("o", [("sink", sink)], capacity=20)], capacity=20)
    for delay in (0.4, 0.5):
        threading.Timer(delay, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        run_within(runtime, 3)
    assert len(sink.items) < 10
    assert sink.closed


def test_an_error_of_the_one_who_watches_ends_the_run():
    def tick():
        raise ZeroDivisionError

    sink = Collect(pause=0.01)
    with pytest.raises(ZeroDivisionError):
        run_within(Runtime(Numbers(), [("same", lambda x: x)], [Branch("o", [("sink", sink)])]), 3, on_tick=tick)
    assert sink.closed


def test_ctrl_c_while_threads_start_leaves_none_behind(monkeypatch):
    start, sink, source = threading.Thread.start, Collect(), Numbers()

    def interrupted(self):
        if self.name == "second":
            raise KeyboardInterrupt
        start(self)

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    runtime = Runtime(source, [("first", lambda x: x), ("second", lambda x: x)], [Branch("out", [("sink", sink)])])
    with pytest.raises(KeyboardInterrupt):
        run_within(runtime, 5)
    assert source.closed
    assert sink.closed


def test_a_stage_that_hangs_does_not_hang_the_caller(monkeypatch):
    import streamseg.runtime.runtime as module

    monkeypatch.setattr(module, "DEADLINE", 0.3)
    release = threading.Event()

    def hang(_item):
        release.wait()

    def fail(item):
        if item == 3:
            raise RuntimeError("boom")
        return item

    runtime = Runtime(Numbers(), [("fail", fail)], [Branch("o", [("hang", hang)])])
    began = time.monotonic()
    with pytest.raises(StageError):
        runtime.run()
    assert time.monotonic() - began < 2
    assert runtime.alive() == ["hang"]
    release.set()


def test_channel_refuses_no_room():
    with pytest.raises(ValueError, match="at least one"):
        Channel(0)


def test_channel_gives_what_is_left_after_close():
    channel = Channel(3)
    channel.put(1)
    channel.close()
    assert channel.get() == 1
    with pytest.raises(Closed):
        channel.get()
    with pytest.raises(Closed):
        channel.put(2)


def test_stages_that_share_a_thread_are_counted_and_ended_each_by_itself():
    ended, threads = [], set()

    class Add:
        def __init__(self, what):
            self.what = what

        def __call__(self, item):
            threads.add(threading.current_thread().name)
            return item + self.what

        def flush(self):
            ended.append(f"flush {self.what}")

        def close(self):
            ended.append(f"close {self.what}")

    sink = Collect()
    trunk = [("one", Add(1)), ("ten", Add(10)), ("hundred", Add(100))]
    runtime = Runtime(Numbers(20), trunk, [Branch("o", [("sink", sink)])], joined={"ten", "hundred"})
    run_within(runtime, 5)
    assert sink.items == [111 + i for i in range(20)]
    assert threads == {"one"}
    assert ended == ["flush 1", "flush 10", "flush 100", "close 1", "close 10", "close 100"]
    counters = runtime.snapshot()
    assert list(counters) == ["decode", "one", "ten", "hundred", "sink"]
    assert all(c.taken == c.given == 20 for c in list(counters.values())[1:4])


def test_an_error_names_its_stage_also_where_it_shares_a_thread():
    def fail(item):
        raise ValueError("no")

    trunk = [("one", lambda x: x), ("two", fail), ("three", lambda x: x)]
    runtime = Runtime(Numbers(20), trunk, [Branch("o", [("sink", Collect())])], joined={"two", "three"})
    with pytest.raises(StageError, match="two"):
        run_within(runtime, 5)


def test_nothing_flows_before_all_threads_are_there(monkeypatch):
    """A process that ran out of memory while threads were starting hung: CPython waits for a thread that cannot begin."""
    alive = []
    source = Numbers(3)
    runtime = Runtime(source, [(f"s{i}", lambda x: x) for i in range(8)], [Branch("out", [("sink", Collect())])])
    frames = source.frames
    source.frames = lambda: (alive.append(len(runtime.alive())), frames())[1]
    start = threading.Thread.start
    monkeypatch.setattr(threading.Thread, "start", lambda self: (start(self), time.sleep(0.005)))
    run_within(runtime, 5)
    assert alive == [10]


def test_threads_that_cannot_be_had_end_the_run_in_order(monkeypatch):
    start, sink = threading.Thread.start, Collect()

    def fail(self):
        if self.name == "second":
            raise RuntimeError("can't start new thread")
        start(self)

    monkeypatch.setattr(threading.Thread, "start", fail)
    source = Numbers()
    runtime = Runtime(source, [("first", lambda x: x), ("second", lambda x: x)], [Branch("out", [("sink", sink)])])
    with pytest.raises(StreamsegError, match="cannot start 4 threads"):
        run_within(runtime, 5)
    assert source.closed
    assert sink.closed
    assert sink.items == []


@pytest.mark.parametrize("error", [None, RuntimeError("broken")])
def test_what_holds_around_a_run_holds_for_its_threads_alone(error):
    """As the GIL's switch interval on a GPU: set when a run begins, and given back with its last thread, however that ends."""
    seen, state = [], []

    @contextlib.contextmanager
    def around():
        state.append("held")
        yield
        state.append("given back")

    def look(item):
        seen.append(list(state))
        if error is not None:
            raise error
        return item

    runtime = Runtime(Numbers(3), [("look", look)], [Branch("o", [("sink", Collect())])], around=around())
    assert state == []
    with pytest.raises(StageError) if error else contextlib.nullcontext():
        run_within(runtime, 5)
    assert seen == [["held"]] * (1 if error else 3)
    assert state == ["held", "given back"]


# --- stages that give later -------------------------------------------------------------------------------------------------------


class Window:
    """Holds the last `n` items."""

    delays = True

    def __init__(self, n):
        self.n, self.held = n, []
        self.most = 0

    def __call__(self, item):
        self.held.append(item)
        self.most = max(self.most, len(self.held))
        ready, self.held = self.held[: -self.n], self.held[-self.n :]
        return ready

    def flush(self):
        left, self.held = self.held, []
        return left


class Bursts(Window):
    """Gives nothing, then `n` at once, as generators; at the end the rest."""

    def __call__(self, item):
        self.held.append(item)
        return iter(self.flush() if len(self.held) == self.n else ())

    def flush(self):
        left, self.held = self.held, []
        yield from left


@pytest.mark.parametrize("joined", [(), ("later", "plus"), ("plus",), ("plus", "again", "minus")])
@pytest.mark.parametrize("delaying", [Window, Bursts])
def test_what_a_stage_gives_later_keeps_its_order_and_none_is_lost(joined, delaying):
    sinks = [Collect(), Collect()]
    trunk = [
        ("same", lambda x: x),
        ("later", delaying(7)),
        ("plus", lambda x: x + 1),
        ("again", delaying(3)),
        ("minus", lambda x: x - 1),
    ]
    branches = [
        Branch("a", [("sink a", sinks[0])]),
        Branch("b", [("draw", delaying(4)), ("sink b", sinks[1])], joined={"sink b"}),
    ]
    runtime = Runtime(Numbers(50), trunk, branches, joined=joined, arrived=lambda item: time.monotonic() - item)
    run_within(runtime, 5)
    assert [sink.items for sink in sinks] == [list(range(50))] * 2
    counters = runtime.snapshot()
    assert {(c.taken, c.given) for name, c in counters.items() if name != "decode"} == {(50, 50)}
    assert len(counters["sink a"].latency) == len(counters["sink b"].latency) == 50
    assert round(max(counters["sink b"].latency)) == 49, "a sink's latency is that of the item that it took"


def test_a_stage_that_gives_several_and_one_that_gives_none_are_counted_by_items():
    class Twice:
        delays = True

        def __call__(self, item):
            return [item, item]

    class OnlyEven(Twice):
        def __call__(self, item):
            return [item] if item % 2 == 0 else []

    sink = Collect()
    runtime = Runtime(Numbers(5), [("twice", Twice()), ("even", OnlyEven())], [Branch("o", [("sink", sink)])], joined={"even"})
    run_within(runtime, 5)
    assert sink.items == [0, 0, 2, 2, 4, 4]
    c = runtime.snapshot()
    assert (c["twice"].taken, c["twice"].given, c["even"].taken, c["even"].given, c["sink"].taken) == (5, 10, 10, 6, 6)


def test_an_interrupt_gives_out_what_is_held():
    sink, source = Collect(), Numbers(pause=0.001)
    runtime = Runtime(source, [("later", Window(30))], [Branch("o", [("sink", sink)])])
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
    with handle_signals(runtime.interrupt):
        run_within(runtime, 3)
    assert sink.items == list(range(runtime.snapshot()["decode"].given))
    assert len(sink.items) > 30


def test_a_second_interrupt_gives_up_what_is_held():
    flushed = []

    class Slow(Window):
        def flush(self):
            for item in super().flush():
                time.sleep(0.2)
                flushed.append(item)
                yield item

    runtime = Runtime(Numbers(pause=0.001), [("later", Slow(30))], [Branch("o", [("sink", Collect())])])
    for delay in (0.3, 0.6):
        threading.Timer(delay, runtime.interrupt, (signal.SIGINT,)).start()
    run_within(runtime, 3)
    assert len(flushed) < 5


@pytest.mark.parametrize("joined", [(), ("later", "behind")])
@pytest.mark.parametrize("fails", ["source", "before", "behind"])
def test_an_error_loses_nothing_that_was_before_it(fails, joined):
    def fail(item):
        if item == 40:
            raise OutputError("disk full")
        return item

    sink = Collect(pause=0.001)
    source = Numbers(40, error=OutputError("disk full")) if fails == "source" else Numbers()
    trunk = [
        ("before", fail if fails == "before" else lambda x: x),
        ("later", Window(10)),
        ("behind", fail if fails == "behind" else lambda x: x),
        ("again", Window(5)),
    ]
    runtime = Runtime(source, trunk, [Branch("o", [("sink", sink)])], joined=joined)
    with pytest.raises(OutputError, match="disk full"):
        run_within(runtime, 2)
    assert sink.items == list(range(40))
    assert sink.closed
    assert not sink.aborted


def test_an_error_while_the_rest_is_given_out_names_its_stage():
    class Broken(Window):
        def flush(self):
            yield self.held[0]
            raise RuntimeError("boom")

    sink = Collect()
    runtime = Runtime(Numbers(20), [("one", Broken(5)), ("two", lambda x: x)], [Branch("o", [("s", sink)])], joined={"two"})
    with pytest.raises(StageError, match="the one stage failed: RuntimeError: boom"):
        run_within(runtime, 2)
    assert sink.items == list(range(16))


@pytest.mark.parametrize("joined", [(), ("later",)])
def test_a_sink_that_ends_early_ends_the_run(joined):
    class Enough(Collect):
        def __call__(self, item):
            super().__call__(item)
            if len(self.items) == 7:
                raise Closed

    sink, later = Enough(), Window(10)
    runtime = Runtime(Numbers(), [("same", lambda x: x), ("later", later)], [Branch("o", [("sink", sink)])], joined=joined)
    run_within(runtime, 2)
    assert sink.items == list(range(7))


def test_what_is_held_is_bounded_where_the_sink_is_slow():
    source, sink, later = Numbers(60), Collect(pause=0.002), Window(10)
    runtime = Runtime(source, [("later", later)], [Branch("o", [("sink", sink)], 1)], capacity=1)
    run_within(runtime, 5)
    assert later.most == 11
    assert sink.items == list(range(60))


def test_a_view_beside_a_stage_that_gives_later_keeps_the_newest():
    file, view = Collect(), Collect(pause=0.02)
    branches = [Branch("file", [("file", file)]), Branch("view", [("view", view)], 1, "drop_oldest", optional=True)]
    runtime = Runtime(Numbers(200, pause=0.0005), [("later", Window(20))], branches)
    run_within(runtime, 5)
    assert file.items == list(range(200))
    assert view.items == sorted(set(view.items))
    assert view.items[-1] == 199
    assert len(view.items) + runtime.snapshot()["view"].dropped == 200


def test_live_frames_that_were_dropped_are_not_missed_by_what_is_held():
    sink = Collect(pause=0.005)
    runtime = Runtime(
        Numbers(200, pause=0.001),
        [("same", lambda x: x), ("later", Window(5))],
        [Branch("out", [("sink", sink)], 1)],
        capacity=1,
        policy="drop_oldest",
        joined={"later"},
    )
    run_within(runtime, 5)
    assert len(sink.items) + runtime.dropped == 200
    assert sink.items == sorted(set(sink.items))
    assert sink.items[-1] == 199
