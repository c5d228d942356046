"""Model files of other kinds than ONNX: they are told apart by their names, and answered with the way to an ONNX file."""

from __future__ import annotations

from pathlib import Path

from streamseg.errors import ModelError

__all__ = ["OTHER_FORMATS", "refuse_other_format"]

_IR = "OpenVINO IR, from which no ONNX file can be made: export ONNX where it came from (Geti and OTX: the format ONNX)"
OTHER_FORMATS = {
    ".xml": _IR,
    ".bin": _IR,
    ".engine": "a TensorRT engine, which runs only on the GPU and version that it was made for: give the ONNX file it was made of",
    ".plan": "a TensorRT engine, which runs only on the GPU and version that it was made for: give the ONNX file it was made of",
    ".tflite": "a TensorFlow Lite file: make ONNX of the SavedModel that it was made of (tf2onnx)",
    ".pb": "a TensorFlow graph: make ONNX of it (tf2onnx)",
    ".mlpackage": "a Core ML model: export ONNX where it came from",
}
"""What people have instead of ONNX, and how they come to it."""


def refuse_other_format(path: Path) -> None:
    """Raise ModelError for a file of a kind that is known, and is not read here."""
    if (what := OTHER_FORMATS.get(path.suffix.lower())) is not None:
        raise ModelError(f"{path} is {what}; streamseg reads ONNX (docs/models.md, `Your own ONNX`)")
