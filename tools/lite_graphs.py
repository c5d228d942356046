"""Makes all graphs of `lite` anew from its weights, and measures them: `make lite-graphs DATA=FOLDER`.

    python -m tools.lite_graphs [--data FOLDER] [--clips samples/clips] [--weights FILE] [--out engines/lite] [--only-measure]

Writes lite-HxW.onnx for each size, lite-320x576-fp16.onnx, and lite-HxW-int8.onnx for each size, calibrated on the sample clips.
With `--data`, annotated photos as `streamseg eval` takes them, lite.quality.json gets the AP of each: `precision: auto` takes int8
only where that says that it costs little. Without it the old figures stay, and are not believed once the weights have changed.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from functools import partial
from pathlib import Path

from streamseg.engine.openvino import why_not_bf16
from streamseg.evaluate import Evaluation, evaluate
from streamseg.hub import quality
from streamseg.hub.exporter import export

ROOT = Path(__file__).parents[1]
SIZES = [(256, 448), (320, 576), (448, 768)]
GRAPHS = {"fp32": SIZES, "fp16": [(320, 576)], "int8": SIZES}
"""What is shipped: the sizes of each precision."""
say = partial(print, file=sys.stderr, flush=True)


def main() -> None:
    """Make, measure, and print the figures as a table for the card."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="annotated photos; none: nothing is measured")
    parser.add_argument("--clips", type=Path, default=ROOT / "samples" / "clips")
    parser.add_argument("--weights", type=Path, default=ROOT / "engines" / "lite" / "lite.safetensors")
    parser.add_argument("--out", type=Path, default=ROOT / "engines" / "lite")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--only-measure", action="store_true", help="the graphs are made already")
    options = parser.parse_args()
    if not options.only_measure:
        make(options.weights, options.out, options.clips)
    if options.data is not None:
        figures = measure(options.out, options.data, options.threads)
        print(table(figures))
        say(quality.keep(options.out, figures))


def make(weights: Path, out: Path, clips: Path) -> None:
    """All graphs, into `out`."""
    seen = sorted(str(path) for path in clips.glob("*.*") if path.suffix in (".mp4", ".avi"))
    if not seen:
        raise SystemExit(f"no clips in {clips} to calibrate int8 with: python samples/fetch.py {clips}")
    for precision, sizes in GRAPHS.items():
        calibrate = seen if precision == "int8" else []
        for path in export(str(weights), out, sizes, precision=precision, calibrate=calibrate, overwrite=True, on_message=say):
            say(path)


def measure(folder: Path, data: Path, threads: int) -> list[quality.Quality]:
    """What each graph in `folder` reaches on `data`, and the fp32 ones in bfloat16 where this CPU has it."""
    figures = []
    kinds = [*GRAPHS.items(), *([] if why_not_bf16() else [("bf16", SIZES)])]
    for precision, sizes in kinds:
        for height, width in sizes:
            suffix = "" if precision in ("fp32", "bf16") else f"-{precision}"
            path = folder / f"{folder.name}-{height}x{width}{suffix}.onnx"
            done = evaluate(data, model=path, engine="openvino", precision=precision, threads=threads)
            figures.append(_figure(done, (height, width), precision, data))
            say(figures[-1])
    return figures


def _figure(done: Evaluation, size: tuple[int, int], precision: str, data: Path) -> quality.Quality:
    report = done.to_json()
    objects = Counter(truth.category_id for case in done.cases for truth in case.photo.truths if not truth.crowd)
    common = done.categories[objects.most_common(1)[0][0]]
    box, mask = report["box"], report["mask"]
    return quality.Quality(
        size,
        precision,
        report["sha256"],
        f"{data.name}: {report['images']} photos, {report['objects']} objects",
        box["AP"],
        mask["AP"],
        common,
        box["per_class"][common]["AP"],
        mask["per_class"][common]["AP"],
    )


def table(figures: list[quality.Quality]) -> str:
    """The figures in Markdown, for the card."""
    common = figures[0].common
    lines = [f"| size | precision | box AP | mask AP | {common} box / mask AP |", "|---|---|---|---|---|"]
    for f in sorted(figures, key=lambda f: (f.size, f.precision)):
        size = f"{f.size[0]}×{f.size[1]}"
        lines.append(f"| {size} | {f.precision} | {f.box:.1f} | {f.mask:.1f} | {f.common_box:.1f} / {f.common_mask:.1f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
