"""The link stage: looks at tracks of a film again with what came after known. What happens live cannot wait for that."""

from streamseg.link.link import Link

__all__ = ["Link"]
