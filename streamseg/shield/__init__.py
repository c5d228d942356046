"""Privacy that fails closed: what must not be seen of a frame, worked out from what was found around it, and then hidden.

`Shield` runs behind the network and says, frame by frame, which cells are to be hidden (`core.cover`). `Hide` paints them before
any output sees the picture.
"""
