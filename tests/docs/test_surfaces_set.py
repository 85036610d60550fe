"""The set of pictures in docs/surfaces: one for each surface, and an index that shows them."""

from pathlib import Path

from tests.browser.surfaces_support import SAMPLES

PICTURES = Path(__file__).parents[2] / "docs" / "surfaces"


def test_each_surface_has_its_picture_in_the_set() -> None:
    """``scripts/surfaces.py`` draws them; whoever adds a surface draws it, and whoever drops one drops its picture."""
    wanted = {f"{name}.png" for name in SAMPLES} | {f"{name}-dark.png" for name in SAMPLES if SAMPLES[name].in_dark}
    assert {path.name for path in PICTURES.glob("*.png")} == wanted
    index = (PICTURES / "README.md").read_text(encoding="utf-8")
    assert all(f"]({name})" in index for name in wanted)
    assert all(path.stat().st_size < 150_000 for path in PICTURES.glob("*.png"))
