"""Build what is served: static/banner/min/ from the readable sources beside it (`make assets`).

The minifier is a need of development only; what it makes is committed, and a test compares it with the sources.
"""

from __future__ import annotations

import gzip
from pathlib import Path

import minify

BANNER = Path(__file__).parents[1] / "static" / "banner"
PLACE = '"__SITE__"'
TYPES = {".css": "text/css", ".js": "text/javascript"}


def sources() -> list[Path]:
    """Return the files that are served in a built form."""
    return sorted(path for path in BANNER.iterdir() if path.suffix in TYPES)


def built(source: Path) -> str:
    """Return a file as it is served.

    Raises:
        ValueError: The place of the site's table is not there, or there twice.
    """
    text: str = minify.string(TYPES[source.suffix], source.read_text("utf-8"))
    if source.name == "guard.js" and text.count(PLACE) != 1:
        raise ValueError(f"{source.name} must hold {PLACE} exactly once: the site's table goes there.")
    # Scripts are joined: none may run into the next.
    return text.rstrip(";\n") + (";\n" if source.suffix == ".js" else "\n")


def main() -> None:
    """Write every built file, and say what it weighs compressed."""
    (BANNER / "min").mkdir(exist_ok=True)
    for source in sources():
        text = built(source)
        (BANNER / "min" / source.name).write_text(text, "utf-8")
        print(f"{source.name}: {len(gzip.compress(text.encode(), 9, mtime=0))} bytes")


if __name__ == "__main__":
    main()
