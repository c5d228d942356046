"""The base of all sections of a pipeline file or a recipe: what none of them takes, and in which words it is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, field_validator

from streamseg.config.problems import in_words
from streamseg.config.values import is_number
from streamseg.errors import ConfigError

if TYPE_CHECKING:
    from pydantic._internal._model_construction import ModelMetaclass
else:
    ModelMetaclass = type(BaseModel)  # it has no public name

__all__ = ["Section"]


class _Refuses(ModelMetaclass):
    """Lets `TrackConfig(...)` raise ConfigError in the words that a pipeline file gets.

    It stands here, not in `__init__`: pydantic would call that for sections within sections, too, whose places would be lost.
    """

    def __call__(self: type[BaseModel], *args: Any, **values: Any) -> Any:  # type: ignore[misc]  # of a metaclass
        try:
            return ModelMetaclass.__call__(self, *args, **values)
        except ValidationError as error:
            said = in_words(self, error, self.__name__)
        raise ConfigError(said)


class Section(BaseModel, metaclass=_Refuses):
    """Base of all sections: unknown keys are errors, values are not changed after the check. Raises ConfigError."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_for_numbers(cls, value: Any, info: ValidationInfo) -> Any:
        """Python takes True for 1; who writes `conf: true` meant something else."""
        if isinstance(value, bool) and is_number(cls.model_fields[info.field_name or ""]):
            raise ValueError(f"{value} is not allowed; a number is needed")
        return value
