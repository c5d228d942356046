"""Many cameras on one engine, watched together."""

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from streamseg.config.live_record import record_of
from streamseg.config.schema import PipelineConfig
from streamseg.decode.tap import PacketTap
from streamseg.encode.stream import SharedStream
from streamseg.engine import GraphSpec
from streamseg.errors import ConfigError, StreamsegError, scrub
from streamseg.errors.describe import brief, did_you_mean
from streamseg.live.bus import Bus
from streamseg.live.camera import Camera, is_private
from streamseg.live.camera_names import named
from streamseg.live.config import EngineConfig, LiveFile, check_camera, engine_options, load_live, merged, read_live
from streamseg.live.engine import LiveEngine
from streamseg.live.feed import CameraFeed
from streamseg.live.health import health
from streamseg.live.keep.keeper import Keeper
from streamseg.live.news import CameraChanged, CameraRemoved, CameraStatus, Warned
from streamseg.live.over import over
from streamseg.live.plan import check_options, problems_of
from streamseg.live.reload import Edit, Edited, sections
from streamseg.live.services import Service, services_of
from streamseg.pipeline.configure import configured
from streamseg.pipeline.opening import asked_graph
from streamseg.pipeline.session import Session
from streamseg.runtime.process import wait_at_exit
from streamseg.system.callbacks import Message

__all__ = ["Live"]

END = 4.5
"""Seconds within which all ends."""
POLL = 0.25
"""Seconds between two looks at the engine and the file."""


