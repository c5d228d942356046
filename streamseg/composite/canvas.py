"""The picture that effects draw on: the decoder's own until an effect writes to it, then a copy.

All drawing is one operation, on each plane in its own codes: out = picture x (255 - alpha) / 255 + paint x alpha / 255. Where alpha
is 0 the result is the picture's value exactly; where it is 255, the paint's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeVar

import av
import cv2
import numpy as np
import numpy.typing as npt

from streamseg.core.cover import Cover
from streamseg.core.masks import Region, Sample
from streamseg.core.scene import Scene
from streamseg.core.types import Activity
from streamseg.pixels import color, planes
from streamseg.pixels.layouts import PlaneSpec
from streamseg.pixels.picture import AnyPicture

__all__ = ["Canvas", "Rows", "Shrunk", "crop", "reduced", "shrink"]

Array = npt.NDArray[Any]
ByteArray = npt.NDArray[np.uint8]
RGB = tuple[int, int, int]
T = TypeVar("T")
Rows = Callable[[slice], Array]
"""Makes some rows of a plane's crop: those of the slice, whose start and stop are given."""

_BAND = 1 << 17  # samples: with their floats half a megabyte


class Canvas:
    """One frame's picture on its way through the effects of one output."""

    def __init__(
        self,
        picture: AnyPicture,
        activity: Activity | None = None,
        *,
        interlaced: bool = False,
        time: float = 0.0,
        epoch: int = 0,
        covers: Mapping[object, Cover] = MappingProxyType({}),
        scene: Scene | None = None,
        utc: float | None = None,
        arrived: float | None = None,
        film: dict[type, Any] | None = None,
    ) -> None:
        self.interlaced = interlaced
        """The picture is two fields: what works on lines above one another works on each alone."""
        self.activity = activity
        """Counts and events of the frame, for effects that show them."""
        self.scene = scene
        """What is known of the road, for effects that show it."""
        self.time, self.epoch = time, epoch
        """When the frame is shown, seconds; and its epoch, which grows where continuity is lost."""
        self.utc, self.arrived = utc, arrived
        """When it was captured, seconds since 1970, and `time.monotonic()` when it left the decoder; None: not known."""
        self.covers = covers
        """What must not be seen, for each effect that hides it."""
        self.film = {} if film is None else film
        """What the effects of one output keep in common from frame to frame: see `common`."""
        self.labels: list[Region] = []
        """Where labels lie in this frame, for effects whose own labels are to lie beside them."""
        supported = planes.supported(picture)
        # A picture that was converted is nobody else's.
        self._own = supported is not picture
        self.source = supported
        """The picture before anything was drawn; not to be written into."""
        self._take(supported)

    def _take(self, picture: av.VideoFrame) -> None:
        self._picture = picture
        self._views: planes.Planes | None = None
        self._codes: dict[RGB, tuple[float, ...]] = {}
        self.encoding = color.encoding(picture)
        self.width, self.height = int(picture.width), int(picture.height)
        self.unit = min(self.width, self.height) / 1080
        """Pixels of this picture to one of a 1080p picture: what sizes of drawings are multiplied by."""
        specs = self.views().layout.planes
        self.steps = 1 << max(s.shift_x for s in specs), 1 << max(s.shift_y for s in specs) << self.interlaced
        """Pixels across and down that share a chroma sample; of interlaced pictures those of both fields."""
        self.align = max(1 << max(spec.shift_x, spec.shift_y) for spec in specs) << self.interlaced
        """Regions whose corners are multiples of this cover whole chroma samples, of both fields, and begin with the top one."""

    def common(self, kind: type[T]) -> T:
        """The one object of its kind that the effects of this output have in common, from its first frame to its last."""
        found: T = self.film.get(kind) or self.film.setdefault(kind, kind())
        return found

    @property
    def picture(self) -> av.VideoFrame:
        """The picture as it stands; not to be written into."""
        return self._picture

    def views(self) -> planes.Planes:
        """The planes as they stand, for reading."""
        if self._views is None:
            self._views = planes.views(self._picture)
        return self._views

    def writable(self) -> planes.Planes:
        """The planes, for writing: the picture is copied the first time."""
        if not self._own:
            self._picture = planes.copy_frame(self._picture)
            self._own, self._views = True, None
        return self.views()

    def replace(self, picture: av.VideoFrame) -> None:
        """Go on with `picture`, which must be nobody else's."""
        self._own = True
        self._take(picture)

    def codes(self, rgb: RGB) -> tuple[float, ...]:
        """The codes of an sRGB colour in this picture's encoding, and of an opaque alpha."""
        found = self._codes.get(rgb)
        if found is None:
            found = self._codes[rgb] = (*color.drawing_codes(rgb, self.encoding), float(2**self.encoding.depth - 1))
        return found

    def opacity(self, region: Region) -> ByteArray | None:
        """The picture's own alpha under a region, 255 opaque, uint8 of its size; None: it has none."""
        layout = self.views().layout
        if not layout.alpha:
            return None
        array, spec = next(plane for plane in self.views().planes if 3 in plane.spec.components)
        part = crop(array, region, 0, 0)
        alpha = part if part.ndim == 2 else part[:, :, spec.components.index(3)]
        return np.ascontiguousarray(alpha >> (layout.depth - 8)).astype(np.uint8)

    def by_field(self, work: Callable[..., Array], *parts: Array) -> Array:
        """What `work` makes of crops of one height that begin with the top field; of interlaced ones, of each field alone."""
        if not self.interlaced:
            return work(*parts)
        made = np.empty_like(parts[0])
        for parity in range(min(2, len(made))):
            made[parity::2] = work(*(np.ascontiguousarray(part[parity::2]) for part in parts))
        return made

    def paint(self, region: Region, alpha: ByteArray, rgb: RGB, halved: ByteArray | None = None) -> None:
        """Lay a colour over `region` (corners at multiples of `align`, or at the frame's border).

        `alpha` is uint8 at full size; `halved`, if it is at hand, the same at half size, for 4:2:0 chroma.
        """
        codes = self.codes(rgb)
        lsb = self.writable().layout.lsb
        shrunk = Shrunk(alpha, self.interlaced, None if self.interlaced else halved)
        weights: dict[tuple[int, int, int], tuple[Array, Array]] = {}
        for array, spec in self.writable().planes:
            target = crop(array, region, spec.shift_x, spec.shift_y)
            key = (spec.shift_x, spec.shift_y, len(spec.components))
            if key not in weights:
                weights[key] = _weights(shrunk.like(spec), target)
            weight, rest = weights[key]
            paint = [round(codes[c]) for c in spec.components]
            if lsb:
                target[...] = _over_color(target >> lsb, weight, rest, paint) << lsb
            else:
                _over_color(target, weight, rest, paint)

    def fill(self, region: Region, rgb: RGB) -> None:
        """Put a colour in the place of `region`, its corners at the nearest multiples of `align`: for small bars, much cheaper."""
        align, (x0, y0, x1, y1) = self.align, region
        x0, y0 = max(0, round(x0 / align) * align), max(0, round(y0 / align) * align)
        x1, y1 = min(self.width, round(x1 / align) * align), min(self.height, round(y1 / align) * align)
        if x1 <= x0 or y1 <= y0:
            return
        codes, planes = self.codes(rgb), self.writable()
        for array, (components, right, down) in planes.planes:
            ink = [round(codes[c]) << planes.layout.lsb for c in components]
            part = array[y0 >> down : -(-y1 >> down), x0 >> right : -(-x1 >> right)]
            part[...] = ink[0] if len(ink) == 1 else ink

    def mix(self, region: Region, alpha: ByteArray, others: Sequence[Array | Rows | None], *, keep_alpha: bool = False) -> None:
        """Lay other planes over `region`: for each of this picture's planes a crop of the region, or what makes rows of it; None
        leaves that plane as it is. `keep_alpha`: so does this with a picture's alpha that lies among its colours.
        """
        lsb = self.writable().layout.lsb
        shrunk = Shrunk(alpha, self.interlaced)
        for (array, spec), other in zip(self.writable().planes, others, strict=True):
            if other is None:
                continue
            target, weight = crop(array, region, spec.shift_x, spec.shift_y), shrunk.like(spec)
            alpha_at = spec.components.index(3) if keep_alpha and target.ndim == 3 and 3 in spec.components else None
            # In bands that stay in the cache: whole planes of floats would go to memory and back for every step.
            band = max(1, _BAND // max(1, target.shape[1]))
            for top in range(0, len(target), band):
                rows = slice(top, min(top + band, len(target)))
                lowest, highest = _ends(weight[rows])
                if not highest:
                    continue
                kept = target[rows, :, alpha_at].copy() if alpha_at is not None else None
                _lay(target[rows], weight[rows], other(rows) if callable(other) else other[rows], lowest == 255, lsb)
                if kept is not None:
                    target[rows, :, alpha_at] = kept


class Shrunk:
    """Alpha in the sizes that the planes need, each made once."""

    def __init__(self, alpha: ByteArray, interlaced: bool, halved: ByteArray | None = None) -> None:
        """`alpha` is at full size; `halved`, if it is at hand, the same at half size."""
        self._interlaced = interlaced
        self._alphas: dict[tuple[int, int], ByteArray] = {(0, 0): alpha}
        if halved is not None:
            self._alphas[1, 1] = halved

    def like(self, spec: PlaneSpec) -> ByteArray:
        """Alpha of the samples of a plane `spec`."""
        key = (spec.shift_x, spec.shift_y)
        found = self._alphas.get(key)
        if found is None:
            found = self._alphas[key] = shrink(self._alphas[0, 0], *key, self._interlaced)
        return found


def crop(array: Array, region: Region, shift_x: int, shift_y: int) -> Array:
    """The part of a plane under `region` (full-size pixels)."""
    x0, y0, x1, y1 = region
    return array[y0 >> shift_y : -(-y1 >> shift_y), x0 >> shift_x : -(-x1 >> shift_x)]


def shrink(alpha: npt.NDArray[Sample], shift_x: int, shift_y: int, interlaced: bool = False) -> npt.NDArray[Sample]:
    """The mean alpha under each sample of a subsampled plane, of its own field; an odd last column or row counts as two."""
    if not (shift_x or shift_y):
        return alpha
    if interlaced and shift_y:
        whole = np.empty((-(-alpha.shape[0] >> shift_y), -(-alpha.shape[1] >> shift_x)), alpha.dtype)
        for parity in (0, 1):
            into, of = whole[parity::2], shrink(alpha[parity::2], shift_x, shift_y)
            into[...] = of[: len(into)]
        return whole
    h, w = alpha.shape
    more_x, more_y = -w % (1 << shift_x), -h % (1 << shift_y)
    if more_x or more_y:
        alpha = cv2.copyMakeBorder(alpha, 0, more_y, 0, more_x, cv2.BORDER_REPLICATE)  # type: ignore[assignment]
    size = ((w + more_x) >> shift_x, (h + more_y) >> shift_y)
    return cv2.resize(alpha, size, interpolation=cv2.INTER_AREA)  # type: ignore[return-value]


def reduced(array: Array, step: int) -> Array:
    """Means of step x step blocks; the last ones are filled up by repeating the edge."""
    h, w = array.shape[:2]
    if h % step or w % step:
        array = cv2.copyMakeBorder(array, 0, -h % step, 0, -w % step, cv2.BORDER_REPLICATE)
    return cv2.resize(array, (-(-w // step), -(-h // step)), interpolation=cv2.INTER_AREA)


def _weights(alpha: ByteArray, like: Array) -> tuple[Array, Array]:
    """Alpha and 255 - alpha in the type and with the channels of `like`."""
    rest: Array = cv2.bitwise_not(alpha)
    weight: Array = alpha
    if like.dtype != np.uint8:
        weight, rest = weight.astype(like.dtype), rest.astype(like.dtype)
    if like.ndim == 3:
        weight, rest = cv2.merge([weight] * like.shape[2]), cv2.merge([rest] * like.shape[2])
    return weight, rest


def _over_color(target: Array, weight: Array, rest: Array, paint: list[int]) -> Array:
    """`paint`, one code a channel, over `target`, in place."""
    cv2.multiply(target, rest, target, 1 / 255)
    if len(paint) > 1:
        added: Array = cv2.multiply(weight, np.array([*paint, 0, 0, 0][:4], np.float64), scale=1 / 255)
    elif target.dtype == np.uint8:
        added = cv2.convertScaleAbs(weight, alpha=paint[0] / 255)
    else:
        added = cv2.addWeighted(weight, paint[0] / 255, weight, 0, 0)
    return cv2.add(target, added, target)


def _ends(alpha: ByteArray) -> tuple[int, int]:
    """The lowest and the highest."""
    lowest, highest, _, _ = cv2.minMaxLoc(alpha)
    return int(lowest), int(highest)


def _lay(target: Array, alpha: ByteArray, other: Array, opaque: bool, lsb: int) -> None:
    """`other` over `target`, in place; `opaque`: alpha is 255 throughout."""
    if opaque:
        target[...] = other >> lsb << lsb if lsb else other
        return
    weight, rest = _weights(alpha, target)
    if lsb:
        target[...] = _over(target >> lsb, weight, rest, other >> lsb) << lsb
    else:
        _over(target, weight, rest, other)


def _over(target: Array, weight: Array, rest: Array, other: Array) -> Array:
    """`other` over `target`, in place."""
    cv2.multiply(target, rest, target, 1 / 255)
    return cv2.add(target, cv2.multiply(other, weight, scale=1 / 255), target)
