"""Where the project and the migrations that it ships are."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
SHIPPED = ROOT / "sql"
