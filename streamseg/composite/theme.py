"""Day and night: how bright drawings are, by how bright the picture is, so that they can be read and do not glare."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import av

from streamseg.composite.canvas import Canvas
from streamseg.composite.memory import Memory
from streamseg.errors import ConfigError
from streamseg.pixels import planes
from streamseg.pixels.color import drawing_codes, encoding

__all__ = [
    "CALM",
    "CAUTION",
    "DAY",
    "NIGHT",
    "WARNING",
    "Light",
    "Theme",
    "ThemeName",
    "alert_color",
    "brightness",
    "checked_theme",
]

RGB = tuple[int, int, int]
ThemeName = Literal["auto", "day", "night"]

# Okabe and Ito's sky blue, orange and vermillion: told apart with any colour vision, by their lightness too.
CALM: RGB = (86, 180, 233)
CAUTION: RGB = (240, 170, 20)
WARNING: RGB = (213, 64, 0)

_SETTLING = 1.5  # seconds in which the brightness is followed: a bridge or a lorry is no night
_LOOKS = 0.2  # seconds after which it is looked at again
# Mean signal of the picture between which it stays what it was: lit streets at night have 0.1 to 0.2, days more than 0.33.
_NIGHT_BELOW, _DAY_ABOVE = 0.22, 0.3


@dataclass(frozen=True, slots=True)
class Theme:
    """Colours that do not depend on what is shown; sRGB."""

    name: Literal["day", "night"]
    panel: RGB
    """Behind text and insets."""
    opacity: float
    """Of that, 0..1."""
    text: RGB
    faint: RGB
    """Lines of a grid, text beside what matters."""
    bright: float
    """What all other colours are multiplied by."""
    fill: float
    """What the opacity of areas is multiplied by."""

    def shade(self, rgb: RGB) -> RGB:
        """A colour as this theme shows it."""
        if self.bright == 1:
            return rgb
        r, g, b = (round(c * self.bright) for c in rgb)
        return r, g, b


DAY = Theme("day", (22, 26, 31), 0.72, (245, 246, 247), (132, 140, 148), 1.0, 1.0)
NIGHT = Theme("night", (8, 10, 12), 0.8, (176, 180, 184), (84, 90, 96), 0.72, 0.65)


def checked_theme(effect: str, theme: str) -> None:
    """Raise ConfigError, in which `effect` is named, for a theme that there is not."""
    if theme not in get_args(ThemeName):
        raise ConfigError(f"{effect}: theme must be one of {', '.join(get_args(ThemeName))}, got {theme!r}")


def alert_color(alert: int, calm: RGB = CALM) -> RGB:
    """The colour of an alert: `calm` where there is none."""
    return (calm, CAUTION, WARNING)[min(max(alert, 0), 2)]


def brightness(picture: av.VideoFrame) -> float:
    """The mean signal of a picture: 0 black, 1 white (in HDR the reference white).

    Of every 32nd pixel of every 32nd row; of RGB pictures the green ones.
    """
    views, of = planes.views(picture), encoding(picture)
    luma = 1 if of.family == "rgb" else 0
    array, spec = next(plane for plane in views.planes if luma in plane.spec.components)
    samples = array[min(16, len(array) - 1) :: 32, min(16, array.shape[1] - 1) :: 32]
    samples = samples if samples.ndim == 2 else samples[:, :, spec.components.index(luma)]
    black, white = (drawing_codes(grey, of)[luma] for grey in ((0, 0, 0), (255, 255, 255)))
    mean = (float((samples >> views.layout.lsb).mean()) - black) / (white - black)
    return min(max(0.0, mean), 1.0)


class Light:
    """Chooses the theme in one run: follows the brightness slowly, and changes it only where that is clear."""

    def __init__(self) -> None:
        self._memory = Memory()
        self._mean, self._since = 0.0, 0.0
        self._chosen = DAY

    @classmethod
    def of(cls, canvas: Canvas, theme: ThemeName) -> Theme:
        """The theme for one frame that an effect asks for; the same for all effects of the canvas's film."""
        if theme != "auto":
            return NIGHT if theme == "night" else DAY
        return canvas.common(cls)(canvas)

    def __call__(self, canvas: Canvas) -> Theme:
        """The theme for one frame."""
        passed = self._memory.step(canvas)
        if passed is None:
            self._mean, self._since = brightness(canvas.source), 0.0
            self._chosen = NIGHT if self._mean < (_NIGHT_BELOW + _DAY_ABOVE) / 2 else DAY
            return self._chosen
        self._since += passed
        if self._since >= _LOOKS:
            self._mean += min(1.0, self._since / _SETTLING) * (brightness(canvas.source) - self._mean)
            self._since = 0.0
            if self._mean < _NIGHT_BELOW:
                self._chosen = NIGHT
            elif self._mean > _DAY_ABOVE:
                self._chosen = DAY
        return self._chosen
