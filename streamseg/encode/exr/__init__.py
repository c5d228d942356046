"""OpenEXR for compositors: one file a frame, with its colour, a matte a track, and Cryptomatte."""
