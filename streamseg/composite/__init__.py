"""Effects on the picture, drawn in the decoder's own planes: a decoded frame is never turned into RGB and back."""

from streamseg.composite.alpha import Alpha, Matte, to_image
from streamseg.composite.canvas import Canvas
from streamseg.composite.compositor import Compositor, Rendered, colours_grey
from streamseg.composite.effect import Effect
from streamseg.composite.overlay import Overlay
from streamseg.composite.places import Counts, Zones
from streamseg.composite.soften import Blur, Pixelate

__all__ = [
    "Alpha",
    "Blur",
    "Canvas",
    "Compositor",
    "Counts",
    "Effect",
    "Matte",
    "Overlay",
    "Pixelate",
    "Rendered",
    "Zones",
    "colours_grey",
    "to_image",
]
