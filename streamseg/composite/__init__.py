"""Effects on the picture, drawn in the decoder's own planes: a decoded frame is never turned into RGB and back."""

from streamseg.composite.alerts import Alerts
from streamseg.composite.alpha import Alpha, Matte, to_image
from streamseg.composite.area import Area, ByMask
from streamseg.composite.background import Background, GreenScreen
from streamseg.composite.birdseye import Birdseye
from streamseg.composite.canvas import Canvas
from streamseg.composite.compositor import Compositor, Rendered, colours_grey
from streamseg.composite.corridor import Corridor
from streamseg.composite.drive import DriveEffect
from streamseg.composite.effect import Chain, Effect
from streamseg.composite.focus import DepthOfField
from streamseg.composite.grade import Desaturate, Exposure, Solid, Spotlight, Tint
from streamseg.composite.hidden import Hidden
from streamseg.composite.instruments import Instruments
from streamseg.composite.lead import Lead
from streamseg.composite.legend import Legend
from streamseg.composite.outline import Outline
from streamseg.composite.overlay import Overlay
from streamseg.composite.places import Counts, Zones
from streamseg.composite.privacy import Privacy
from streamseg.composite.remove import Remove
from streamseg.composite.soften import Blur, Pixelate
from streamseg.composite.trails import Trails

__all__ = [
    "Alerts",
    "Alpha",
    "Area",
    "Background",
    "Birdseye",
    "Blur",
    "ByMask",
    "Canvas",
    "Chain",
    "Compositor",
    "Corridor",
    "Counts",
    "DepthOfField",
    "Desaturate",
    "DriveEffect",
    "Effect",
    "Exposure",
    "GreenScreen",
    "Hidden",
    "Instruments",
    "Lead",
    "Legend",
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
    "Trails",
    "Zones",
    "colours_grey",
    "to_image",
]
