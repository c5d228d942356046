"""One engine that several pipelines use at once: their pictures fill its batches in turn, and each gets its own answers.

Every pipeline has an `EngineClient`, which is an engine to it. What the clients submit waits in a queue for each of them; when the
engine has room, the next batch takes one request of each client in turn, beginning with those that waited longest for their turn.
So one that submits much cannot keep the others from it, and one that takes its time costs them nothing.

No thread stands between a client and the engine: batches are put together by whichever thread submits a picture or has just run a
batch. Only a batch that is not full, and that others may still fill, waits for an alarm, which has a thread. A client that is alone
fills its batches itself (`together`), and what it submits goes to the engine at once.
"""

from __future__ import annotations

import contextlib
import math
import os
import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field
from functools import partial

from streamseg.engine.base import Engine
from streamseg.engine.images import Images, check_images, stack
from streamseg.engine.outputs import Outputs
from streamseg.errors import EngineError
from streamseg.hub.graph_spec import GraphSpec
from streamseg.runtime.alarm import Alarm
from streamseg.runtime.process import forked, forked_from, keep_in_forks

__all__ = ["MAX_WAIT", "MAX_WAIT_BUSY", "EngineClient", "SharedEngine"]

MAX_WAIT = 0.005
"""Seconds for which a batch that is not full waits for more pictures while the engine could begin with it."""
MAX_WAIT_BUSY = 0.033
"""The same while the engine computes as much as it can: it could not begin anyway."""
WANTS = 0.3
"""A client that asked for its turn so many seconds ago, and did not get it, still wants it."""
RECENT = 0.5
"""A client that submitted nothing for so many seconds is not waited for."""

_CLOSED = (
    "the session was closed, and its engine with it, while this pipeline used it: close a session after its pipelines ended"
)


@dataclass(slots=True, eq=False)
class _Request:
    """What was submitted at once, and who wants the answer."""

    client: EngineClient
    images: Images
    future: Future[Outputs] = field(default_factory=Future)
    arrived: float = field(default_factory=time.monotonic)
    alone: bool = False
    """It failed together with another client's: it runs in a batch of its own, so that only the one at fault fails."""

    def __len__(self) -> int:
        return len(self.images)

    def begin(self) -> bool:
        """False: nobody wants the answer any more."""
        return self.alone or self.future.set_running_or_notify_cancel()

    def fail(self, error: BaseException) -> None:
        """Tell who waits for the answer that there is none."""
        if self.begin():
            self.future.set_exception(error)


