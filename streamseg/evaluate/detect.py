"""What a model finds in still photos, by the pipeline's own stages: preprocess, infer, postprocess, masks."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction

from streamseg.core import masks, rle
from streamseg.core.result import Result
from streamseg.core.types import Frame
from streamseg.datasets.faults import Faults
from streamseg.datasets.segments import Case, Detection, Photo
from streamseg.decode.images import decode_image
from streamseg.detect.infer import Infer, Pending
from streamseg.detect.postprocess import Postprocess
from streamseg.detect.preprocess import Preprocess
from streamseg.engine import Engine
from streamseg.errors import SourceError, Unreadable
from streamseg.pixels.orient import UPRIGHT, display_orientation, turn
from streamseg.pixels.planes import supported

__all__ = ["detect", "read_photo"]

MAX_PIXELS = 8192 * 8192


def read_photo(photo: Photo, index: int = 0) -> Frame:
    """The photo as the decoder would give it: in its own planes, turned as its annotations are. Raises SourceError.

    An upright photo whose size is not the annotations' is taken as it is stored if that has theirs: some tools heed the
    orientation that a camera notes, some do not.
    """
    decoded = decode_image(photo.path, MAX_PIXELS)
    orientation, stored = display_orientation(decoded) or UPRIGHT, supported(decoded)
    upright = turn(stored, orientation)
    for picture in (upright, stored):
        if (picture.width, picture.height) == (photo.width, photo.height):
            return Frame(picture, index, index, Fraction(1, 25))
    raise Unreadable(
        f"{photo.path}: is {upright.width}x{upright.height} pixels, but its annotations say {photo.width}x{photo.height}"
    )


def detect(
    engine: Engine, photos: Iterable[Photo], category_of: Mapping[int, int], faults: Faults, *, in_flight: int = 2
) -> Iterator[Case]:
    """Run an engine on photos, in their order, with every detection that the graph lets through.

    `category_of` gives the data set's category for each of the model's labels; other labels are dropped, as are categories that
    are not labelled in a photo. Photos that cannot be read are counted in `faults`. Raises EngineError or BadOutput.
    """
    preprocess = Preprocess(*engine.spec.size, engine.spec.fit, engine.spec.padding)
    infer = Infer(engine)
    postprocess = Postprocess(engine.spec, conf=0.0)
    under_way: deque[tuple[Photo, Pending]] = deque()
    for index, photo in enumerate(photos):
        try:
            frame = read_photo(photo, index)
            under_way.append((photo, infer.take(preprocess(frame))))
        except SourceError as error:
            faults.add("photo that cannot be read", str(error))
        if len(under_way) > in_flight:
            done, pending = under_way.popleft()
            yield _case(done, postprocess(pending), category_of)
    for done, pending in under_way:
        yield _case(done, postprocess(pending), category_of)
    nonsense = postprocess.counters.not_finite + postprocess.counters.absurd
    if nonsense:
        faults.add("detection that is not finite or impossible", f"{nonsense} of them, by {engine}", count=nonsense)
    if unknown := postprocess.counters.unknown_label:
        faults.add("detection of a label beyond the model's classes", f"{unknown} of them, by {engine}", count=unknown)


def _case(photo: Photo, result: Result, category_of: Mapping[int, int]) -> Case:
    """Masks are pasted at the photo's size, boxes as masks where they are alone.

    A mask without a pixel above one half is kept: to COCO it is a detection like others.
    """
    found, grids = result.instances, result.instances.mask_or_box
    detections = []
    for i, label in enumerate(found.labels.tolist()):
        category = category_of.get(label)
        if category is None or (photo.labelled is not None and category not in photo.labelled):
            continue
        x0, y0, x1, y1 = (float(v) for v in found.boxes[i])
        (left, top, _, _), crop = masks.paste(grids[i], found.boxes[i], photo.width, photo.height)
        mask = rle.encode(crop >= 128, left, top, photo.width, photo.height)
        counts = str(mask["counts"]).encode("ascii")
        encoded = {"size": [photo.height, photo.width], "counts": counts}
        detections.append(Detection(category, (x0, y0, x1 - x0, y1 - y0), encoded, float(found.scores[i])))
    return Case(photo, tuple(detections))
