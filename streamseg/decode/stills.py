"""A source of image files: a film of stills at a rate, or one file that holds several pictures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

from streamseg.decode.address import Address
from streamseg.decode.header import Header, images_header
from streamseg.decode.images import missing_numbers, open_pages, read_images
from streamseg.decode.pages import Pages
from streamseg.decode.picture import DecodedPicture
from streamseg.system.callbacks import Message

__all__ = ["Stills", "open_stills"]


@dataclass(frozen=True, slots=True)
class Stills:
    """Pictures that are decoded when they are asked for."""

    header: Header
    pictures: Iterator[DecodedPicture]
    first: int
    """The number of the first of `pictures` in the source."""


def open_stills(address: Address, start: Fraction, rate: Fraction | None, max_pixels: int, on_message: Message) -> Stills:
    """The pictures of `address.images` from `start` seconds on. rate: how many a second where they have no times; None: 25.

    on_message: hears of gaps in the numbers and of what is not read. Raises SourceError, also later, while pictures are read.
    """
    pages = open_pages(address.images[0], max_pixels) if len(address.images) == 1 else None
    first = int(-(-start * (rate or Fraction(25)) // 1))
    if pages is not None:
        return _pages(address, pages, first, rate, on_message)
    rate = rate or Fraction(25)
    if gaps := missing_numbers(address.images):
        on_message(gaps)
    images = read_images(address.images, rate, first, max_pixels, on_message)
    header = images_header(address, rate, len(address.images))
    return Stills(header, (DecodedPicture(image, image.pts, 1 / rate, 1) for image in images), first)


def _pages(address: Address, pages: Pages, first: int, rate: Fraction | None, on_message: Message) -> Stills:
    """One file of several pictures: at their own times, or, without any, at `rate`."""
    header = images_header(address, rate or Fraction(25), pages.count)
    if pages.seconds is not None:
        first = 0
        own = Fraction(pages.count) / Fraction(pages.seconds).limit_denominator(1000)
        header = replace(header, time_base=Fraction(1, 1000), rate=own, duration=pages.seconds)
        if rate is not None:
            on_message(f"{address.name}: the rate of {float(rate):g} frames a second is not used: it has times of its own")
    found = (DecodedPicture(page.picture, page.start, header.time_base, page.duration) for page in pages.read(first))
    return Stills(header, found, first)