class SharedEngine:
    """Gives `engine`, which it closes in the end, to as many clients as there are. Any thread may use it."""

    def __init__(self, engine: Engine, batch: int = 1, max_wait: float | None = None) -> None:
        """Batches of up to `batch` pictures. `max_wait`, seconds, is for both MAX_WAIT and MAX_WAIT_BUSY; 0: none is waited for."""
        self.engine = engine
        self.batch = batch
        self._wait = MAX_WAIT if max_wait is None else max_wait
        self._wait_busy = MAX_WAIT_BUSY if max_wait is None else max_wait
        self._home = os.getpid()
        self._lock = threading.Lock()
        self._room = threading.Condition(self._lock)
        """A client may submit more, or never again."""
        self._alarm = Alarm(self._dispatch, "engine-alarm")
        """For when a batch must go though it is not full."""
        self._clients: list[EngineClient] = []
        """Who has waited longest for its turn comes first."""
        self._running = 0
        self._begun: list[tuple[float, Sequence[_Request]]] = []
        """The batches that run, and when each was begun, of the monotonic clock."""
        self._closed = False
        self._hangs: EngineError | None = None
        """Why it was given up."""
        keep_in_forks(self)

    def check_fork(self) -> None:
        """Raise EngineError in a fork of the process that opened it."""
        if forked(self._home):  # comes before any lock, which another thread of the parent may have held
            raise EngineError(forked_from("which had opened this session"))

    @property
    def closed(self) -> bool:
        """Whether it was closed, so that nothing more can be run."""
        return self._closed

    def client(self) -> EngineClient:
        """The engine as one pipeline sees it. Raises EngineError when it is closed."""
        self.check_fork()
        client = EngineClient(self)
        with self._lock:
            if self._closed:
                raise EngineError("this session is closed, and its engine with it; open another")
            self._clients.append(client)
        return client

    def close(self) -> None:
        """Finish what runs, fail what waits, close the engine. Twice is harmless."""
        if forked(self._home):
            return
        with self._lock:
            self._closed = True
            left = [client.queue.popleft() for client in self._clients for _ in range(len(client.queue))]
            self._room.notify_all()
        for request in left:
            request.fail(EngineError(_CLOSED))
        self.engine.close()
        self._alarm.close()

    def silent(self) -> float:
        """Seconds since the batch was begun that has been computed longest, and is not answered yet; 0: none is."""
        with self._lock:
            return time.monotonic() - min(begun for begun, _ in self._begun) if self._begun else 0.0

    def give_up(self, error: EngineError) -> None:
        """Fail all that waits and all that runs with `error`, and take nothing more: the engine hangs, and is not closed."""
        with self._lock:
            self._closed, self._hangs = True, error
            left = [client.queue.popleft() for client in self._clients for _ in range(len(client.queue))]
            running = [request for _, requests in self._begun for request in requests]
            self._room.notify_all()
        for request in left:
            request.fail(error)
        for request in running:
            with contextlib.suppress(InvalidStateError):
                request.future.set_exception(error)

    # --- for the clients ------------------------------------------------------------------------------------------------

    def submit(self, client: EngineClient, images: Images) -> Future[Outputs]:
        """See Engine.submit."""
        self.check_fork()
        check_images(self.engine.name, self.engine.spec, images)
        request = _Request(client, images)
        with self._lock:
            client.blocked = True
            while not self._refused(client) and client.under_way and client.under_way + len(request) > self._limit():
                self._room.wait()
            client.blocked = False
            if (refused := self._refused(client)) is not None:
                raise EngineError(refused)
            request.arrived = client.seen = time.monotonic()
            client.asked = -math.inf
            client.under_way += len(request)
            client.queue.append(request)
        self._dispatch()
        return request.future

    def leave(self, client: EngineClient) -> None:
        """Forget a client and what it still waits for."""
        if forked(self._home):
            return
        with self._lock:
            if client.closed:
                return
            client.closed = True
            self._clients.remove(client)
            left = list(client.queue)
            client.queue.clear()
            self._room.notify_all()
        for request in left:
            request.fail(EngineError("this pipeline ended before the engine ran its pictures"))
        self._dispatch()  # nobody need wait for its pictures any more

    def together(self, client: EngineClient) -> int:
        """Pictures that this client had best submit at once."""
        with self._lock:
            return 1 if self._others(client, time.monotonic()) else self.batch

    def turn(self, client: EngineClient) -> bool:
        """Whether the engine would begin with a picture of this client soon: there is room, and nobody wants it who waited longer.

        For clients that can do without, as those that carry masks on: what they submit only then has no queue to wait in.
        """
        now = time.monotonic()
        with self._lock:
            client.asked = now
            others = [each for each in self._clients if each is not client]
            if not self._others(client, now) and not any(now - each.asked < WANTS for each in others):
                return not client.under_way or client.under_way < self._limit()
            if sum(each.under_way for each in self._clients) >= self.engine.in_flight * self.batch:
                return False
            return not any(each.seen < client.seen and now - each.asked < WANTS for each in others)

    def _refused(self, client: EngineClient) -> str | None:
        return (
            str(self._hangs)
            if self._hangs
            else _CLOSED
            if self._closed
            else "this pipeline has ended"
            if client.closed
            else None
        )

    def _limit(self) -> int:
        """Pictures of one client that may be under way: what the engine takes, shared by those that want it."""
        wanting = sum(client.blocked or client.under_way > 0 for client in self._clients)
        return math.ceil((self.engine.in_flight + 1) * self.batch / max(1, wanting))

    def _others(self, client: EngineClient, now: float) -> bool:
        """Whether another client is at work."""
        return any(c is not client and (c.under_way > 0 or now - c.seen < RECENT) for c in self._clients)

    # --- batches --------------------------------------------------------------------------------------------------------

    def _dispatch(self) -> None:
        """Start batches while there is something to run and room for it."""
        while True:
            with self._lock:
                requests = self._next(time.monotonic())
                if not requests:
                    return
                self._running += 1
            self._start(requests)

    def _next(self, now: float) -> Sequence[_Request]:
        """Take the requests of the next batch from their queues; none if it cannot or should not start yet."""
        self._alarm.set(None)
        if self._running > self.engine.in_flight or self._closed:
            return ()
        chosen, full = self._choose()
        if chosen and not full and self._others(chosen[0].client, now):
            wait = self._wait if self._running < self.engine.in_flight else self._wait_busy
            due = min(request.arrived for request in chosen) + wait
            if now < due:
                self._alarm.set(due)
                return ()
        for request in chosen:
            client = request.client
            client.queue.popleft()
            self._clients.remove(client)
            self._clients.append(client)
        return chosen

    def _choose(self) -> tuple[list[_Request], bool]:
        """The requests of the next batch, one of each client in turn while they fit; and whether it is full."""
        chosen: list[_Request] = []
        count = 0
        queues = deque(iter(client.queue) for client in self._clients)
        while queues:
            queue = queues.popleft()
            request = next(queue, None)
            if request is None or (chosen and (request.alone or count + len(request) > self.batch)):
                continue
            chosen.append(request)
            count += len(request)
            queues.append(queue)
            if request.alone or count >= self.batch:
                return chosen, True
        return chosen, False

    def _start(self, requests: Sequence[_Request]) -> None:
        wanted = [request for request in requests if request.begin()]
        self._forget([request for request in requests if request not in wanted])
        if not wanted:
            self._finish((), None)
            return
        with self._lock:
            self._begun.append((time.monotonic(), wanted))
        try:
            answer = self.engine.submit(stack([request.images for request in wanted]))
        except BaseException as error:
            self._finish(wanted, error)
            if not isinstance(error, Exception):
                raise
            return
        answer.add_done_callback(partial(self._answered, wanted))

    def _answered(self, requests: Sequence[_Request], answer: Future[Outputs]) -> None:
        error = EngineError("the engine was closed before it ran this batch") if answer.cancelled() else answer.exception()
        self._finish(requests, error, None if error else answer.result())

    def _finish(self, requests: Sequence[_Request], error: BaseException | None, answer: Outputs | None = None) -> None:
        """A batch has ended: begin the next, then hand out the answers."""
        again: list[_Request] = []
        with self._lock:
            self._running -= 1
            self._begun = [batch for batch in self._begun if batch[1] is not requests]
            if error is not None and not self._closed and len({request.client for request in requests}) > 1:
                again = [request for request in requests if not request.client.closed]
            for request in reversed(again):
                request.alone = True
                request.client.queue.appendleft(request)
            closed = self._closed
        done = [request for request in requests if request not in again]
        self._forget(done)
        self._dispatch()
        first = 0
        for request in done:
            if request.future.done():  # it was given up
                continue
            if answer is not None:
                request.future.set_result(answer if len(done) == 1 else answer.rows(first, first + len(request)))
            elif error is not None:
                request.future.set_exception(EngineError(_CLOSED) if closed else error)
            first += len(request)

    def _forget(self, requests: Sequence[_Request]) -> None:
        """These are not under way any more."""
        with self._lock:
            for request in requests:
                request.client.under_way -= len(request)
            self._room.notify_all()


