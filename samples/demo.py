"""The three pipelines on real video: what `make demo` runs. Results go to the folder `demo/`.

python samples/demo.py [FOLDER]
"""

from __future__ import annotations

import sys
from pathlib import Path

from fetch import FetchError, fetch
from rich.console import Console
from rich.table import Table

from streamseg import RunReport, StreamsegError, load_pipeline
from streamseg.cli.display import Screen
from streamseg.config import override
from streamseg.pipeline.build import build_pipeline
from streamseg.runtime.process import handle_signals

console = Console(stderr=True, highlight=False)
if not console.is_terminal:
    console.width = 130


def jobs(clips: dict[str, Path], folder: Path) -> list[tuple[str, Path, list[str], list[str]]]:
    """(pipeline, source, outputs, further flags) of each run."""
    pedestrians = clips.get("vtest.avi", clips["bikes.mp4"])
    return [
        ("drive", clips["bikes.mp4"], [f"{folder}/drive.mp4", f"{folder}/drive.jsonl"], []),
        ("drive", pedestrians, [f"{folder}/pedestrians.mp4"], ["--duration", "20s"]),
        ("edit", clips["carphone_pristine.mp4"], [f"{folder}/edit.mp4"], []),
        ("live", pedestrians, [f"{folder}/live.mp4"], ["--duration", "8s"]),
    ]


def run(pipeline: str, source: Path, outputs: list[str], flags: list[str]) -> RunReport:
    """One run, shown as the command that does the same."""
    shown = " ".join(["streamseg run", _short(source), "-p", pipeline, *(f"-o {o}" for o in outputs), *flags, "--overwrite"])
    console.print(f"\n[bold]$ {shown}[/bold]", soft_wrap=True)
    changes = {"decode": {flags[i].removeprefix("--"): flags[i + 1] for i in range(0, len(flags), 2)}}
    screen = Screen()
    built = build_pipeline(source, override(load_pipeline(pipeline), changes), outputs, overwrite=True, on_message=screen.say)
    with screen.progress(built) as on_tick, handle_signals(built.runtime.interrupt):
        report = built.run(on_tick)
    screen.summary(report)
    return report


def main(folder: Path) -> None:
    """Fetch, run, show a table."""
    clips = fetch()
    table = Table("pipeline", "source", "frames", "fps", "latency", "dropped", "seen", "results")
    for pipeline, source, outputs, flags in jobs(clips, folder):
        report = run(pipeline, source, outputs, flags)
        seen = ", ".join(f"{count} {name}" for name, count in report.objects.items()) or "nothing"
        written = "\n".join(output.path for output in report.outputs if not output.path.startswith("http"))
        latency = f"{report.latency_ms['p50']:.0f} ms" if report.latency_ms else "-"
        table.add_row(
            pipeline, source.name, str(report.frames_done), f"{report.fps:.1f}", latency, str(report.dropped), seen, written
        )
    console.print()
    console.print(table)
    console.print(f"engine: {report.engine}")
    console.print(f"Open {_short(folder)}/drive.mp4 to see the masks; README.md goes on from here.")


def _short(path: Path) -> str:
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("demo"))
    except (StreamsegError, FetchError) as error:
        sys.exit(f"demo: {error}")
