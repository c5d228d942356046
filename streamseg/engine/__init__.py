"""How a compiled model is run: one protocol, one module per runtime.

`open_engine("lite")` picks the best engine that runs here. To add one, write a module with `why_not_x` and `open_x` and give it
a line in `choose.CANDIDATES`; or give a package of your own an entry point of `streamseg.engines` that is a `Candidate`.
"""

from streamseg.engine.base import Engine, PooledEngine
from streamseg.engine.choose import CANDIDATES, Candidate, computes_on_gpu, open_engine
from streamseg.engine.outputs import Outputs
from streamseg.hub.graph_spec import GraphSpec, read_spec

__all__ = [
    "CANDIDATES",
    "Candidate",
    "Engine",
    "GraphSpec",
    "Outputs",
    "PooledEngine",
    "computes_on_gpu",
    "open_engine",
    "read_spec",
]
