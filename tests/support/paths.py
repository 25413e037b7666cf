"""The paths of the project and of the migrations that it ships."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
SHIPPED = ROOT / "sql"
