"""Everything that can only be found out on a GPU, in one run: is it right, how long does each part take, where is the limit.

    make gpu                      or: python benchmarks/gpu.py [--quick] [--json FILE] [--eval FOLDER]
    python benchmarks/gpu.py --device cpu --quick          does the script itself work? Its figures mean nothing.

Needs a CUDA torch with triton; TensorRT or TensorRT-RTX are measured where they are there and run on this chip, and else it is
said why not. Needs no internet: the clip is a pan over a photo of this repository, and networks whose weights were not pulled have
random ones (which changes answers, not speed). The JSON is written after every part, so that whatever ends the run leaves what is
done; a part that fails is reported and the next one begins; parts that would not fit into --budget are left out, and it is said.
"""

from __future__ import annotations

import argparse
import itertools
import os
import platform
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gpu_run import Bench, bars, show

ROOT = Path(__file__).resolve().parent.parent
TESTS = 240  # seconds

# --- parts ----------------------------------------------------------------------------------------------------------------------


def environment(bench: Bench) -> dict[str, Any]:
    import torch

    from streamseg.cli.doctor import doctor
    from streamseg.encode.video.nvenc import why_not_nvenc
    from streamseg.gpu.decode import why_not_nvdec

    report = doctor().as_dict()
    facts = {
        key: report[key] for key in ("python", "platform", "cpu", "cores", "versions", "ffmpeg", "gpus", "gpu_note", "engines")
    }
    facts |= {"torch_cuda": torch.version.cuda, "nvdec": why_not_nvdec() or "yes", "host": platform.node()}
    facts["nvenc"] = {name: why_not_nvenc(name) or "yes" for name in ("h264_nvenc", "hevc_nvenc")}
    if not bench.smoke:
        chip = torch.cuda.get_device_properties(0)
        facts["chip"] = (
            f"{chip.name}, sm_{chip.major}{chip.minor}, {chip.multi_processor_count} SMs, {chip.total_memory >> 30} GiB"
        )
        print(f"   {facts['chip']}")
    for engine in facts["engines"]:
        print(f"   {engine['name']}: {engine['why_not'] or 'runs'}")
    print(f"   NVDEC: {facts['nvdec']}; NVENC: {facts['nvenc']}")
    return facts


def correctness(bench: Bench) -> dict[str, Any]:
    """The tests that need a GPU, which may not skip; on the CPU those that stand in for them.

    Warnings are no errors here: the machine's libraries may be of other versions than those of CI.
    """
    where = ["tests/unit/gpu"] if bench.smoke else ["tests/gpu"]
    if not bench.smoke and {engine for _, engine in bench.engines} == {"torch"}:
        where += ["--ignore", "tests/gpu/test_tensorrt.py"]  # neither is here, as the environment says
    environment = os.environ | ({} if bench.smoke else {"STREAMSEG_REQUIRE_GPU": "1"})
    environment.pop("TRITON_INTERPRET", None)  # tests that interpret say so themselves
    options = ["-q", "-x" if bench.smoke else "--tb=short", "-p", "no:cacheprovider", "-W", "default"]
    command = [sys.executable, "-m", "pytest", *options, *where]
    try:
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=TESTS, check=False)
        passed, said = done.returncode == 0, done.stdout.strip() or done.stderr.strip()
    except subprocess.TimeoutExpired as late:  # what they said so far is worth having
        so_far = late.stdout.decode("utf-8", "replace") if isinstance(late.stdout, bytes) else late.stdout or ""
        passed, said = False, f"{so_far.strip()}\ndid not end within {TESTS} s"
    tail = said.splitlines()[-40:]
    print("\n".join(f"   {line}" for line in tail[-12:]), flush=True)
    return {"passed": passed, "what": where, "summary": tail[-1] if tail else "", "tail": tail}


def peaks(bench: Bench) -> dict[str, float]:
    import gpu_network

    bench.tflops, bench.bandwidth = gpu_network.peaks(bench.device)
    print(f"   float16 product {bench.tflops:.1f} TFLOP/s, copy {bench.bandwidth:.0f} GB/s")
    return {"tflops": bench.tflops, "gb_per_s": bench.bandwidth}


def prepare(bench: Bench, name: str) -> dict[str, Any]:
    """Load a network and work out its floor."""
    import gpu_network

    network = bench.networks[name] = gpu_network.load(name, bench.sizes[name])
    facts: dict[str, Any] = {"weights": network.weights}
    for batch in bench.batches:
        least = gpu_network.floor(network, batch, bench.tflops, bench.bandwidth)
        facts[f"floor of {batch}"] = asdict(least)
        bench.row(what="floor", network=network.key, batch=batch, ms=least.ms, layered_ms=least.layered_ms, gflops=least.gflops)
    return facts


def export(bench: Bench, name: str, engine: str) -> None:
    """Export a network for a TensorRT that is here."""
    import gpu_network

    graph = gpu_network.export(bench.networks[name], bench.precision, bench.folder)
    bench.engines[name, engine] = (bench.precision, str(graph))


