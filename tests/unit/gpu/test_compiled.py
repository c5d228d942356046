"""Every kernel, as the stages launch it, compiles to machine code for the GPUs that people have. No GPU is needed for that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from streamseg.composite import Blur, Matte, Overlay, Pixelate
from tests.unit.gpu.cases import Case, drawn, prepared

GPUS = {80: "A100", 89: "L4, RTX 40", 90: "H100, H200", 120: "RTX 50"}
EFFECTS = (Overlay(), Blur("instances"), Pixelate(), Matte(feather=100))


@pytest.fixture(scope="module")
def launches() -> list[Any]:
    """A launch of each kernel as an NV12 picture needs it, of the two that do most also as P010 and planar 4:2:2 do."""
    from tests.unit.gpu.compiling import recorded

    with recorded() as made:
        prepared(Case("nv12", 160, 96), (40, 64))
        drawn(Case("nv12", effects=EFFECTS))
        for form in ("p010le", "yuv422p"):
            prepared(Case(form), (40, 64))
            drawn(Case(form, effects=(Overlay(),)))
        prepared(Case("nv12", 500, 300), (24, 40))
    several = ("preprocess_kernel", "paint_kernel")
    seen: dict[tuple[Any, ...], Any] = {}
    for launch in made:
        variant = (launch.given["luma"].dtype, launch.given["STEP"]) if launch.name in several else ()
        seen.setdefault((launch.name, *variant), launch)
    return list(seen.values())


def test_every_kernel_is_launched_by_a_stage(launches: list[Any]) -> None:
    kernels = Path(__file__).parents[3] / "streamseg" / "gpu" / "kernels"
    written = {
        line.removeprefix("def ").split("(")[0]
        for path in kernels.glob("*.py")
        for line in path.read_text().splitlines()
        if line.startswith("def ") and "_kernel(" in line
    }
    assert len(written) >= 12
    assert {launch.name for launch in launches} == written


@pytest.mark.timeout(300)
@pytest.mark.parametrize("capability", GPUS, ids=lambda c: f"sm_{c}")
def test_kernels_compile(capability: int, launches: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    # All variants for one GPU; for the others one of each kernel, which takes a second of a quiet core's time each as it is.
    chosen = launches if capability == 90 else {launch.name: launch for launch in reversed(launches)}.values()
    for launch in chosen:
        code = launch.compile(capability)
        assert len(code.asm["cubin"]) > 1000, launch.name
        assert f".target sm_{capability}" in code.asm["ptx"], launch.name


def test_no_frame_needs_a_kernel_of_its_own() -> None:
    """Triton compiles anew, for a second, where a number becomes 1 or a multiple of 16: none that differs between frames may."""
    from streamseg.gpu.kernels import CompositeKernels
    from tests.unit.gpu.cases import found, surface
    from tests.unit.gpu.compiling import recorded

    compositor, variants = CompositeKernels(EFFECTS, "cpu"), []
    moved = [
        tuple(tuple(edge + step for edge in (4, 4, 20, 18)) for step in steps) for steps in ((0,), (1, 12), range(0, 32, 2))
    ]
    for boxes in (((0, 0, 64, 48),), ((16, 16, 32, 32), (1, 1, 17, 17)), *moved):
        case = Case("nv12", boxes=boxes, effects=EFFECTS)
        with recorded() as made:
            compositor(surface(case, "cpu")[0], found(case))
        variants.append({launch.variant for launch in made})
    assert len(variants[0]) >= 8
    assert all(variant == variants[0] for variant in variants[1:])