class EngineClient:
    """One pipeline's share of an engine: an Engine itself, whose `close` leaves the engine open for the others."""

    def __init__(self, shared: SharedEngine) -> None:
        """For SharedEngine.client."""
        self._shared = shared
        self.queue: deque[_Request] = deque()
        self.under_way = 0
        """Pictures that wait or run."""
        self.blocked = False
        """It waits to submit."""
        self.closed = False
        self.seen = -math.inf
        """When it last submitted, of the monotonic clock."""
        self.asked = -math.inf
        """When it last asked for its turn; it does not want it any more once it has submitted."""

    @property
    def name(self) -> str:
        """See Engine.name."""
        return self._shared.engine.name

    @property
    def device(self) -> str:
        """See Engine.device."""
        return self._shared.engine.device

    @property
    def spec(self) -> GraphSpec:
        """See Engine.spec."""
        return self._shared.engine.spec

    @property
    def precision(self) -> str:
        """See Engine.precision."""
        return self._shared.engine.precision

    @property
    def in_flight(self) -> int:
        """See Engine.in_flight."""
        return self._shared.engine.in_flight

    def turn(self) -> bool:
        """Whether a picture submitted now would not have to wait for those of others."""
        return self._shared.turn(self)

    @property
    def together(self) -> int:
        """How many pictures to submit at once now: a batch where it is alone, one where others fill the batches too."""
        return self._shared.together(self)

    def submit(self, images: Images) -> Future[Outputs]:
        """See Engine.submit. Blocks while this client has as much under way as its share of the engine."""
        return self._shared.submit(self, images)

    def close(self) -> None:
        """Give up what waits; what runs is finished. The engine stays open. Twice is harmless."""
        self._shared.leave(self)

    def __repr__(self) -> str:
        return repr(self._shared.engine)
