"""Registries: what installed packages add is found by name, imported when it is used, and never stands in the way of the rest."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from streamseg.composite import Blur, Compositor, Effect, Overlay
from streamseg.composite.effect import builtin
from streamseg.config import PipelineConfig, load_pipeline, override, parse_pipeline
from streamseg.errors import ConfigError
from streamseg.pixels import planes
from streamseg.system.registry import EFFECTS, Found
from tests.plugins import installed
from tests.unit.pictures import instances, noise, result

FOUND = [[10.0, 10.0, 40.0, 40.0]]

EFFECT = '''
from __future__ import annotations
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal
from pydantic import Field
from streamseg.composite import Canvas, Effect

@dataclass(frozen=True)
class Bleach(Effect):
    """Lightens the whole picture."""
    amount: Annotated[int, Field(ge=0, le=255)] = 128
    where: Literal["all", "top"] = "all"
    classes: tuple[str, ...] | None = None
    needed: float = 1.0

    def __post_init__(self):
        if self.needed < 0:
            raise ValueError(f"bleach: needed must not be negative, got {self.needed}")

    def __call__(self, canvas, instances):
        import numpy as np
        region = (0, 0, canvas.width, canvas.height)
        canvas.paint(region, np.full((canvas.height, canvas.width), self.amount, np.uint8), (255, 255, 255))
'''


def drawn(text: str, **options: bool) -> int:
    """The mean luma of a grey-ish picture after the effects of a pipeline file's text."""
    config = parse_pipeline(text, "x.yaml", **options)
    effects = [step.effect for step in config.outputs["a"].composite]
    picture = Compositor(effects)(result(noise("yuv420p", 64, 48), instances(FOUND))).picture
    return int(planes.views(picture).planes[0].array.mean())


def test_an_effect_of_an_installed_package_is_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(tmp_path, monkeypatch, {"effect": {"bleach": "shiny_a:Bleach"}}, {"shiny_a": EFFECT})
    plain = drawn("outputs: {a: {}}")
    assert drawn("outputs: {a: {composite: [bleach]}}") > plain + 30
    assert drawn("outputs: {a: {composite: [bleach: {amount: 255}]}}") > 230


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (
            "bleach: {amount: 300}",
            r"x\.yaml:4: outputs\.a\.composite\.0\.bleach\.amount: 300 is not allowed; expected less than",
        ),
        ("bleach: {where: left}", r"x\.yaml:4: .*bleach\.where: 'left' is not allowed; allowed: 'all' or 'top'"),
        ("bleach: {amont: 3}", r"x\.yaml:4: .*bleach\.amont: unknown key; did you mean 'amount'\? \(allowed: amount, classes"),
        ("bleach: {needed: -1}", r"x\.yaml:4: .*bleach: needed must not be negative, got -1"),
        ("bleach: 7", r"x\.yaml:4: .*bleach: 7 is not a section of options"),
        (
            "bleech",
            r"x\.yaml:4: .*bleech: there is no such effect; did you mean 'bleach'\? \(there are: alerts, alpha, .*zones, bleach\)",
        ),
        ("overlya: {}", r"x\.yaml:4: .*overlya: there is no such effect; did you mean 'overlay'\?"),
    ],
)
def test_its_options_are_checked_as_those_of_built_in_ones(
    step: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(tmp_path, monkeypatch, {"effect": {"bleach": "shiny_b:Bleach"}}, {"shiny_b": EFFECT})
    with pytest.raises(ConfigError, match=message):
        parse_pipeline(f"outputs:\n  a:\n    composite:\n      - {step}\n", "x.yaml")


def test_names_are_written_as_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(tmp_path, monkeypatch, {"effect": {"bleach": "shiny_c:Bleach"}}, {"shiny_c": EFFECT})
    config = parse_pipeline("outputs: {a: {composite: [bleach: {classes: 'car, dog'}]}}", "x.yaml")
    assert config.outputs["a"].composite[0].effect.class_names() == ("car", "dog")


def test_one_that_is_not_used_is_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(tmp_path, monkeypatch, {"effect": {"boom": "shiny_d:Boom"}}, {"shiny_d": "raise SystemExit(7)"})
    parse_pipeline("outputs: {a: {composite: [overlay, blur]}}", "x.yaml")
    with pytest.raises(ConfigError, match="boom"):  # the names are listed all the same
        parse_pipeline("outputs: {a: {composite: [bom]}}", "x.yaml")
    assert "shiny_d" not in sys.modules


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("raise SystemExit(7)", "SystemExit: 7"),
        ("import nothing_of_that_name", "No module named 'nothing_of_that_name'"),
        ("x = 1", "has no attribute 'Boom'"),
        ("def Boom(canvas, instances): ...", "not a class derived from streamseg.composite.Effect"),
        ("from streamseg.composite import Effect\nclass Boom(Effect): ...", "not a dataclass"),
        ("class Boom(", "SyntaxError"),
    ],
)
def test_one_that_fails_is_named_with_its_package_and_stops_no_other(
    text: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "shiny_e", raising=False)
    points = {"effect": {"bleach": "shiny_f:Bleach", "boom": "shiny_e:Boom"}}
    installed(tmp_path, monkeypatch, points, {"shiny_e": text, "shiny_f": EFFECT})
    with pytest.raises(ConfigError, match=r"x\.yaml:1: .*the effect 'boom' of shiny 1\.2 cannot be used: .*" + reason):
        parse_pipeline("outputs: {a: {composite: [boom]}}", "x.yaml")
    assert drawn("outputs: {a: {composite: [bleach: {amount: 255}]}}") > 230
    bleach, boom = EFFECTS.found()
    assert bleach == Found("effect", "bleach", "shiny", "1.2", "shiny_f:Bleach", None)
    assert boom.name == "boom"
    assert reason in (boom.problem or "")


