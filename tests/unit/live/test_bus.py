"""News reach who listens, in order, and nobody waits for a listener."""

import threading
import time

from streamseg.live.bus import Bus
from streamseg.live.news import CameraRemoved, Warned


def warned(number: int) -> Warned:
    return Warned("door", str(number), 0.0)


def test_a_listener_gets_what_it_wants_in_order():
    bus = Bus()
    everything, warnings = bus.subscribe(), bus.subscribe(Warned)
    bus.publish(warned(1))
    bus.publish(CameraRemoved("door"))
    bus.publish(warned(2))
    assert [everything.get(0), everything.get(0), everything.get(0)] == [warned(1), CameraRemoved("door"), warned(2)]
    assert [warnings.get(0), warnings.get(0), warnings.get(0)] == [warned(1), warned(2), None]


def test_a_slow_listener_loses_the_oldest_and_knows_how_many():
    bus = Bus()
    slow, fast = bus.subscribe(size=3), bus.subscribe()
    for number in range(10):
        bus.publish(warned(number))
    assert slow.dropped == 7
    assert [slow.get(0) for _ in range(3)] == [warned(7), warned(8), warned(9)]
    assert fast.dropped == 0
    assert fast.get(0) == warned(0)


def test_a_listener_that_waits_is_woken_by_news_and_by_the_end():
    bus = Bus()
    listener, found = bus.subscribe(), []
    thread = threading.Thread(target=lambda: found.extend(listener))
    thread.start()
    bus.publish(warned(1))
    bus.close()
    thread.join(5)
    assert not thread.is_alive()
    assert found == [warned(1)]
    assert bus.subscribe().get() is None


def test_a_listener_that_closed_hears_no_more_but_keeps_what_waited():
    bus = Bus()
    listener = bus.subscribe()
    bus.publish(warned(1))
    listener.close()
    bus.publish(warned(2))
    assert [listener.get(), listener.get()] == [warned(1), None]


def test_nothing_in_time_is_none():
    began = time.monotonic()
    assert Bus().subscribe().get(0.05) is None
    assert time.monotonic() - began >= 0.05
