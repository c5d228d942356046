"""Decoded pictures as numbers: planes as numpy views, what their codes mean, fields, orientation, letterbox. No frame, no time."""