class Live:
    """Cameras that are watched together, with one engine; added, removed, paused and changed while they run.

        with streamseg.Live({"door": "rtsp://10.0.0.7/main", "yard": {"source": "0", "classes": ["person"]}}) as live:
            for happened in live.bus.subscribe(Happened):
                print(happened.camera, happened.event)

    It implements `live.control.Control`: what it says of cameras, and what may be asked. Its methods may be called from any thread.
    """

    def __init__(
        self,
        cameras: str | PathLike[str] | Sequence[str] | Mapping[str, Any] | LiveFile = (),
        *,
        on_message: Message | None = None,
        trust: bool = False,
        # options: network
        masks: Literal["auto", "box", "none"] | None = None,
        engine: str | None = None,
        model: str | PathLike[str] | None = None,
        family: str | None = None,
        head: Literal["full", "class-agnostic", "proposals"] | None = None,
        precision: str | None = None,
        require_gpu: bool | None = None,
        size: str | tuple[int, int] | None = None,
        batch: int | None = None,
        threads: int | None = None,
        no_tuned: bool | None = None,
        # options end
        in_flight: int | None = None,
        max_wait: float | str | None = None,
        patience: float | str | None = None,
    ) -> None:
        """Nothing is opened yet.

        Args:
            cameras: The path of a cameras.yaml; addresses; or name → address, or options as in the file.
            on_message: Hears which engine was chosen, and why.
            in_flight: As for `Session`; this and what follows goes before what the file says.
            max_wait: As for `Session`.
            patience: How long an answer of the engine is waited for; then it is taken for dead. Default: 60 s.
            masks: auto: what the model gives; box: each box for its mask; none: boxes alone, which costs less.
            engine: What runs the network: auto, openvino, onnxruntime, tensorrt, tensorrt-rtx, torch.
            model: A name that `streamseg models` lists, or an .onnx file.
            family: What an .onnx file of another program is, as yolo-seg. Default: found from the file.
            head: How much of a Mask R-CNN to run: full; class-agnostic, anything that looks like an object; proposals, its
                regions alone.
            precision: Number format of the network: fp32, fp16, int8 (faster, slightly less exact), bf16 (OpenVINO, on CPUs
                that have it). Default: the fastest here that was measured to cost under half a point of AP; a file's own.
            require_gpu: Make it an error if the network cannot run on a GPU.
            size: Size of the network's input, HEIGHTxWIDTH in multiples of 32, as 320x576; largest: of those that the model
                comes with. Or (height, width). Default: the model's own.
            batch: Frames in one call of the network.
            threads: CPU threads of the engine. 0: one a core.
            no_tuned: Leave aside what `streamseg tune --apply` found for this machine.

        Raises ConfigError, which names all that is wrong.
        """
        given = locals()
        self._file = _read(cameras, trust)
        self._trust, self._said = trust, on_message
        asked = {name: given[name] for name in EngineConfig.model_fields if given[name] is not None}
        self._engine_options, self._patience = engine_options(merged(self._file.engine, asked))
        self._engine = LiveEngine(lambda: Session(**self._engine_options), self._patience)
        self.bus = Bus()
        """News of all cameras."""
        self._lock = threading.RLock()
        self._cameras: dict[str, Camera] = {}
        self._services: list[Service] = []
        self._ended = threading.Event()
        self._error: BaseException | None = None
        self.keeper: Keeper | None = None
        """Recordings and events on disk; None: nothing is recorded."""
        self._started = self._stopped = self._again = False
        self._edited = None if self._file.path is None else Edited(self._file.path)
        self._running = sections(self._file)
        self._until_over = self._said_over = False
        wrong = bool(self._file.problems)
        for name, options in self._file.cameras.items():
            try:
                self._cameras[name] = self._new(name, options)
            except ConfigError:
                wrong = True
        if wrong:
            raise ConfigError("\n".join(problems_of(self._file, self._asked_graph(), trust=trust)))

    @property
    def services(self) -> tuple[Service, ...]:
        """Those that run beside the cameras, as the page."""
        return tuple(self._services)

    # --- its life ---------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Open the engine, and begin to watch; waits for neither. Raises StreamsegError where a service cannot start."""
        wait_at_exit(self)
        if "record" in self._file.raw or _is_recorded(self._file):
            self._keep()
        for service in services_of(self._file, self):
            service.start()
            self._services.append(service)
        self._engine.start()
        with self._lock:
            self._started = True
            cameras = list(self._cameras.values())
        for camera in cameras:
            camera.start()
            self.bus.publish(CameraChanged(camera.status()))
        threading.Thread(target=self._watch, name="live", daemon=True).start()

    def run(self, timeout: float | None = None, *, until_over: bool = False) -> None:
        """Wait until it is stopped, or for `timeout` seconds.

        until_over: also until every film has ended or every camera has failed, where nobody can ask for them again: there is
        no page, no MQTT, no file that may be edited.

        Raises what ended it: an engine that does not open, or died; `until_over` what a camera failed with.
        """
        self._until_over = until_over
        self._ended.wait(timeout)
        if self._error is not None:
            raise self._error

    def reload(self) -> None:
        """Read the file again soon, as if it had been edited. From any thread, and from a signal's handler."""
        self._again = True

    def _watch(self) -> None:
        """In a thread of its own: look after the engine and the file."""
        while not self._ended.wait(POLL):
            try:
                self._engine.watch()
            except StreamsegError as error:
                self._error = error
                self.warn(str(error))
                self._ended.set()
                return
            self._look_at_file()
            self._look_whether_over()

    def _look_at_file(self) -> None:
        if self._edited is None:
            return
        found = self._edited.look()
        if found == "gone":
            self.warn(f"{self._file.path} is gone, or cannot be read; all goes on as it was, and it is read when it is back")
        if found == "edited" or self._again:
            self._again = False
            self._read_again()

    def _look_whether_over(self) -> None:
        """Say once that nothing is watched any more; it ends then, if that is wanted and nobody can ask for cameras again."""
        with self._lock:
            cameras = list(self._cameras.values())
        reason = over(cameras)
        if not reason:
            self._said_over = False
            return
        config, path = self._file.config, self._file.path
        ways = ["on the page"] * (config.page is not None) + ["over MQTT"] * (config.mqtt is not None)
        ways += [f"by editing {path}"] * (path is not None)
        if not self._said_over:
            self._said_over = True
            self.warn(f"nothing is watched any more: {reason}" + (f"; ask for it again {' or '.join(ways)}" if ways else ""))
        if self._until_over and not ways:
            self._error = next((camera.problem for camera in cameras if camera.problem is not None), None)
            self._ended.set()

    def _read_again(self) -> None:
        """Take over what was edited, or say why not; then all goes on as it was."""
        path = self._file.path
        assert path is not None
        try:
            file = load_live(path, trust=self._trust, partly=True)
            if self.keeper is None and not file.problems and _is_recorded(file):
                self._running["record"] = sections(file)["record"]  # the keeper is made with it
            edit = Edit.of(self, self._file, file, self._running)
        except ConfigError as error:
            self.warn(f"{path} cannot be taken over; all goes on as it was:\n{error}")
            return
        self._file = file
        self.warn(f"{path} was read again: {edit.apply(self)}")

    def check(self) -> None:
        """Whether the model knows what is asked of it, without opening an engine or a camera. Raises StreamsegError."""
        spec = asked_graph(configured(self._engine_options), self._said)
        if problems := problems_of(self._file, spec, trust=self._trust):
            raise ConfigError("\n".join(problems))

    def _asked_graph(self) -> GraphSpec | None:
        """For what it says of the model; None where it cannot be known which that is."""
        if not self._file.engine_is_sound:
            return None
        try:
            return asked_graph(configured(self._engine_options))
        except StreamsegError:
            return None  # told when the rest is right

    def end(self) -> None:
        """Let `run` return."""
        self._ended.set()

    def stop(self, timeout: float = END) -> bool:
        """End all within so many seconds: recordings finished, the engine closed. False: something hangs, and was left alone."""
        deadline = time.monotonic() + timeout
        with self._lock:
            if self._stopped:
                return True
            self._stopped = True
            cameras = list(self._cameras.values())
        self._ended.set()
        for camera in cameras:
            camera.stop()
        whole = self._wait(cameras, deadline - 1.0)
        for service in reversed(self._services):
            service.stop(max(0.1, min(1.0, deadline - time.monotonic())))
        whole &= self._engine.close(max(0.1, deadline - time.monotonic()))
        self.bus.close()
        return whole

    def _wait(self, cameras: Sequence[Camera], deadline: float) -> bool:
        if all(camera.wait(deadline - 0.5 - time.monotonic()) for camera in cameras):
            return True
        for camera in cameras:
            camera.abort()
        return all(camera.wait(deadline - time.monotonic()) for camera in cameras)

    def abort(self) -> None:
        """When the process ends."""
        self.stop()

    def wait(self, timeout: float | None = None) -> bool:
        """When the process ends."""
        return True

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    # --- Control ----------------------------------------------------------------------------------------------------------

    def cameras(self) -> tuple[CameraStatus, ...]:
        """See Control."""
        with self._lock:
            cameras = list(self._cameras.values())
            keeper = self.keeper
        found = tuple(camera.status() for camera in cameras)
        return found if keeper is None else tuple(replace(each, recording=keeper.path(each.name)) for each in found)

    def feed(self, name: str) -> CameraFeed:
        """See Control."""
        return self._camera(name).feed

    def add(self, name: str, options: Mapping[str, Any] | str) -> None:
        """See Control."""
        given = merged(self._file.raw.get("defaults") or {}, check_camera(name, options, trust=self._trust))
        with self._lock:
            if name in self._cameras:
                raise ConfigError(f"there is a camera {brief(name)} already; change it, or give this one another name")
            check_options(name, given, self._engine.ready, trust=self._trust)
            if self._stopped:
                raise ConfigError(f"camera {name}: the program ends")
            camera = self._cameras[name] = self._new(name, given)
            if self._started:
                camera.start()
        self.bus.publish(CameraChanged(camera.status()))

    def remove(self, name: str) -> None:
        """See Control."""
        camera = self._camera(name)
        with self._lock:
            self._cameras.pop(name, None)
        camera.stop()
        self.bus.publish(CameraRemoved(name))

    def pause(self, name: str) -> None:
        """See Control."""
        self._camera(name).pause()

    def resume(self, name: str) -> None:
        """See Control."""
        self._camera(name).resume()

    def options(self, name: str) -> dict[str, Any]:
        """See Control."""
        found = self._camera(name).options
        pushes = found.get("push", ())
        shown = scrub(pushes) if isinstance(pushes, str) else [scrub(each) for each in pushes]
        return found | {"source": scrub(str(found["source"]))} | ({"push": shown} if pushes else {})

    def change(self, name: str, options: Mapping[str, Any]) -> None:
        """See Control: options that are given replace those of the same name; None takes one away."""
        camera = self._camera(name)
        given = self._with(name, options)
        camera.change(given)
        if self.keeper is not None:
            self.keeper.note(name, camera.config)

    def check_change(self, name: str, options: Mapping[str, Any]) -> None:
        """Raise ConfigError where a camera cannot have these options on top of its own; one that is not there: these alone."""
        known = name in self._cameras
        given = self._with(name, options) if known else check_camera(name, options, trust=self._trust)
        check_options(name, given, self._engine.ready, trust=self._trust)

    def _with(self, name: str, options: Mapping[str, Any]) -> dict[str, Any]:
        """A camera's options with others on top, checked as far as that can be without a model. Raises ConfigError."""
        known = self._camera(name).options
        given = {key: value for key, value in (known | dict(options)).items() if value is not None}
        if given.get("source") == scrub(str(known["source"])):
            given["source"] = known["source"]  # as `options` told it, without its password
        return check_camera(name, given, trust=self._trust)

    def health(self) -> dict[str, Any]:
        """See Control."""
        return health(self.cameras(), time.time()).as_dict()

    def engine(self) -> dict[str, str]:
        """See Control."""
        return self._engine.about()

    def warn(self, text: str, camera: str = "") -> None:
        """Tell people something."""
        self.bus.publish(Warned(camera, scrub(text), time.time()))

    def _new(self, name: str, options: Mapping[str, Any]) -> Camera:
        return Camera(name, options, self._engine, self.bus, trust=self._trust, tap=self._tap)

    def _keep(self) -> Keeper:
        """What keeps recordings and events, made when it is first needed. Raises OutputError."""
        with self._lock:
            if self.keeper is None:
                self.keeper = Keeper(self._file.config.record, self.bus)
                self.keeper.start()
                self._services.insert(0, self.keeper)
            return self.keeper

    def _tap(self, name: str, options: Mapping[str, Any], config: PipelineConfig, stream: SharedStream) -> PacketTap | None:
        """Who wants the packets of a camera that is being opened. Raises OutputError or ConfigError."""
        record = record_of(name, options, private=is_private(config))
        if record is None and self.keeper is None:
            return None
        return self._keep().tap(name, record, config, stream)

    def _camera(self, name: str) -> Camera:
        with self._lock:
            found, known = self._cameras.get(name), list(self._cameras)
        if found is None:
            there = ", ".join(known) or "none"
            raise ConfigError(f"there is no camera {brief(name)}{did_you_mean(name, known)} (there are: {there})")
        return found


def _is_recorded(file: LiveFile) -> bool:
    return any(record_of(name, each) for name, each in file.cameras.items())


def _read(cameras: object, trust: bool) -> LiveFile:
    """What was given, as a file would say it. Raises ConfigError."""
    if isinstance(cameras, LiveFile):
        return cameras
    if isinstance(cameras, str | PathLike):
        return load_live(Path(cameras), trust=trust, partly=True)
    if isinstance(cameras, Mapping):
        return read_live({"cameras": dict(cameras)}, "cameras", trust=trust, partly=True)
    if isinstance(cameras, Sequence):
        return read_live({"cameras": named([str(each) for each in cameras])}, "cameras", trust=trust)
    raise ConfigError(f"cameras: the path of a .yaml file, addresses, or a dict of cameras is needed, not {brief(cameras)}")