def test_a_name_that_is_taken_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(tmp_path, monkeypatch, {"effect": {"blur": "shiny_g:Bleach"}}, {"shiny_g": EFFECT})
    assert isinstance(parse_pipeline("outputs: {a: {composite: [blur]}}", "x.yaml").outputs["a"].composite[0].effect, Blur)
    (found,) = EFFECTS.found()
    assert found.problem == "refused: streamseg itself has an effect 'blur'; rename the plug-in's"
    assert "shiny 1.2" in (EFFECTS.taken("blur") or "")
    assert EFFECTS.taken("overlay") is None
    assert "shiny_g" not in sys.modules


def test_two_packages_with_one_name_are_both_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    points = {"effect": {"bleach": "shiny_h:Bleach"}}
    installed(tmp_path / "1", monkeypatch, points, {"shiny_h": EFFECT})
    installed(tmp_path / "2", monkeypatch, points, {"dull_h": EFFECT}, package="dull")
    with pytest.raises(ConfigError, match=r"dull 1\.2 and shiny 1\.2 each bring the effect 'bleach': uninstall one"):
        parse_pipeline("outputs: {a: {composite: [bleach]}}", "x.yaml")
    assert [bool(found.problem) for found in EFFECTS.found()] == [True, True]


def test_what_broken_installations_left_behind_hides_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty and damaged dist-info folders of any package, as after an uninstallation that was interrupted."""
    installed(tmp_path, monkeypatch, {"effect": {"bleach": "shiny_r:Bleach"}}, {"shiny_r": EFFECT})
    for name, files in {
        "empty-1.0": {},
        "shiny-0.9": {},
        "cut-1.0": {"METADATA": b"", "entry_points.txt": b"[streamseg.effects]\nlost = nowhere:Lost\n"},
        "odd-1.0": {"METADATA": b"Name: odd\n", "entry_points.txt": b"\xff\xfe[x]\n"},
        "loose-1.0": {"METADATA": b"Name: loose\n", "entry_points.txt": b"no section\n[streamseg.effects\nbad\n"},
    }.items():
        folder = tmp_path / f"{name}.dist-info"
        folder.mkdir()
        for file, data in files.items():
            (folder / file).write_bytes(data)
    assert drawn("outputs: {a: {composite: [bleach: {amount: 255}]}}") > 230
    assert {found.name: found.package for found in EFFECTS.found()} == {"bleach": "shiny", "lost": "?"}


def test_a_package_that_is_found_twice_counts_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Installed for development with an egg-info beside; lib64 that is a link to lib."""
    points = {"effect": {"bleach": "shiny_t:Bleach"}}
    installed(tmp_path / "lib", monkeypatch, points, {"shiny_t": EFFECT}, package="shiny_twice")
    installed(tmp_path / "dev", monkeypatch, points, {"shiny_t": EFFECT}, package="shiny_twice", version="1.3.dev")
    (tmp_path / "lib64").symlink_to(tmp_path / "lib")
    monkeypatch.syspath_prepend(str(tmp_path / "lib64"))
    assert [(found.version, found.problem) for found in EFFECTS.found()] == [("1.2", None)]
    assert drawn("outputs: {a: {composite: [bleach: {amount: 255}]}}") > 230


