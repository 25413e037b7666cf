"""bench/RESULTS.md: the newest results of each benchmark, one chapter each."""

from __future__ import annotations

import re
from pathlib import Path

RESULTS = Path(__file__).parent / "RESULTS.md"


def keep(chapter: str) -> None:
    """Replace the chapter with the same title, or append the chapter; it begins with `# Title`."""
    title = chapter.partition("\n")[0]
    there = re.split(r"(?m)^(?=# )", RESULTS.read_text()) if RESULTS.exists() else []
    chapters = {text.partition("\n")[0]: text.strip() for text in there if text.strip()}
    chapters[title] = chapter.strip()
    RESULTS.write_text("\n\n".join(chapters.values()) + "\n")
