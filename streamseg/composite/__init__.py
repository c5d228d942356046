"""Effects on the picture, drawn in the decoder's own planes: a decoded frame is never turned into RGB and back."""

from streamseg.composite.alpha import Alpha, Matte, to_image
from streamseg.composite.area import Area, ByMask
from streamseg.composite.background import Background, GreenScreen
from streamseg.composite.canvas import Canvas
from streamseg.composite.compositor import Compositor, Rendered, colours_grey
from streamseg.composite.effect import Chain, Effect
from streamseg.composite.focus import DepthOfField
from streamseg.composite.grade import Desaturate, Exposure, Solid, Spotlight, Tint
from streamseg.composite.outline import Outline
from streamseg.composite.overlay import Overlay
from streamseg.composite.places import Counts, Zones
from streamseg.composite.privacy import Privacy
from streamseg.composite.remove import Remove
from streamseg.composite.soften import Blur, Pixelate

__all__ = [
    "Alpha",
    "Area",
    "Background",
    "Blur",
    "ByMask",
    "Canvas",
    "Chain",
    "Compositor",
    "Counts",
    "DepthOfField",
    "Desaturate",
    "Effect",
    "Exposure",
    "GreenScreen",
    "Matte",
    "Outline",
    "Overlay",
    "Pixelate",
    "Privacy",
    "Remove",
    "Rendered",
    "Solid",
    "Spotlight",
    "Tint",
    "Zones",
    "colours_grey",
    "to_image",
]
