"""What `import streamseg` shows: these names and no others, each with a docstring and annotations that `help` can show."""

import inspect
import pydoc
import re
import subprocess
import sys
import types
import typing

import pytest

import streamseg

NAMES = [
    "Activity",
    "Edits",
    "Event",
    "EventsConfig",
    "Frame",
    "Instances",
    "JobReport",
    "Live",
    "Occlusion",
    "PipelineConfig",
    "Result",
    "Results",
    "RunReport",
    "SceneConfig",
    "Selection",
    "Session",
    "SmoothConfig",
    "StreamsegError",
    "TrackConfig",
    "Video",
    "__version__",
    "astream",
    "errors",
    "load_pipeline",
    "open",
    "open_results",
    "probe",
    "run",
    "run_many",
    "stream",
    "tune",
]
OF_OTHERS = {"supervision.Detections"}
"""Types of packages that need not be installed: only these may be named by a string."""


def test_the_public_names_are_these():
    assert dir(streamseg) == sorted(streamseg.__all__) == NAMES
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = streamseg.nothing


def test_from_streamseg_import_star_gives_them():
    names = {}
    exec("from streamseg import *", names)
    assert set(NAMES) <= set(names)


def test_the_type_checker_sees_what_there_is():
    """Each lazy name stands in the imports for type checkers, too."""
    source = inspect.getsource(streamseg)
    checked = source[source.index("if TYPE_CHECKING:") : source.index("__all__")]
    assert [name for name in NAMES if not re.search(rf"\b{name}\b", checked) and name not in ("StreamsegError", "errors")] == []


@pytest.mark.parametrize("name", [name for name in NAMES if name != "__version__"])
def test_each_is_documented(name):
    thing = getattr(streamseg, name)
    own = thing.__doc__ if not isinstance(thing, type) else thing.__dict__.get("__doc__")
    assert own
    assert not own.startswith(f"{name}("), "what dataclass writes where nothing is said"
    for member, value in members(thing):
        assert inspect.getdoc(value), f"{name}.{member}"


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("__version__", "errors")])
def test_annotations_are_types(name):
    thing = getattr(streamseg, name)
    if not isinstance(thing, type) or thing.__init__ is not object.__init__:
        annotated(name, thing, returns=not isinstance(thing, type))
    for member, value in members(thing):
        annotated(f"{name}.{member}", value.fget if isinstance(value, property) else value)


def members(thing):
    """The public members of a class that this package wrote, those of its bases included."""
    if not isinstance(thing, type):
        return
    for name in dir(thing):
        value = inspect.getattr_static(thing, name)
        value = getattr(thing, name) if isinstance(value, classmethod | staticmethod) else value
        inner = value.fget if isinstance(value, property) else value
        if not name.startswith("_") and getattr(inner, "__module__", "").startswith("streamseg") and callable(inner):
            yield name, value


def annotated(name, function, returns=True):
    signature = inspect.signature(function)
    given = [p.annotation for p in signature.parameters.values() if p.name != "self"]
    for annotation in [*given, *([signature.return_annotation] if returns else [])]:
        assert annotation is not inspect.Parameter.empty, name
        assert not isinstance(annotation, str) or annotation in OF_OTHERS, f"{name}: {annotation!r}"
        plain = isinstance(annotation, type | types.UnionType | str) or annotation in (None, typing.Any, typing.Self)
        assert plain or typing.get_origin(annotation), f"{name}: {annotation!r}"
    assert not any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values()), name


@pytest.mark.parametrize(
    "name", ["stream", "astream", "run", "probe", "load_pipeline", "Session", "Result", "Frame", "RunReport"]
)
def test_help_quotes_no_annotation(name):
    text = pydoc.render_doc(getattr(streamseg, name), renderer=pydoc.plaintext)
    own = text.partition("Method resolution order")[0]
    quoted = re.findall(r"(?:: |-> )'([\w.\[\], |]+)'", text)
    assert set(quoted) <= OF_OTHERS, own[:300]


def test_names_are_loaded_when_they_are_asked_for():
    code = (
        "import sys, streamseg; dir(streamseg); "
        "assert not {'av', 'cv2', 'openvino', 'streamseg.pipeline', 'streamseg.config.schema'} & set(sys.modules), sys.modules; "
        "streamseg.Frame; assert 'streamseg.pipeline' not in sys.modules and 'streamseg.engine' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"]])
def test_the_shells_help_waits_for_no_library(arguments):
    code = (
        f"import sys; sys.argv[1:] = {arguments!r}\n"
        "from streamseg.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit:\n"
        "    slow = {'av', 'cv2', 'numpy', 'openvino', 'torch', 'streamseg.config.schema', 'streamseg.decode'}\n"
        "    heavy = slow & set(sys.modules)\n"
        "    assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