@pytest.mark.parametrize("typed", ["amount: Fancy = 3", "amount: 'no such type' = 3"])
def test_options_of_a_type_that_is_not_there_when_the_file_is_read_are_named(
    typed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where it is imported for type checkers alone."""
    text = EFFECT.replace("amount: Annotated[int, Field(ge=0, le=255)] = 128", typed)
    monkeypatch.delitem(sys.modules, "shiny_v", raising=False)
    installed(tmp_path, monkeypatch, {"effect": {"bleach": "shiny_v:Bleach"}}, {"shiny_v": text})
    with pytest.raises(ConfigError, match=r"x\.yaml:1: .*'bleach' of shiny 1\.2 cannot be used: the types of its fields "):
        parse_pipeline("outputs: {a: {composite: [bleach]}}", "x.yaml")


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (
            "amount: Annotated[int, Field(ge=0, le=255)] = 128",
            "amount: Canvas = None",
            "shiny_w:Bleach cannot be checked: Unable to",
        ),
        ("if self.needed < 0:", "if self.nedded < 0:", "bleach cannot be made with these options: AttributeError: "),
    ],
)
def test_what_else_goes_wrong_with_a_strangers_options_is_said(
    old: str, new: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "shiny_w", raising=False)
    installed(tmp_path, monkeypatch, {"effect": {"bleach": "shiny_w:Bleach"}}, {"shiny_w": EFFECT.replace(old, new)})
    with pytest.raises(ConfigError, match=r"x\.yaml:1: .*" + reason):
        parse_pipeline("outputs: {a: {composite: [bleach]}}", "x.yaml")
    assert "overlay" in str(PipelineConfig.model_json_schema())


USE = "outputs:\n  a:\n    composite:\n      - use: beside_{0}:Bleach\n        amount: {1}\n"


def test_code_beside_a_file_runs_only_where_it_is_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "beside_a.py").write_text(EFFECT)
    file = tmp_path / "mine.yaml"
    file.write_text(USE.format("a", 255))
    with pytest.raises(
        ConfigError, match=r"mine\.yaml:4: .*'beside_a:Bleach' would run code.*--trust \(in Python: trust=True\)"
    ):
        load_pipeline(file)
    assert "beside_a" not in sys.modules
    config = load_pipeline(file, trust=True)
    effect = config.outputs["a"].composite[0].effect
    assert (type(effect).__name__, effect.amount) == ("Bleach", 255)  # type: ignore[attr-defined]
    changed = override(config, {"postprocess": {"conf": 0.7}, "outputs": {"b": {"composite": ["overlay"]}}})
    assert changed.outputs["a"] == config.outputs["a"]  # what was trusted once is not asked for again


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (USE.format("b", 300), r"x\.yaml:5: outputs\.a\.composite\.0\.amount: 300 is not allowed"),
        (USE.format("b", "3\n        x: 1"), r"x\.yaml:6: .*unknown key"),
        (
            "outputs: {a: {composite: [{use: nowhere_at_all:Bleach}]}}",
            "nowhere_at_all:Bleach cannot be imported: ModuleNotFound",
        ),
        ("outputs: {a: {composite: [{use: 'os:system'}]}}", "os:system is not an effect: it is not a class derived from"),
        ("outputs: {a: {composite: [{use: glow}]}}", "'glow' does not name a class; write module:Class"),
        ("outputs: {a: {composite: [{use: '../x:y'}]}}", "'../x:y' does not name a class"),
        ("outputs: {a: {composite: [{use: 7}]}}", "7 does not name a class"),
    ],
)
def test_references_are_answered_like_names(text: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "beside_b.py").write_text(EFFECT)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ConfigError, match=message):
        parse_pipeline(text, "x.yaml", trust=True)


def test_an_effect_can_be_registered_for_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EFFECTS, "_registered", {})
    EFFECTS.register("second_overlay", Overlay)
    config = parse_pipeline("outputs: {a: {composite: [second_overlay: {fill: 1}]}}", "x.yaml")
    assert config.outputs["a"].composite[0].effect == Overlay(fill=1)
    with pytest.raises(ConfigError, match="there is already an effect 'blur'"):
        EFFECTS.register("blur", Overlay)
    with pytest.raises(ConfigError, match="cannot be registered as an effect: it is not a class derived from"):
        EFFECTS.register("mine", print)


def test_a_built_in_effect_is_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from streamseg import composite

    text = EFFECT.replace("    amount:", '    name: ClassVar[str] = "bleach"\n    amount:')
    (tmp_path / "bleach.py").write_text(text)
    monkeypatch.setattr(composite, "__path__", [*composite.__path__, str(tmp_path)])
    builtin.cache_clear()
    try:
        assert drawn("outputs: {a: {composite: [overlay, bleach: {amount: 255}]}}") > 230
        assert EFFECTS.found() == []
    finally:
        builtin.cache_clear()
        sys.modules.pop("streamseg.composite.bleach", None)


def test_every_effect_says_its_own_name() -> None:
    assert {name: kind.name for name, kind in builtin().items()} == {name: name for name in EFFECTS.names()}
    assert Effect.name == ""
