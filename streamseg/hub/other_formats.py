"""Files of other kinds than ONNX, told apart by their names or first bytes, and answered with the way to an ONNX file."""

from __future__ import annotations

from pathlib import Path

from streamseg.errors import ModelError

__all__ = ["OTHER_FORMATS", "looks_like", "refuse_other_format"]

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


_BEGINNINGS = (
    (b"version https://git-lfs", "a pointer of Git LFS, not the file: fetch that (git lfs pull)"),
    (b"<", "a page or a file of XML: download the model's file itself"),
    (b"PK\x03\x04", "a zip archive, as torch.save writes: export ONNX of the checkpoint"),
    (b"\x80", "a pickle, as torch.save wrote: export ONNX of the checkpoint"),
    (b"\x89HDF", "an HDF5 file, as Keras writes: make ONNX of it (tf2onnx)"),
    (b"\x1f\x8b", "compressed with gzip: unpack it"),
    (b"ftrt", "a TensorRT engine: give the ONNX file that it was made of"),
)
_SAMPLE = 200


def looks_like(data: bytes) -> str:
    """What bytes that are no ONNX file seem to be, for people; empty: nothing that is known."""
    if not data:
        return "it is empty"
    start = bytes(data[:_SAMPLE])
    for beginning, what in _BEGINNINGS:
        if start.lstrip().startswith(beginning):
            return f"it is {what}"
    if start[4:8] == b"ftyp" or start[:4] == b"\x1aE\xdf\xa3":
        return "it is a video"
    text = start.decode("utf-8", "ignore")
    if start.isascii() and all(letter.isprintable() or letter.isspace() for letter in text):
        return f"it is a text, which begins {text.split(chr(10))[0][:40]!r}"
    return ""


def refuse_other_format(path: Path) -> None:
    """Raise ModelError for a file of a kind that is known, and is not read here."""
    if (what := OTHER_FORMATS.get(path.suffix.lower())) is not None:
        raise ModelError(f"{path} is {what}; streamseg reads ONNX (docs/models.md, `Your own ONNX`)")
