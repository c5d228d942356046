"""Write the options of `streamseg.pipeline.options` into the signatures and docstrings of the functions that take them.

    python -m tools.options           # write them
    python -m tools.options --check   # say which files are not as it would write them

In a signature they stand between `# options: GROUP ...` and `# options end`, in a docstring under `Args:`, behind the arguments
that are the function's own. A function for the shell has them as `Annotated[type, flag(name)]`.
"""

from __future__ import annotations

import re
import sys
import textwrap
from pathlib import Path

from streamseg.pipeline.options import OPTIONS, Option, help_of, in_python

__all__ = ["FILES", "written"]

ROOT = Path(__file__).resolve().parents[1]
FILES = (
    "streamseg/api.py",
    "streamseg/cli/live.py",
    "streamseg/cli/measure.py",
    "streamseg/cli/report.py",
    "streamseg/cli/run.py",
    "streamseg/cli/serve.py",
    "streamseg/cli/tracks.py",
    "streamseg/live/live.py",
    "streamseg/pipeline/session.py",
    "streamseg/ray/read.py",
    "streamseg/ray/segment.py",
)
WIDTH = 128
_FUNCTION = re.compile(r"^(?P<indent> *)(?:async )?def \w+\(\n.*?(?=^(?P=indent)(?:async )?def |^(?P=indent)@|\Z)", re.M | re.S)
_SIGNATURE = re.compile(r"^(?P<indent> *)# options: (?P<how>[^\n]*)\n.*?^ *# options end\n", re.M | re.S)
_ARGS = re.compile(r"^(?P<indent> *)Args:\n(?P<entries>(?:(?P=indent) {4}.*\n)+)", re.M)


def written(text: str) -> str:
    """A module's text with all options in it as they are declared."""
    return _FUNCTION.sub(lambda match: _function(match[0]), text)


def _function(text: str) -> str:
    marker = _SIGNATURE.search(text)
    if marker is None:
        return text
    indent, (first, *others) = marker["indent"], marker["how"].split(" = ")
    groups = first.split()
    chosen = [o for o in OPTIONS if not {*groups}.isdisjoint(o.groups) and (o.shell or "shell" not in groups)]
    switches = dict.fromkeys(("overwrite", "preview", "resume", "trust"), "False")
    defaults = switches | ({"pipeline": others[0]} if others else {})
    entry = _in_shell if "shell" in groups else _in_python
    lines = "".join(f"{indent}{entry(o, defaults.get(o.name, 'None'))},\n" for o in chosen)
    text = text.replace(marker[0], f"{indent}# options: {marker['how']}\n{lines}{indent}# options end\n")
    return _ARGS.sub(lambda args: _documented(args, chosen), text, count=1)


def _in_python(option: Option, default: str) -> str:
    kind = f"{option.type} | None" if default == "None" else option.type
    return f"{option.name}: {kind} = {default}"


def _in_shell(option: Option, default: str) -> str:
    kind = f"{option.shell} | None" if default == "None" else option.shell
    return f'{option.name}: Annotated[{kind}, flag("{option.name}")] = {default}'


def _documented(args: re.Match[str], chosen: list[Option]) -> str:
    indent = args["indent"] + "    "
    own = [entry for entry in re.split(rf"^{indent}(?=\w)", args["entries"], flags=re.M) if entry]
    own = [f"{indent}{entry}" for entry in own if entry.partition(":")[0] not in {o.name for o in OPTIONS}]
    lines = [textwrap.fill(f"{o.name}: {help_of(o, in_python)}", WIDTH, initial_indent=indent, subsequent_indent=indent + "    ",
                           break_on_hyphens=False, break_long_words=False) + "\n" for o in chosen]  # fmt: skip
    return f"{args['indent']}Args:\n{''.join(own)}{''.join(lines)}"


def main() -> None:
    """Write all, or say what differs."""
    stale = []
    for name in FILES:
        path = ROOT / name
        text = path.read_text("utf-8")
        if (new := written(text)) != text:
            stale.append(name)
            if "--check" not in sys.argv:
                path.write_text(new, "utf-8")
    print(", ".join(stale) or "nothing", "differs" if "--check" in sys.argv else "written")
    sys.exit(bool(stale) and "--check" in sys.argv)


if __name__ == "__main__":
    main()
