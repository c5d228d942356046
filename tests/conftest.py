"""For all tests."""

import os

from streamseg.system.imports import import_openvino

# MKL keeps buffers by thread and has been seen to spin for ever where one thread ends while torch multiplies in another.
os.environ.setdefault("MKL_DISABLE_FAST_MM", "1")

# Here and in the processes that tests start, also where a test imports a runtime itself: no report to its makers.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
import_openvino()
