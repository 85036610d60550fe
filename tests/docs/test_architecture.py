"""docs/architecture.md is what the code is: drawn again it stays the same, and it shows each state and happening."""

import importlib.util
from pathlib import Path

from bot.lifecycle import TRANSITIONS, State

ROOT = Path(__file__).parents[2]


def test_the_page_is_up_to_date() -> None:
    """``uv run --all-groups python scripts/architecture.py`` draws it."""
    spec = importlib.util.spec_from_file_location("architecture", ROOT / "scripts" / "architecture.py")
    assert spec is not None
    assert spec.loader is not None
    architecture = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(architecture)
    page = architecture.PAGE.read_text(encoding="utf-8")
    assert page == architecture.render_page()
    assert all(state in page for state in State)
    assert all(
        f"    {source} --> {target}: {happening}\n" in page for (source, happening), target in TRANSITIONS.items()
    )
    for arrow in ("handlers --> bot", "handlers --> store", "bot --> store"):
        assert f"    {arrow}\n" in page
    for upwards in ("store -->", "playground -->", "bot --> handlers"):
        assert upwards not in page
