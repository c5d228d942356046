"""What a person decided of a film, for one run: the sidecar's edits, and whom `--select` and the effects' `where` mean in it.

A part of that is known when the whole film has been looked at: numbers of tracks that the sidecar speaks of, `largest`, `at`. It is
taken from the results file; where there is none that fits, the film is looked at first, and rendered from the file after that.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from streamseg.composite import Effect
from streamseg.composite.choose import outside, selection_of
from streamseg.config.schema import PipelineConfig
from streamseg.edits import ENDING, Edits, Film
from streamseg.errors import ConfigError
from streamseg.errors.describe import classes_known, counted
from streamseg.pipeline.outputs import Target
from streamseg.record import ENDING as RESULTS_ENDING
from streamseg.record import Results
from streamseg.select import Selection
from streamseg.select.terms import quoted

__all__ = ["Decided", "check_known", "decide", "describe", "edits_of", "needs_film", "shown_classes", "sidecar_of"]


@dataclass(frozen=True, slots=True)
class Decided:
    """For the frames of a run."""

    film: Film | None
    """What was found, with the edits on it; None: nothing has to be known of the whole film."""
    selection: Selection
    """Of classes and tracks alone."""
    targets: Sequence[Target]
    """The outputs, with effects whose `where` is of that kind, too."""


def sidecar_of(results: Path) -> Path:
    """The sidecar of a results file: film.streamseg.json beside film.streamseg."""
    name = results.name.removesuffix(RESULTS_ENDING) if results.name.lower().endswith(RESULTS_ENDING) else results.name
    return results.with_name(f"{name}{ENDING}")


def edits_of(config: PipelineConfig, results: Path | None) -> tuple[Edits, Path | None]:
    """The edits of a run, and their file; `results`: where its results file is, or would be. Raises ConfigError."""
    asked = config.select.edits
    if asked == "off":
        return Edits(), None
    if asked != "auto":
        path = Path(asked).expanduser()
        return Edits.read(path), path
    beside = None if results is None else sidecar_of(results)
    return (Edits.read(beside), beside) if beside is not None and beside.exists() else (Edits(), None)


def needs_film(config: PipelineConfig, edits: Edits, targets: Sequence[Target]) -> str:
    """What of a run's wishes is known when the whole film has been looked at, in words; empty: nothing is."""
    if edits.names or edits.classes or edits.merges or edits.splits or edits.forbidden:
        return "what the edits say of its tracks"
    wishes = [("selection", Selection.parse(config.select.objects))]
    for target in targets:
        wishes += [(f"where of {_called(target, effect)}", wish) for effect in target.effects if (wish := _wish(effect))]
    for what, wish in wishes:
        if wish.needs_film or set(wish.names) & {*edits.selections}:
            return f"the {what} ({wish})"
    return ""


def shown_classes(config: PipelineConfig, known: Collection[str], edits: Edits | None = None) -> tuple[str, ...] | None:
    """The classes that are shown: those asked for, and those that the selection names; None: all."""
    asked = config.postprocess.classes
    names, _ = (edits or Edits()).named_in(Selection.parse(config.select.objects))
    named = [name for name in names if name in known]
    return None if asked is None else tuple(dict.fromkeys((*asked, *named)))


def check_known(selection: Selection, classes: Sequence[str]) -> None:
    """Raise ConfigError for a name in a selection that is no class, where there are no edits that could know it."""
    for name in selection.names:
        if name not in classes:
            raise ConfigError(
                f"select: {quoted(name)} is neither a class nor a name that was given; {classes_known(name, classes)}"
            )


def decide(
    config: PipelineConfig, results: Results | None, edits: Edits, sidecar: Path | None, targets: Sequence[Target]
) -> Decided:
    """What a run does with each frame. `results`: what was found in the whole film, where that is at hand.

    Raises ConfigError for edits that do not fit, and for what a selection cannot mean.
    """
    selection = Selection.parse(config.select.objects)
    if results is None:
        return Decided(None, selection, targets)
    try:
        film = Film(results, edits, shown_classes(config, results.class_names, edits), edits.named_in(selection)[1])
    except ConfigError as error:
        raise ConfigError(f"{sidecar}: {error}; mend it with `streamseg tracks`, or leave it out: --edits off") from error
    try:
        meant = film.resolve(selection)
    except ConfigError as error:
        raise ConfigError(f"select: {error}") from error
    return Decided(film, meant, [_resolved(target, film, meant) for target in targets])


def describe(decided: Decided, sidecar: Path | None, config: PipelineConfig) -> Iterator[str]:
    """What was decided, in a line each."""
    film = decided.film
    if film is None:
        return
    if sidecar is not None and film.edits:
        edits = film.edits
        parts = (
            (edits.names, "name"),
            (edits.classes, "class"),
            (edits.merges, "merge"),
            (edits.splits, "split"),
            (edits.forbidden, "forbidden track"),
        )
        yield f"edits: {sidecar}: {', '.join(counted(len(part), what) for part, what in parts if part) or 'selections alone'}"
    if decided.selection != Selection.all():
        meant = film.tracks_of(decided.selection)
        names = [film.words(track) for track in meant[:6]] + (["..."] if len(meant) > 6 else [])
        shown = ", ".join(names) or "nothing"
        yield f"select: {config.select.objects}: {shown} ({len(meant)} of {counted(len(film.tracks), 'track')})"


def _resolved(target: Target, film: Film, within: Selection) -> Target:
    steps = list(target.composite)
    for i, step in enumerate(steps):
        if (wish := _wish(step.effect)) is not None:
            try:
                meant = str(film.resolve(wish, within))
            except ConfigError as error:
                raise ConfigError(f"outputs: {_called(target, step.effect)}: where: {error}") from error
            where = f"background of {meant}" if outside(step.effect.where) else meant  # type: ignore[attr-defined]
            effect = dataclasses.replace(step.effect, where=where)  # type: ignore[type-var]
            steps[i] = step.model_copy(update={"effect": effect})
    return replace(target, composite=tuple(steps))


def _wish(effect: Effect) -> Selection | None:
    """The selection in an effect's `where`, if it has such a field, and one in it."""
    where = getattr(effect, "where", None)
    return selection_of(where) if isinstance(where, str) else None


def _called(target: Target, effect: Effect) -> str:
    return f"{target.name}: {effect.name or type(effect).__name__}"
