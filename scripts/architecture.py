"""Draws docs/architecture.md from the code: the layers from import-linter's contracts and the imports that there are,
the life cycle from ``bot.lifecycle``. A test holds the page to both.

Run it after a change of either: ``uv run --all-groups python scripts/architecture.py``.
"""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from bot.lifecycle import FINAL, STATUS, TRANSITIONS, State  # noqa: E402  (the path comes first)

PAGE = ROOT / "docs" / "architecture.md"


def render_page() -> str:
    """Return the page as it has to be."""
    return f"""# How Signoff is built

Drawn from the code by `scripts/architecture.py`; do not edit. What is in which file, and the words for things, are in
[CONTRIBUTING.md](../CONTRIBUTING.md).

## The layers

**Handlers talk, bot thinks, store remembers.** An arrow says who imports whom; import-linter refuses all others.

```mermaid
{_layers()}
```

{_rules()}

## The life of a request

From `bot/lifecycle.py`. The boxes are the statuses that agents see; what has no arrow out is final. Each arrow is a
conditional write on the state that it leaves, so of two at once one wins, and the other is told so. Timeouts never
approve.

```mermaid
{_life()}
```
"""


def _layers() -> str:
    names = _contracts()["root_packages"]
    order: list[str] = next(one["layers"] for one in _contracts()["contracts"] if one["type"] == "layers")
    ordered = [*order, *(name for name in names if name not in order)]
    boxes = [f'    {name}["<b>{name}/</b><br/>{_purpose(name)}"]' for name in ordered]
    arrows = [f"    {source} --> {target}" for source in ordered for target in ordered if target in _imported(source)]
    return "\n".join(["flowchart TD", *boxes, *arrows])


def _rules() -> str:
    return "\n".join(f"- {one['name'][0].upper()}{one['name'][1:]}." for one in _contracts()["contracts"])


def _life() -> str:
    lines = ["stateDiagram-v2", f"    [*] --> {State.PENDING}"]
    approved = [state for state in State if STATUS[state] is STATUS[State.OPEN]]
    lines += ["    state approved {", *(f"        {state}" for state in approved), "    }"]
    lines += [f"    {source} --> {target}: {happening}" for (source, happening), target in TRANSITIONS.items()]
    lines += [f"    {state} --> [*]" for state in State if state in FINAL]
    return "\n".join(lines)


def _contracts() -> dict[str, list[dict[str, list[str]]]]:
    with (ROOT / "pyproject.toml").open("rb") as opened:
        return tomllib.load(opened)["tool"]["importlinter"]


def _purpose(package: str) -> str:
    """The first sentence of a package, as its ``__init__`` has it."""
    doc = ast.get_docstring(ast.parse((ROOT / package / "__init__.py").read_text(encoding="utf-8"))) or ""
    return re.sub(r"\s+", " ", doc.split("\n\n")[0]).split(". ")[0].strip().rstrip(".").replace("`", "")


@cache
def _imported(package: str) -> set[str]:
    """Where a package imports from: the first word of each module, but for its own."""
    paths = (ROOT / package).rglob("*.py")
    return {root for path in paths for root in _roots(ast.parse(path.read_text(encoding="utf-8")))} - {package}


def _roots(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module.partition(".")[0]


if __name__ == "__main__":
    PAGE.write_text(render_page(), encoding="utf-8")
