"""Two databases that are compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from chatdb_cli.counts.compare import compare_counts
from chatdb_cli.counts.differences import ComparedTable, CountsComparison
from tests.support.chatdb import Chatdb, Result
from tests.support.database import Database


@dataclass
class Sides:
    """This side and the other."""

    this: Database
    other: Database

    def execute(self, sql: str) -> None:
        """Do the same on both sides."""
        self.this.execute(sql)
        self.other.execute(sql)

    def compare(self, *tables: str, **options: Any) -> CountsComparison:
        with self.this.target() as this, self.other.target() as other:
            return compare_counts(this, other, tables, jobs=2, **options)

    def table(self, name: str, **options: Any) -> ComparedTable:
        """Compare one table, and find the rows that differ."""
        (table,) = self.compare(name, find=100, **options).tables
        return table

    def run(self, chatdb: Chatdb, *arguments: str) -> Result:
        """Run `chatdb counts`."""
        return chatdb("counts", "-d", self.this.url, "--against", self.other.url, *arguments)


def keys(table: ComparedTable) -> list[tuple[str, str, tuple[str, ...]]]:
    """Return kind, key and columns of each row that differs."""
    return [
        (one.kind, ",".join(value for _, value in one.key or ()), one.columns)
        for one in table.differences
    ]
