"""Pin every version: `uv run python scripts/pin.py [--upgrade]`.

uv's lock file records the addresses of whatever index made it, so it stays out of git. Instead the resolved versions
are written into `[tool.uv] constraint-dependencies` of pyproject.toml, and with their hashes into requirements.txt
for those who install with pip. Without `--upgrade`, versions that are pinned stay as they are.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
BEGIN, END = "# pins: written by scripts/pin.py", "# end of pins"


def export(*options: str) -> str:
    """Return what `uv export` prints."""
    command = ["uv", "export", "--quiet", "--no-header", "--no-annotate", "--no-emit-project", *options]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def main() -> None:
    pyproject = ROOT / "pyproject.toml"
    text = pyproject.read_text()
    unpinned = re.sub(rf"\n{BEGIN}.*?{END}\n", "\n", text, flags=re.DOTALL)
    if "--upgrade" in sys.argv:
        pyproject.write_text(unpinned)
        (ROOT / "uv.lock").unlink(missing_ok=True)
    pins = [line.strip() for line in export("--no-hashes", "--all-groups").splitlines() if "==" in line]
    block = "\n".join([BEGIN, "constraint-dependencies = [", *(f'  "{pin}",' for pin in sorted(pins)), "]", END])
    pyproject.write_text(unpinned.replace("\n[tool.uv]\n", f"\n[tool.uv]\n{block}\n"))
    header = "# What Signoff needs to run, with hashes, for pip. Written by scripts/pin.py.\n"
    (ROOT / "requirements.txt").write_text(header + export("--no-default-groups"))


if __name__ == "__main__":
    main()
