"""Which category of a data set each class of a model is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from streamseg.errors import ConfigError

__all__ = ["match_categories", "parse_pools"]


def match_categories(classes: Sequence[str], category_ids: Sequence[int], categories: Mapping[int, str]) -> dict[int, int]:
    """{label: category id} for the classes that the data set has.

    By name, whatever the case. Where those found so all have the same id as in the model, both number their categories as COCO
    does, and a class that is called otherwise there is found by its id. Raises ConfigError if there is no class in common.
    """
    by_name = {name.casefold(): identity for identity, name in categories.items()}
    matched = {label: by_name[name.casefold()] for label, name in enumerate(classes) if name.casefold() in by_name}
    if matched and all(category_ids[label] == identity for label, identity in matched.items()):
        free = categories.keys() - matched.values()
        matched |= {label: i for label, i in enumerate(category_ids) if label not in matched and i in free}
    if not matched:
        raise ConfigError(
            f"the model and the data have no class in common: the model finds {', '.join(classes)}; the data has "
            f"{', '.join(categories.values())}"
        )
    return matched


def parse_pools(texts: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """{name: classes} of texts as `vehicles=car,bus`. Raises ConfigError."""
    pools: dict[str, tuple[str, ...]] = {}
    for text in texts:
        name, equals, members = text.partition("=")
        names = tuple(member.strip() for member in members.split(",") if member.strip())
        if not equals or not name.strip() or not names:
            raise ConfigError(f"{text!r} is not a pool; write NAME=CLASS,CLASS, as vehicles=car,bus")
        pools[name.strip()] = names
    return pools
