"""streamseg: instance segmentation of video, in real time."""
