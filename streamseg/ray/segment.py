"""`Segment`: what is found in pictures that are rows of a dataset already, as a function of `map_batches`.

Annotations are no strings here, so that `help` shows what they mean. The options are written by `python -m tools.options`.
"""

import sys
from collections.abc import Mapping, Sequence
from fractions import Fraction
from os import PathLike
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from streamseg.core.result import Result
from streamseg.core.types import Frame
from streamseg.decode.arrays import picture_of
from streamseg.detect.infer import Infer
from streamseg.detect.postprocess import Postprocess
from streamseg.detect.preprocess import Preprocess
from streamseg.engine import Engine
from streamseg.errors import ConfigError
from streamseg.errors.describe import brief
from streamseg.pipeline.configure import configured, python_words
from streamseg.pipeline.opening import load_engine
from streamseg.ray.read import with_threads
from streamseg.ray.rows import found_row, found_types

__all__ = ["Segment"]

_WITHOUT = ("track_ids",)
"""Of `FOUND`: pictures that nothing connects have no tracks."""


class Segment:
    """Finds the instances of each picture of a batch, by itself: nothing is followed from one row to the next.

        found = pictures.map_batches(
            streamseg.ray.Segment,
            fn_constructor_kwargs={"model": "lite", "classes": ["person"]},
            concurrency=2,
            num_gpus=1,
            batch_size=16,
        )

    Each actor opens one engine, with a thread for each of its `num_cpus`, unless `threads` says another number. The batch comes
    back as a `pyarrow.Table` with the columns `boxes`, `scores`, `labels`, `classes` and `masks` of `row_schema`, and `width` and
    `height` of the picture. With `batch_format="pyarrow"` the types of other columns stay as they are.
    """

    def __init__(
        self,
        column: str = "image",
        *,
        keep: bool = False,
        classes: str | Sequence[str] | None = None,
        conf: float | None = None,
        # options: network
        masks: Literal["auto", "box", "none"] | None = None,
        engine: str | None = None,
        model: str | PathLike[str] | None = None,
        family: str | None = None,
        head: Literal["full", "class-agnostic", "proposals"] | None = None,
        precision: str | None = None,
        require_gpu: bool | None = None,
        size: str | tuple[int, int] | None = None,
        batch: int | None = None,
        threads: int | None = None,
        no_tuned: bool | None = None,
        # options end
    ) -> None:
        """Open the engine.

        `classes` are those to keep, "person,car" or a list, and `conf` is the least score (0 to 1); None: as the model has it.

        Args:
            column: Where the pictures are: uint8 arrays, RGB [height, width, 3], or grey, which may differ in size.
            keep: Keep this column; it is left out otherwise.
            masks: auto: what the model gives; box: each box for its mask; none: boxes alone, which costs less.
            engine: What runs the network: auto, openvino, onnxruntime, tensorrt, tensorrt-rtx, torch.
            model: A name that `streamseg models` lists, or an .onnx file.
            family: What an .onnx file of another program is, as yolo-seg. Default: found from the file.
            head: How much of a Mask R-CNN to run: full; class-agnostic, anything that looks like an object; proposals, its
                regions alone.
            precision: Number format of the network: fp32, fp16, int8 (faster, slightly less exact), bf16 (OpenVINO, on CPUs
                that have it). Default: the fastest here that was measured to cost under half a point of AP; a file's own.
            require_gpu: Make it an error if the network cannot run on a GPU.
            size: Size of the network's input, HEIGHTxWIDTH in multiples of 32, as 320x576; largest: of those that the model
                comes with. Or (height, width). Default: the model's own.
            batch: Frames in one call of the network.
            threads: CPU threads of the engine. 0: one a core.
            no_tuned: Leave aside what `streamseg tune --apply` found for this machine.

        Raises StreamsegError.
        """
        given = {name: value for name, value in locals().items() if name not in ("self", "column", "keep")}
        if not isinstance(column, str) or not column:
            raise ConfigError(f"column is {brief(column)}; the name of one is needed")
        with python_words():
            config = with_threads(configured(given), *_share())
            self._engine: Engine = load_engine(config)
            spec, asked = self._engine.spec, config.postprocess
            self._column, self._keep = column, keep
            self._preprocess = Preprocess(*spec.size, spec.fit, spec.padding)
            self._infer = Infer(self._engine, config.infer.batch)
            conf = spec.conf if asked.conf is None else asked.conf
            family = None if asked.head == "auto" else asked.head
            self._postprocess = Postprocess(spec, conf=conf, classes=asked.classes, head=family, masks=asked.masks)

    def __call__(self, batch: Any) -> Any:
        """The batch, a dict of arrays or a `pyarrow.Table`, with what was found in its pictures.

        Raises ConfigError where it lacks the column of pictures, SourceError for what is no picture.
        """
        import pyarrow as pa

        table, pictures = _opened(batch, self._column)
        results = self._find(pictures)
        rows = [found_row(result) for result in results]
        columns = {name: pa.array([row[name] for row in rows], kind) for name, kind in found_types() if name not in _WITHOUT}
        for name in ("width", "height"):
            columns[name] = pa.array([getattr(result.frame, name) for result in results], pa.int32())
        drop = {*columns, *(() if self._keep else (self._column,))}
        table = table.drop_columns([name for name in table.column_names if name in drop])
        for name, values in columns.items():
            table = table.append_column(name, values)
        return table

    def _find(self, pictures: Sequence[Any]) -> list[Result]:
        """A Result of each, in order: the engine has whole batches under way."""
        frames = [Frame(picture_of(each, f"picture {i}"), i, i, Fraction(1)) for i, each in enumerate(pictures)]
        pending = [self._infer.take(self._preprocess(frame)) for frame in frames]
        self._infer.flush()
        return [self._postprocess(each) for each in pending]


def _opened(batch: Any, column: str) -> tuple[Any, Sequence[npt.NDArray[np.uint8]]]:
    """The batch as a `pyarrow.Table`, and its pictures."""
    import pyarrow as pa

    there = batch.column_names if isinstance(batch, pa.Table) else list(batch) if isinstance(batch, Mapping) else None
    if there is None:
        raise ConfigError(f"{brief(batch)}: Segment takes batch_format='numpy' (the usual one) or 'pyarrow'")
    if column not in there:
        raise ConfigError(f"there is no column {brief(column)}; there are {', '.join(there)}; say column=... of the pictures")
    if isinstance(batch, pa.Table):
        return batch, [each for chunk in batch[column].chunks for each in _arrays(chunk)]
    from ray.data.block import BlockAccessor

    return BlockAccessor.batch_to_arrow_block(batch), list(batch[column])


def _arrays(chunk: Any) -> Any:
    """The arrays in a column: of Arrow's own tensors, or of Ray's."""
    return chunk.to_numpy_ndarray() if hasattr(chunk, "to_numpy_ndarray") else chunk.to_numpy(zero_copy_only=False)


def _share() -> tuple[float | None, float]:
    """The cores and GPUs that Ray gives this actor; outside of Ray all cores: a `num_gpus` of 1 leaves threads as they are."""
    ray = sys.modules.get("ray")
    if ray is None or not ray.is_initialized():
        return None, 1
    context = ray.get_runtime_context()
    if context.get_actor_id() is None:
        return None, 1
    given = context.get_assigned_resources()
    return given.get("CPU"), given.get("GPU", 0)
