"""One camera's life: opened, watched, lost and looked for, paused, changed, removed; in a thread of its own."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from streamseg.config.schema import PipelineConfig
from streamseg.decode import Decoder
from streamseg.decode.tap import PacketTap
from streamseg.encode.sink import RenderedPicture, SinkCounters
from streamseg.encode.stream import SharedStream
from streamseg.errors import (
    ConfigError,
    MissingExtra,
    ModelError,
    SourceError,
    StageError,
    StreamsegError,
    TooLarge,
    clean,
    scrub,
)
from streamseg.live.away import away
from streamseg.live.bus import Bus
from streamseg.live.count import NOTHING, Counts
from streamseg.live.engine import LiveEngine
from streamseg.live.feed import CameraFeed
from streamseg.live.happened import Teller
from streamseg.live.named import Named
from streamseg.live.news import CameraChanged, CameraStatus, State, Warned
from streamseg.live.plan import OF_TRACKS, SHOW, check_options, named_of, opened_anew, pipeline_of, shown, words_of_camera
from streamseg.live.pushes import CameraPushes
from streamseg.pipeline.build import Pipeline, build_pipeline
from streamseg.pipeline.change import change
from streamseg.pipeline.options import filed
from streamseg.pipeline.stages import Step

__all__ = ["Camera", "is_private"]

TapOf = Callable[[str, Mapping[str, Any], PipelineConfig, SharedStream], PacketTap | None]
"""Who wants the packets of a camera: its name, its options, the pipeline that they mean, what it shows."""

FIRST_DELAY, LAST_DELAY = 0.5, 30.0
"""Seconds before a camera is opened again after an error; doubled each time up to LAST_DELAY, shortened at random
by up to a half."""
STEADY = 60.0
"""A camera that was watched for so many seconds starts with the first delay again."""
IN_FLIGHT = 2.0
"""Seconds that the frames in flight get to come through when a camera is let go of."""
FINAL = (ConfigError, MissingExtra, ModelError, TooLarge)
"""What waiting cannot mend, beside a refused password."""


class Camera:
    """Watches one source with a pipeline, over and over. Its methods may be called from any thread, and wait for nothing."""

    def __init__(
        self,
        name: str,
        options: Mapping[str, Any],
        engine: LiveEngine,
        bus: Bus,
        *,
        trust: bool = False,
        tap: TapOf = lambda *_: None,
    ) -> None:
        """`options` are checked. `tap` is asked, each time that its source is opened, who wants the packets. Raises ConfigError."""
        self._tap = tap
        self.name, self._engine, self._bus, self._trust = name, engine, bus, trust
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._options = dict(options)
        self._plan = pipeline_of(name, options, trust=trust)
        self._named = Named()
        self.feed = CameraFeed(name, self.warn)
        self._teller = Teller(name, bus)
        self._pushes = CameraPushes(name, self.feed.stream, self.warn)
        self._state: State = "starting"
        self._reason, self._since = "", time.time()
        self._wanted: State = "watching" if options.get("enabled", True) else "paused"
        self._problem: StreamsegError | None = None
        self._past = NOTHING
        """What pipelines counted that have ended."""
        self._decoder: Decoder | None = None
        self._pipeline: Pipeline | None = None
        self._let_go: float | None = None
        """When the pipeline that runs was told to end, of the monotonic clock."""
        self._lost_at = 0.0
        """When it was found away, of the monotonic clock; 0: it is there."""
        self._thread = threading.Thread(target=self._live, name=f"camera {name}", daemon=True)

    # --- asked from outside -----------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to watch."""
        self._pushes.take(self._options.get("push", ()))
        self._thread.start()

    @property
    def options(self) -> dict[str, Any]:
        """What it runs with."""
        with self._lock:
            return dict(self._options)

    @property
    def config(self) -> PipelineConfig:
        """The pipeline that its options mean."""
        with self._lock:
            return self._plan[0]

    @property
    def over(self) -> bool:
        """Whether its film has ended, or it failed, and nobody has asked for it again."""
        with self._lock:
            return self._wanted == "failed"

    @property
    def problem(self) -> StreamsegError | None:
        """What it failed with, where it is over."""
        with self._lock:
            return self._problem if self.over else None

    def pause(self) -> None:
        """Let go of it until `resume`."""
        self._want("paused")

    def resume(self) -> None:
        """Watch it again, or try a failed one once more."""
        self._want("watching")

    def change(self, options: Mapping[str, Any]) -> None:
        """Run with these, which are checked, from now on. Raises ConfigError."""
        session = self._engine.ready
        check_options(self.name, options, session, trust=self._trust)
        config, effects = pipeline_of(self.name, options, trust=self._trust)
        with words_of_camera(self.name), self._lock:
            config = config if session is None else session.fit(config)
            anew = opened_anew(self._options, options) or is_private(config) != is_private(self._plan[0])
            there = self._pipeline
            if anew or there is None or self._let_go is not None or not change(there, config, {SHOW: effects}):
                self._release()
            self._named.take(named_of(options))
            before = self._options
            self._options, self._plan = dict(options), (config, effects)
            pushes = options.get("push", ())
            enabled = options.get("enabled", True)
            if enabled != before.get("enabled", True):
                self._wanted = "watching" if enabled else "paused"
            elif self._wanted != "paused":
                self._wanted = "watching"
            self._changed.notify_all()
        self._pushes.take(pushes)
        self._tell()

    def stop(self) -> None:
        """Let go of it for good."""
        self._want("stopped")

    def wait(self, timeout: float) -> bool:
        """Wait until it has ended; False: it had not within so many seconds."""
        if self._thread.ident is not None:
            self._thread.join(max(0.0, timeout))
        return not self._thread.is_alive()

    def abort(self) -> None:
        """End at once: what is in flight is lost."""
        pipeline = self._pipeline
        if pipeline is not None:
            pipeline.runtime.abort()

    def warn(self, text: str) -> None:
        """Tell people something about this camera."""
        self._bus.publish(Warned(self.name, scrub(text), time.time()))

    def _heard(self, text: str) -> None:
        """Of what a pipeline says, people are told what changes while it runs."""
        if text.startswith("load: "):
            self.warn(filed(text))

    def status(self) -> CameraStatus:
        """How it is."""
        with self._lock:
            pipeline, past, state, reason, since = self._pipeline, self._past, self._state, self._reason, self._since
        counts = past if pipeline is None else past + Counts.of(pipeline)
        latest = self.feed.latest()
        return CameraStatus(
            self.name,
            scrub(str(self._options["source"])),
            state,
            since,
            reason,
            *(latest.frame.width, latest.frame.height) if latest is not None else (0, 0),
            captured=counts.captured,
            processed=counts.processed,
            detected=counts.detected,
            gated=counts.gated,
            skipped=counts.skipped,
            rate=self.feed.rate(),
            latency_ms=self.feed.latency_ms(),
            under_way=0 if pipeline is None else counts.under_way,
            detect_every=1 if pipeline is None else pipeline.detect_every,
            reconnects=counts.reconnects,
            epoch=0 if latest is None else latest.frame.epoch,
            now=dict(pipeline.tally.current) if pipeline is not None and state == "watching" else {},
            total=counts.total,
            pushes=self._pushes.states(),
            queues={} if pipeline is None else pipeline.queues(),
        )

    def _want(self, state: State) -> None:
        with self._lock:
            self._wanted = state
            self._release() if state != "watching" else None
            self._changed.notify_all()

    def _release(self) -> None:
        """Let the pipeline that runs, or the source that is being opened, end."""
        self._let_go = self._let_go or time.monotonic()
        if self._decoder is not None:
            self._decoder.stop()

    # --- its thread -------------------------------------------------------------------------------------------------------

    def _live(self) -> None:
        delay = FIRST_DELAY / 2
        while self._wait_until_wanted():
            began, over = time.monotonic(), False
            problem: StreamsegError | None = None
            try:
                over = self._watch()
            except StreamsegError as error:
                problem = error
            except Exception as error:  # a fault of one camera is told, and harms no other
                problem = StageError("camera", clean(error))
            if problem is not None:
                self._show_away(str(problem))
            if not self._goes_on(over, problem):
                continue
            delay = FIRST_DELAY if time.monotonic() - began > STEADY else min(2 * delay, LAST_DELAY)
            with self._lock:
                self._changed.wait_for(lambda: self._let_go is not None, delay * random.uniform(0.5, 1.0))
        self._pushes.close()
        self.feed.close()
        self._set("stopped", "")

    def _goes_on(self, over: bool, problem: StreamsegError | None) -> bool:
        """What becomes of the camera, now that its pipeline has ended; whether it is tried again, after a while."""
        with self._lock:
            if self._let_go is not None or (problem is None and not over):
                return False  # it was told to end: what it then said is no news
            self._problem = problem
            if problem is None:
                self._wanted = "failed"
                self._set("stopped", "the film has ended")
            elif self._is_final(problem):
                self._wanted = "failed"
                self._set("failed", str(problem))
            else:
                self._set("lost", str(problem))
                return True
        return False

    def _wait_until_wanted(self) -> bool:
        """False: it is wanted no more."""
        with self._lock:
            while self._wanted not in ("watching", "stopped"):
                if self._wanted == "paused":
                    self._set("paused", "")
                self._changed.wait()
            self._let_go = None
            self._decoder = None
            return self._wanted == "watching"

    def _watch(self) -> bool:
        """Watch it until it ends; whether that was the end of a film. Raises StreamsegError."""
        with self._lock:
            config, composite = self._plan
            # Its tracks are numbered from one again.
            options = self._options = {key: value for key, value in self._options.items() if key not in OF_TRACKS}
            self._named.take(Named())
        if self._state not in ("lost", "starting"):
            self._set("starting", "")
        session = self._engine.wait(lambda: self._let_go is not None)
        if session is None:
            return False
        engine = session.client()
        try:
            fitted = session.fit(config)
            pipeline = build_pipeline(
                options["source"],
                fitted,
                engine=engine,
                on_message=self._heard,
                shown=[replace(shown(self.name, options, composite), sink=_Show(self._shown))],
                extra=[Step("named", "names and hides", "Result", lambda _: self._named, after="edit")],
                changeable=True,
                started=self._started,
                on_loss=self._on_loss,
                tap=self._tap(self.name, options, fitted, self.feed.stream),
            )
            self.feed.stream.about = pipeline.info
            with self._lock:
                self._pipeline = pipeline
                if self._let_go is not None:
                    pipeline.runtime.stop()
            try:
                pipeline.run(self._tick)
            finally:
                with self._lock:
                    self._past = self._past + Counts.of(pipeline)
                    self._pipeline = None
        finally:
            engine.close()
        for text in pipeline.decoder.warnings:
            self.warn(text)
        return not options.get("loop") and not pipeline.info.live

    def _started(self, decoder: Decoder) -> None:
        with self._lock:
            self._decoder = decoder
            if self._let_go is not None:
                decoder.stop()

    def _tick(self, running: Pipeline) -> None:
        if self._let_go is not None and time.monotonic() - self._let_go > IN_FLIGHT:
            running.runtime.abort()

    def _on_loss(self, reason: str | None) -> None:
        self._lost_at = 0.0 if reason is None else time.monotonic()
        if reason is not None and self._let_go is None:
            self._set("lost", reason)
            if self._pipeline is None:  # else the decoder gives such pictures itself
                self._show_away(reason)

    def _show_away(self, reason: str) -> None:
        if self._let_go is None:
            before, why = self.feed.rendered, scrub(filed(reason))
            if before is None or before.result.frame.lost != why:
                self.feed.show(away(self.name, why, before))

    def _shown(self, rendered: RenderedPicture) -> None:
        self.feed.show(rendered)
        frame = rendered.result.frame
        fresh = not frame.lost and frame.arrived > self._lost_at  # others came before it was lost
        if fresh and self._state != "watching" and self._let_go is None:
            self._set("watching", "")
        self._teller(rendered)

    def _set(self, state: State, reason: str) -> None:
        with self._lock:
            if (state, reason) == (self._state, self._reason):
                return
            if state != self._state:
                self._since = time.time()
            self._state, self._reason = state, scrub(filed(reason))
        self._tell()

    def _tell(self) -> None:
        self._bus.publish(CameraChanged(self.status()))

    def _is_final(self, error: StreamsegError) -> bool:
        film = "://" not in str(self._options["source"]) and not str(self._options["source"]).isdecimal()
        return isinstance(error, FINAL) or type(error) is SourceError or (film and isinstance(error, SourceError))


def is_private(config: PipelineConfig) -> bool:
    """Whether something that the camera sees is covered in all that is shown."""
    return config.privacy.classes != ()


class _Show:
    """The sink of what is shown."""

    def __init__(self, show: Callable[[RenderedPicture], None]) -> None:
        self.name, self.counters = "show", SinkCounters()
        self.warnings: list[str] = []
        self._show = show

    def open(self) -> None:
        """Nothing to open."""

    def __call__(self, rendered: RenderedPicture, /) -> None:
        self._show(rendered)
        self.counters.frames += 1

    def close(self) -> None:
        """Nothing to close."""

    def abort(self) -> None:
        """Nothing to close."""
