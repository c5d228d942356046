"""For all tests."""

import os

# MKL keeps buffers by thread and has been seen to spin for ever where one thread ends while torch multiplies in another.
os.environ.setdefault("MKL_DISABLE_FAST_MM", "1")