def engine_only(bench: Bench, name: str, engine: str, batch: int) -> None:
    """Batches that lie on the GPU, always waiting; for TensorRT also how its answers differ from torch's in float32."""
    import gpu_network
    from gpu_streams import Job, engine_of

    precision, graph = bench.engines[name, engine]
    network = bench.networks[name]
    images = gpu_network.pictures(network, batch, bench.device)
    job = Job("", engine, name, network.size, precision, batch, 0, bench.device, graph)
    with engine_of(job) as opened:
        pace = gpu_network.pace(opened, images, bench.seconds, 2 if bench.smoke else 10)
        bench.row(what="engine", network=network.key, engine=engine, precision=precision, batch=batch, ms=pace.ms, fps=pace.fps)
        bench.rows[-1]["latency_ms"] = round(pace.latency_ms, 3)
        bench.rows[-1]["device"] = opened.device
        if batch == bench.batches[-1] and network.weights != "random":
            with gpu_network.reference(network, "fp32", batch, bench.device) as other:
                seen = _photos(network, batch)
                bench.rows[-1]["agreement"] = gpu_network.agreement(opened, other, seen)
                print(f"   against torch in float32: {bench.rows[-1]['agreement']}")


def _photos(network: Any, batch: int) -> Any:
    """Frames of the clip as the network sees them."""
    import gpu_streams
    import numpy as np

    from streamseg.decode import Decoder
    from streamseg.detect.preprocess import Preprocess

    prepare = Preprocess(*network.size)
    with Decoder(gpu_streams.street(640, 384, 40)) as decoder:
        return np.stack([prepare(frame).sample(1) for frame in itertools.islice(decoder.frames(), 0, 4 * batch, 4)])


def eager(bench: Bench, name: str, batch: int, compiled: bool) -> None:
    import gpu_network

    network, what = bench.networks[name], "torch.compile" if compiled else "torch eager"
    ms = gpu_network.torch_ms(network, batch, bench.device, bench.precision, compiled=compiled, count=bench.count)
    bench.row(what=what, network=network.key, precision=bench.precision, batch=batch, ms=ms, fps=1e3 * batch / ms)


def stages(bench: Bench, label: str) -> dict[str, Any]:
    """What the picture's stages take, alone."""
    import gpu_streams

    from streamseg.gpu import Device

    clip = gpu_streams.street(*bench.pictures[label], bench.frames)
    device, facts = Device(bench.device), {}
    for mode in ("host", "cpu", "auto"):
        ms, how = gpu_streams.decode_ms(clip, None if mode == "host" else device, mode, bench.frames)
        facts[f"decode, {mode}"] = ms
        bench.row(what="stage", picture=label, stage=f"decode ({how})", ms=ms)
    sizes, count = list(dict.fromkeys(bench.sizes.values())), 1 if bench.smoke else 20
    for name, ms in gpu_streams.stage_ms(clip, sizes, device, bench.count, count).items():
        facts[name] = ms
        bench.row(what="stage", picture=label, stage=name, ms=ms)
    return facts


def whole(bench: Bench, name: str, engine: str, batch: int, label: str, **how: Any) -> dict[str, Any] | None:
    """Decode to composite (and encode), one pipeline or several."""
    import gpu_streams

    streams, encode, decode = how.get("streams", 1), how.get("encode", False), how.get("decode", "auto")
    precision, graph = bench.engines[name, engine]
    have = bench.frames
    alone = next((r["fps"] for r in bench.rows if r["what"] == "engine" and _same(r, bench, name, engine, batch)), 0.0)
    frames = have if bench.smoke or streams > 1 else int(max(have, 4 * min(alone, 300.0)))
    clip = gpu_streams.long_enough(gpu_streams.street(*bench.pictures[label], have), frames, have)
    job = gpu_streams.Job(
        str(clip), engine, name, bench.sizes[name], precision, batch, frames, bench.device, graph, encode=encode, decode=decode
    )
    answer = gpu_streams.run(job) if streams == 1 else gpu_streams.run_together(job, streams)
    facts = {"network": bench.networks[name].key, "engine": engine, "batch": batch, "picture": label, "streams": streams}
    facts |= {"frames": "in host memory" if decode == "host" else "on the GPU", "encoded": "yes" if encode else "no"}
    bench.row(what="end to end", **facts, fps=float(answer["fps"]), of_engine=float(answer["fps"]) / alone if alone else 0.0)
    bench.rows[-1]["stages"] = answer.get("stages")
    return None


def _same(row: dict[str, Any], bench: Bench, name: str, engine: str, batch: int) -> bool:
    return (row["network"], row["engine"], row["batch"]) == (bench.networks[name].key, engine, batch)


def mask_ap(bench: Bench, engine: str) -> dict[str, Any]:
    """COCO AP of lite through an engine, on the photos given."""
    from streamseg.evaluate import evaluate

    precision, graph = bench.engines["lite", engine]
    model = graph or "lite"
    done = evaluate(bench.eval, model=model, engine=engine).to_json()
    return {"precision": precision, "results": done}


