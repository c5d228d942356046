"""How a compiled model is run: one protocol, one module per runtime.

`open_engine("lite")` picks the best engine that runs here. To add one, write a module with `why_not_x` and `open_x` and give it
a line in `choose.CANDIDATES`.
"""

from streamseg.engine.base import Engine
from streamseg.engine.choose import CANDIDATES, ENGINE_NAMES, computes_on_gpu, open_engine
from streamseg.engine.outputs import Outputs
from streamseg.hub.graph_spec import GraphSpec, read_spec

__all__ = ["CANDIDATES", "ENGINE_NAMES", "Engine", "GraphSpec", "Outputs", "computes_on_gpu", "open_engine", "read_spec"]
