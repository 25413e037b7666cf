"""bench/RESULTS.md: the newest results of each benchmark, a chapter each."""

from __future__ import annotations

import re
from pathlib import Path

RESULTS = Path(__file__).parent / "RESULTS.md"


def keep(chapter: str) -> None:
    """Put a chapter, `# Title` and all, in the place of the one of this title, or at the end."""
    title = chapter.partition("\n")[0]
    there = re.split(r"(?m)^(?=# )", RESULTS.read_text()) if RESULTS.exists() else []
    chapters = {text.partition("\n")[0]: text.strip() for text in there if text.strip()}
    chapters[title] = chapter.strip()
    RESULTS.write_text("\n\n".join(chapters.values()) + "\n")
