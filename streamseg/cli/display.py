"""What a person sees in the terminal: progress, summaries, tables. Progress and messages go to stderr, answers to stdout."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, Task, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from streamseg.composite.places import crossings
from streamseg.encode import is_view
from streamseg.errors import scrub

if TYPE_CHECKING:
    from streamseg.pipeline.build import Pipeline
    from streamseg.pipeline.report import RunReport
    from streamseg.pipeline.speed import Speed

__all__ = ["Screen", "show_bench", "show_doctor", "show_probe", "show_tune", "stdout"]

Data = Mapping[str, Any]


class _Left(TimeRemainingColumn):
    """A column that shows the time that is left."""

    def render(self, task: Task) -> Text:
        """`0:00:17 left`; nothing while it is not known."""
        left = super().render(task)
        return left if not left.plain.strip("-:") else left.append(" left")


class Screen:
    """The terminal during a run; silent when `quiet`, without the moving bar when nobody watches."""

    def __init__(self, quiet: bool = False) -> None:
        self._console = Console(stderr=True, highlight=False, quiet=quiet)

    @property
    def console(self) -> Console:
        """The terminal, for who draws more than lines."""
        return self._console

    def say(self, message: str) -> None:
        """One line."""
        self._console.print(escape(scrub(message)), soft_wrap=True)

    def link(self, what: str, address: str, code: str = "") -> None:
        """An address that opens something, with its token, which a person has to have. In a terminal also a code for phones."""
        self._console.print(escape(f"{what}: {address}"), soft_wrap=True)
        if code and self._console.is_terminal:
            self._console.print(escape(code), soft_wrap=True)

    @contextlib.contextmanager
    def progress(self, pipeline: Pipeline) -> Iterator[Callable[[Pipeline], None] | None]:
        """A callable to update the bar with; None where there is no terminal."""
        for view in (sink.name for target, sink in pipeline.sinks if is_view(target.path)):
            self.say(f"watch: {view}")
        if self._console.quiet:
            yield None
            return
        if not self._console.is_terminal:
            yield _Minutes(self.say)
            return
        columns = (
            SpinnerColumn(),
            BarColumn(24),
            TaskProgressColumn(),
            TextColumn("{task.fields[seen]}", markup=False),
            _Left(),
        )
        with Progress(*columns, console=self._console, transient=True) as bar:
            total = None if pipeline.info.live else pipeline.info.frame_count
            task = bar.add_task("", total=total, seen="")
            told = 0

            def on_tick(running: Pipeline) -> None:
                nonlocal told
                for name, error in running.runtime.errors[told:]:
                    bar.console.print(escape(scrub(f"{name}: {error}")), style="red")
                    told += 1
                bar.update(task, completed=running.tally.frames, seen=_status(running))

            yield on_tick

    def summary(self, report: RunReport) -> None:
        """What was done, in a few lines."""
        seen = (
            ", ".join(f"{count} {name}" for name, count in sorted(report.objects.items(), key=lambda kv: -kv[1])) or "nothing"
        )
        latency = (
            f", latency {report.latency_ms['p50']:.0f} ms, p99 {report.latency_ms['p99']:.0f} ms" if report.latency_ms else ""
        )
        drops = f", {report.dropped} dropped" if report.dropped else ""
        how = "interrupted after " if report.interrupted else ""
        self.say(
            f"{how}{_frames(report.frames_done)} in {report.seconds:.1f} s ({report.fps:.1f} fps{latency}{drops}), seen: {seen}"
        )
        if report.skipped:
            self.say(f"  left out: {', '.join(f'{count} {reason}' for reason, count in report.skipped.items())}")
        for line in _speed_lines(report.speed):
            self.say(f"  {line}")
        for line in _event_lines(report.events):
            self.say(f"  {line}")
        for output in report.outputs:
            lost = f", {output.dropped} not shown" if output.dropped else ""
            self.say(f"  {output.name}: {output.path} ({_frames(output.frames)}{lost})")
            for warning in output.warnings:
                self.say(f"    warning: {warning}")
        if report.privacy:
            from streamseg.shield.safeties import told_of
        for hidden in report.privacy:
            self.say(f"  privacy: {', '.join(hidden['classes'] or ['all'])}: {told_of(hidden)}")
        if report.camera and report.camera["height"] is not None:
            self.say(f"  camera: {_camera_line(report.camera)}")
        if report.results and not report.results["read"] and report.results["frames"]:
            size = report.results["bytes"] / 1e6
            self.say(f"  results: {report.results['path']} ({_frames(report.results['frames'])}, {size:.1f} MB)")
        for warning in report.warnings:
            self.say(f"  warning: {warning}")


class _Minutes:
    """A line a minute, for who reads a log."""

    every = 60.0

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._last: tuple[float, int] = (0.0, 0)

    def __call__(self, running: Pipeline) -> None:
        (before, frames), now = self._last, running.elapsed
        if now - before < self.every:
            return
        done, total = running.tally.frames, None if running.info.live else running.info.frame_count
        rate, self._last = (done - frames) / (now - before), (now, done)
        written = sum(sink.counters.bytes for _, sink in running.sinks)
        said = [f"{_clock(running.tally.last_time)} of the film", f"{rate:.1f} fps", f"{written / 1e6:.0f} MB written"]
        if total and done < total:
            said += [f"{100 * done // total} %"] + ([f"about {_clock((total - done) / rate)} left"] if rate > 0 else [])
        self._say(", ".join(said))


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 3600}:{int(seconds) // 60 % 60:02}:{int(seconds) % 60:02}"


def _speed_lines(speed: Speed | None) -> Iterator[str]:
    if speed is None:
        return
    limit = f"limited by {speed.limit}"
    if speed.of_alone is None:
        yield limit
    else:
        yield f"of what the engine alone could do: {speed.of_alone:.2f} (it alone: {speed.alone:.1f} pictures a second); {limit}"
    yield from speed.slowed


def _event_lines(events: dict[str, Any]) -> Iterator[str]:
    for name, counts in events["lines"].items():
        yield f"line {name}: {crossings(counts)}"
    for name, counts in events["zones"].items():
        stay = f", stayed {counts['mean_seconds']:.1f} s on average, {counts['longest_seconds']:.1f} s at most"
        yield f"zone {name}: {counts['entered']} entered, {counts['left']} left, {counts['inside']} inside{stay}"


def _frames(count: int) -> str:
    return "1 frame" if count == 1 else f"{count} frames"


def _status(running: Pipeline) -> str:
    now = ", ".join(f"{count} {name}" for name, count in running.tally.current.items()) or "nothing"
    drops = f" {running.dropped} dropped" if running.dropped else ""
    return f"{running.tally.frames / max(running.elapsed, 1e-9):5.1f} fps{drops}  {now}"


def show_cameras(report: Data) -> None:
    """The answer of `streamseg cameras`."""
    console = stdout()
    console.print("[bold]this machine[/bold]")
    for camera in report["local"]:
        table = [f"{each['codec']} {each['width']}x{each['height']} {each['rate']:.3g} fps" for each in camera["formats"]]
        said = camera["problem"] or ", ".join(table) or "says nothing of its formats"
        console.print(f"  {camera['number']}  {escape(camera['name'])}: {escape(said)}", soft_wrap=True)
    if not report["local"]:
        console.print("  no camera")
    if report["network"] is None:
        return
    console.print("[bold]network (ONVIF)[/bold]")
    for camera in report["network"]:
        what = ", ".join(filter(None, (camera["name"], camera["hardware"], camera["location"]))) or camera["id"]
        console.print(f"  {escape(camera['host'])}  {escape(what)}", soft_wrap=True)
        if camera.get("problem"):
            console.print(f"    {escape(camera['problem'])}", soft_wrap=True)
        for stream in camera.get("streams", ()):
            size = f"{stream['codec']} {stream['width']}x{stream['height']} {stream['rate']:.3g} fps"
            console.print(f"    {escape(stream['address'])}  {escape(stream['name'])}, {size}", soft_wrap=True)
    if not report["network"]:
        console.print("  no camera has answered; one in another network is asked with --at HOST")
    elif not any("streams" in camera for camera in report["network"]):
        console.print("  with --user NAME they are asked for the addresses of their streams")


def show_probe(report: Data) -> None:
    """The answer of `streamseg probe`."""
    console = stdout()
    video, timing = report["video"], report["timing"]
    length = "live" if report["live"] else f"{report['duration']:.2f} s" if report["duration"] else "of unknown length"
    if not report["live"] and not report["duration"] and timing["frames"]:
        length = _frames(timing["frames"])
    kinds = dict.fromkeys((report["kind"], report["container"]))  # stills are of the kind "images", in a container "images"
    console.print(f"[bold]{escape(str(report['source']))}[/bold]: {', '.join((*kinds, length))}", soft_wrap=True)
    nominal = " nominal" if timing["variable"] else ""
    rate = f"{float(Fraction(timing['rate'])):.3f} fps{nominal}" if timing["rate"] else "no nominal rate"
    pace = {True: "variable", False: "constant", None: "unknown pace"}[timing["variable"]]
    colour = {tag: name for tag, name in video["color"].items() if tag != "hdr" and name != "unspecified"}
    table = Table(show_header=False)
    size = f"{video['width']}x{video['height']} upright"
    table.add_row("video", f"{video['codec']}, {size}, {video['scan']}, {video['pix_fmt']}, {video['bit_depth']} bit")
    table.add_row(
        "time", f"{rate}, {pace}, {timing['frames'] or 'unknown number of'} frames, time base {timing['time_base']} s"
    )
    table.add_row("colour", ", ".join(f"{tag} {name}" for tag, name in colour.items()) or "untagged")
    for stream in report["streams"]:
        if stream["index"] != video["stream"]:
            table.add_row(
                stream["type"], escape(f"{stream['codec']}, {stream['detail']}, {stream['language'] or 'no language'}")
            )
    for key, value in report["metadata"].items():
        table.add_row("metadata", escape(f"{key}: {value}"))
    console.print(table)
    console.print("streamseg would do this:")
    for sentence in report["plan"]:
        console.print(f"  • {escape(str(sentence))}", soft_wrap=True)
    for warning in report["warnings"]:
        console.print(f"  [yellow]warning: {escape(str(warning))}[/yellow]", soft_wrap=True)


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_plain(inner)}" for key, inner in value.items() if inner not in (None, "", {}, []))
    if isinstance(value, (list, tuple)):
        return ", ".join(_plain(inner) for inner in value)
    return str(value)


def show_doctor(report: Data) -> None:
    """The answer of `streamseg doctor`."""
    console = stdout()
    console.print(
        f"Python {report['python']} on {escape(str(report['platform']))}, {escape(str(report['cpu']))}, {report['cores']} cores"
    )
    for gpu in report["gpus"]:
        console.print(escape(_plain(gpu)))
    if report["gpu_note"]:
        console.print(escape(str(report["gpu_note"])))
    bf16 = report["no_bf16"] or ("" if "bf16" in report["faster"] else "it is slower than float32 here")
    console.print(f"--precision bf16: {'no, ' + escape(bf16) if bf16 else 'faster than float32 here'}")
    taken = ", ".join(f"{precision} for {model}" for model, precision in report["automatic"].items())
    console.print(f"--precision auto: {escape(taken) or 'nothing to run'}")
    table = Table("engine", "", "why not, and what to do")
    for engine in report["engines"]:
        state = "[green]chosen[/green]" if engine["chosen"] else ("[green]runs[/green]" if engine["runs"] else "[red]no[/red]")
        table.add_row(engine["name"], state, escape(engine["why_not"] or ""))
    console.print(table)
    for what, why_not in report["pictures"].items():
        console.print(f"{what}: {'yes' if why_not is None else escape(f'no: {why_not}')}", soft_wrap=True)
    versions = ", ".join(f"{name} {version}" for name, version in report["versions"].items() if version)
    console.print(escape(versions), soft_wrap=True)
    shipped = report["models"]
    if shipped["problem"]:
        console.print(f"[red]models: {escape(str(shipped['problem']))}[/red]")
    else:
        console.print(f"models: {len(shipped['files'])} files, all sound")
    for found in report["plugins"]:
        of = f"{found['kind']} {found['name']}: {found['package']} {found['version']} ({found['where']})"
        problem = f" [red]cannot be used: {escape(found['problem'])}[/red]" if found["problem"] else ""
        console.print(escape(of) + problem, soft_wrap=True)
    console.print("[green]ready[/green]" if report["ok"] else "[red]not ready: see above[/red]")


def show_bench(report: Data) -> None:
    """The answer of `streamseg bench`."""
    console = stdout()
    console.print(escape(f"{report['source']}, {report['size']}, {report['engine']}"), soft_wrap=True)
    table = Table("stage", "ms a frame, alone", "ms on a core")
    for name, stage in report["stages"].items():
        table.add_row(name, f"{stage['ms']:.2f}", f"{stage['core_ms']:.2f}")
    console.print(table)
    share = report["fps"] / report["bound_fps"]
    console.print(f"end to end {report['fps']:.1f} fps, {share:.2f} of the bound of {report['bound_fps']:.1f} fps")
    console.print(f"(bound: the slower of the slowest stage and all core time over {report['cores']} cores)")


def show_tune(report: Data) -> None:
    """The answer of `streamseg tune`."""
    console = stdout()
    heads = (
        "size",
        "precision",
        "requests",
        "threads",
        "batch",
        "every",
        "fps",
        "core ms",
        "latency ms",
        "mask AP",
        "found alike",
    )
    table = Table(*heads, "mask IoU", "held")
    for trial in report["trials"]:
        how = trial["choice"]
        threads = how["threads"] or "as cores"
        said = [trial["size"], how["precision"], how["in_flight"], threads, how["batch"], trial["every"]]
        said += [f"{trial['fps']:.1f}", f"{trial['core_ms']:.0f}", f"{trial['latency_ms']:.0f}"]
        said += [
            "-" if trial["mask_ap"] is None else f"{trial['mask_ap']:.1f}",
            f"{trial['matched']:.2f}",
            f"{trial['iou']:.2f}",
        ]
        first = report["trials"][0]
        chosen = how == report["chosen"] and (trial["every"], trial["size"]) == (first["every"], first["size"])
        table.add_row(*map(str, said), "yes" if trial["held"] else "no", style="green" if chosen else None)
    console.print(table)
    console.print("(fps and core time of the whole pipeline, latency of the network alone; compared with the first row)")
    if report["kept"]:
        console.print(f"fastest whose answers held: {_choice(report)}; {report['speedup']:.2f} times the fps of a run as it is")
        used = (
            "runs use it from now on (--no-tuned: not)" if report["applied"] else "not used yet: streamseg tune SOURCE --apply"
        )
        console.print(escape(f"kept in {report['kept']}; {used}"), soft_wrap=True)
    else:
        console.print(f"a run as it is is the fastest whose answers held: {_choice(report)}; nothing is kept")
    if not report["complete"]:
        console.print("not all was tried: more with --seconds")


def _choice(report: Data) -> str:
    from streamseg.engine.tuned import Choice

    return str(Choice(**report["chosen"]))


def stdout() -> Console:
    """Where answers go: as wide as the terminal, and wide where there is none."""
    console = Console(highlight=False)
    if not sys.stdout.isatty():
        console.width = 160
    return console


def _camera_line(camera: Mapping[str, Any]) -> str:
    field, height = f"{camera['fov']:.0f} degrees across", camera["height"]
    how = {"given": "as given", "exif": "from EXIF", "film": "from the film's metadata"}.get(camera["source"], "assumed")
    return f"{field} ({how}), {'height not known: no metres' if height is None else f'{height:g} m above the road'}"