# --- their order ---------------------------------------------------------------------------------------------------------------


def everything(bench: Bench) -> None:
    """All parts, the ones that matter most first."""
    bench.part("environment", 5, lambda: environment(bench))
    bench.part("peaks", 5, lambda: peaks(bench))
    prepared(bench)
    computing(bench)
    if bench.tests:
        bench.part("correctness", 60, lambda: correctness(bench), 300)
    for label in bench.pictures:
        bench.part(f"stages {label}", 20, lambda label=label: stages(bench, label))
    pipelines(bench)
    for engine in dict.fromkeys(engine for name, engine in bench.engines if name == "lite" and bench.eval):
        bench.part(f"mask AP {engine}", 60, lambda engine=engine: mask_ap(bench, engine))
    for name in () if bench.smoke else bench.networks:
        for batch in bench.batches[:1] if bench.quick else bench.batches:
            bench.part(f"torch.compile {name} {batch}", 90, lambda a=(name, batch): eager(bench, *a, compiled=True), 300)


def prepared(bench: Bench) -> None:
    """The networks, and their graphs for the TensorRTs that are here."""
    from streamseg.engine import CANDIDATES

    for name in bench.sizes:
        bench.part(f"prepare {name}", 10, lambda name=name: prepare(bench, name))
    for name, engine in itertools.product(bench.networks, [c.name for c in CANDIDATES if c.gpu and c.why_not() is None]):
        if engine != "torch":
            bench.part(f"prepare {name} for {engine}", 30, lambda a=(name, engine): export(bench, *a))
    bench.engines |= {(name, "torch"): (bench.precision, "") for name in bench.networks}


def computing(bench: Bench) -> None:
    """Engines alone, and torch beside them."""
    for name, engine in list(bench.engines):
        for batch in reversed(bench.batches):  # an engine built for 8 also runs 1
            key, patience = f"{name} {engine} {batch}", 180 if engine == "torch" else 600  # the latter are built first
            bench.part(f"engine {key}", 20, lambda a=(name, engine, batch): engine_only(bench, *a), patience)
    for name in bench.networks:
        for batch in bench.batches:
            bench.part(f"torch eager {name} {batch}", 10, lambda a=(name, batch): eager(bench, *a, compiled=False))


def pipelines(bench: Bench) -> None:
    """Whole pipelines with each network's best engine that ran."""
    ran = {(row["network"], row["engine"]) for row in bench.rows if row["what"] == "engine"}
    best = dict.fromkeys(bench.networks, "torch")
    # The TensorRTs are first, and so win.
    best |= {name: engine for name, engine in reversed(bench.engines) if (bench.networks[name].key, engine) in ran}
    labels = list(bench.pictures)
    for name, engine in best.items():
        for label, batch in itertools.product(labels, bench.batches):
            if name != "resnet50-fpn" or (label, batch) == (labels[-1], bench.batches[-1]):  # its younger sibling will do
                key = f"end to end {name} {label} {batch}"
                bench.part(key, 20, lambda a=(name, engine, batch, label): whole(bench, *a))
        if name == "resnet50-fpn":
            continue
        one, most = (name, engine, bench.batches[0], labels[-1]), (name, engine, bench.batches[-1], labels[-1])
        bench.part(f"end to end {name} encoded", 20, lambda a=one: whole(bench, *a, encode=True))
        bench.part(f"end to end {name} in host memory", 20, lambda a=most: whole(bench, *a, decode="host"))
        bench.part(f"end to end {name} 8 streams", 60, lambda a=one: whole(bench, *a, streams=2 if bench.smoke else 8))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--quick", action="store_true", help="fewer networks, shorter runs")
    parser.add_argument("--json", type=Path, default=Path("gpu.json"))
    parser.add_argument("--eval", default=None, help="COCO-format annotations, or a folder with instances.json: mask AP")
    parser.add_argument("--budget", type=float, default=560.0, help="seconds; parts that do not fit are left out")
    parser.add_argument("--only", default="", metavar="REGEX", help="parts to run, as 'end to end lite'")
    parser.add_argument("--resume", action="store_true", help="go on after the last part that the JSON knows")
    parser.add_argument("--no-tests", action="store_true", help="leave the tests out")
    arguments = parser.parse_args()
    sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "benchmarks"), os.environ.get("PYTHONPATH", "")])
    if arguments.device == "cpu":
        os.environ |= {"TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"}  # before triton is imported, here and in children
    else:
        import torch

        if not torch.cuda.is_available():
            print("no GPU that torch can use here; --device cpu --quick tries the script itself", file=sys.stderr)
            return 2
    from streamseg.gpu import Device

    Device(arguments.device)  # before anything else uses the GPU: see there
    bench = Bench(arguments)
    everything(bench)
    shutil.rmtree(bench.folder, ignore_errors=True)
    bench.found["bars"] = [] if bench.smoke else bars(bench.rows)
    bench.save()
    show(bench)
    return 0


if __name__ == "__main__":
    sys.exit(main())
