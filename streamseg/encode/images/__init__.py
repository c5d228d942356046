"""Image sequences: one file a picture."""
