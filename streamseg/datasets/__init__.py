"""Annotated photos, as evaluation and training both read them: COCO-format files, their faults, their masks."""
