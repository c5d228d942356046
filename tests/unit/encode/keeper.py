"""A keeper of parts in a folder, for tests."""

from pathlib import Path


class Folder:
    """Keeps parts of `length` pictures in a folder, and their hashes in memory."""

    def __init__(self, folder: Path, length: int = 10) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.length, self.notes, self.threads = folder, length, {}, 0

    def path(self, part: str) -> Path:
        return self.folder / part

    def digest(self, part: str) -> str | None:
        return self.notes.get(part)

    def note(self, part: str, sha256: str) -> None:
        self.notes[part] = sha256
