"""The GPU itself: its driver, streams and memory, and pictures that lie there. torch is imported only once a `Device` is made."""
