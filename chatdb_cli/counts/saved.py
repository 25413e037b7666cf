"""Counts in a file, to compare a database with itself later: after a migration, a restore, a failover.

    save_counts       write counts to a file
    require_writable  fail before the work if that will not be possible
    read_counts       read them again

The file is JSON, holds no secret, and has the version of its form.  A file of another version is
refused: what is read in another way than it was written could look the same and not be.  What does not
belong here: comparing (`compare.py`).
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from chatdb_cli._version import __version__
from chatdb_cli.counts.differences import Place, place_of
from chatdb_cli.counts.document import BrokenError, Value
from chatdb_cli.counts.model import Checksum, CountedColumn, SequenceValue, Source, TableCount
from chatdb_cli.errors import ChatdbError, Code, Location, errno_name
from chatdb_cli.files.replace import is_special, replace_text
from chatdb_cli.remedy import Advice

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatdb_cli.counts.model import Counts

VERSION = 1
_KEY = "chatdb_counts"
_KINDS = ("table", "partitioned table", "view", "materialized view", "foreign table")
_FORMS = ("native", "text")


class SavedCounts(NamedTuple):
    """Counts that were read from a file.

    Attributes:
        place: where they were counted, without secrets.
        source: the server and the snapshot.
        tables: the tables; partitions after their table.
        sequences: the sequences and identity columns.
        file: the file, as the user named it.
    """

    place: Place
    source: Source
    tables: tuple[TableCount, ...]
    sequences: tuple[SequenceValue, ...]
    file: Path


def save_counts(path: str | Path, counts: Counts) -> None:
    """Write counts to a file; after a crash the file is the old one or the new one.

    Raises:
        ChatdbError: `USAGE`, the file can't be written.
    """
    path = Path(path)
    text = json.dumps(_document(counts), indent=1, ensure_ascii=False)
    with _file_errors(path, "written"):
        replace_text(path, f"{text}\n")


def require_writable(path: str | Path) -> None:
    """Raise the error of `save_counts` now, if a file can't be written.

    Raises:
        ChatdbError: `USAGE`.
    """
    path = Path(path)
    with _file_errors(path, "written"):
        if path.is_dir():
            raise IsADirectoryError(21, "is a directory")
        if is_special(path):
            return
        real = path.resolve()
        new = real.with_name(f"{real.name}.new")
        new.touch()
        new.unlink()


def read_counts(path: str | Path) -> SavedCounts:
    """Read the counts that `save_counts` wrote.

    Raises:
        ChatdbError: `USAGE`, the file can't be read, is broken, or has another version.
    """
    path = Path(path)
    with _file_errors(path, "read"):
        data = path.read_bytes()
    try:
        text = data.decode()
        document = Value(json.loads(text))
        version = document.get(_KEY).whole()
        if version != VERSION:
            raise ChatdbError(
                Code.USAGE,
                f"{path} has version {version} of the form of saved counts, and this chatdb reads "
                f"version {VERSION}",
                hint=Advice("count again with {save_counts}, with the same chatdb as now"),
                place=Location(path, 1),
            )
        return _read(document, path)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _broken(path, "is not UTF-8", Location(path, line)) from None
    except json.JSONDecodeError as error:
        wrong = text.split("\n")[error.lineno - 1]  # as json counts lines; empty after the last one
        excerpt = ((error.lineno, wrong[:200]),) if wrong else ()
        place = Location(path, error.lineno, error.colno, excerpt)
        raise _broken(path, f"is not JSON ({error.msg.lower()})", place) from None
    except RecursionError:
        raise _broken(path, "is nested too deeply", Location(path)) from None
    except BrokenError as error:
        raise _broken(path, str(error), Location(path)) from None
    except ValueError:  # Python refuses to read a number of thousands of digits
        raise _broken(path, "has a number that is too long", Location(path)) from None


def _broken(path: Path, problem: str, place: Location) -> ChatdbError:
    return ChatdbError(
        Code.USAGE,
        f"{path} does not hold saved counts: it {problem}",
        hint=Advice("name a file that {save_counts} wrote, unchanged"),
        place=place,
    )


@contextmanager
def _file_errors(path: Path, action: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ChatdbError(
            Code.USAGE,
            f"{path} can't be {action}: {(error.strerror or 'unknown error').lower()}",
            hint=f"name a file that can be {action}",
            place=Location(path),
            errno=errno_name(error),
        ) from None


# --- the document -------------------------------------------------------------------------------------


def _document(counts: Counts) -> dict[str, Any]:
    source = counts.source._asdict()
    return {
        _KEY: VERSION,
        "chatdb": __version__,
        "target": place_of(counts.target)._asdict(),
        "snapshot": source | {"at": counts.source.at.isoformat()},
        "tables": [_table_document(table) for table in counts.tables],
        "sequences": [sequence._asdict() for sequence in counts.sequences],
    }


def _table_document(table: TableCount) -> dict[str, Any]:
    checksum = table.checksum and table.checksum._asdict()
    columns = [column._asdict() for column in table.columns]
    return table._asdict() | {"checksum": checksum, "columns": columns}


def _read(document: Value, path: Path) -> SavedCounts:
    target, snapshot = document.get("target"), document.get("snapshot")
    place = Place(
        host=target.get("host").optional(Value.text),
        port=target.get("port").optional(Value.whole),
        database=target.get("database").text(),
        user=target.get("user").text(),
        schema=target.get("schema").text(),
        via=target.get("via").optional(Value.text),
        source=target.get("source").text(),
    )
    source = Source(
        at=_time(snapshot.get("at")),
        server_version=snapshot.get("server_version").whole(),
        encoding=snapshot.get("encoding").text(),
        hashes=snapshot.get("hashes").text(),
        standby=snapshot.get("standby").boolean(),
        connections=snapshot.get("connections").whole(),
    )
    tables = tuple(map(_read_table, document.get("tables").items()))
    sequences = tuple(map(_read_sequence, document.get("sequences").items()))
    return SavedCounts(place, source, tables, sequences, path)


def _read_table(table: Value) -> TableCount:
    return TableCount(
        table=table.get("table").text(),
        rows=table.get("rows").whole(),
        estimated=table.get("estimated").boolean(),
        checksum=table.get("checksum").optional(_read_checksum),
        kind=table.get("kind").one_of(_KINDS),
        parent=table.get("parent").optional(Value.text),
        columns=tuple(map(_read_column, table.get("columns").items())),
        key=tuple(map(Value.text, table.get("key").items())),
        duration_ms=table.get("duration_ms").whole(),
    )


def _read_checksum(checksum: Value) -> Checksum:
    return Checksum(
        value=checksum.get("value").text(),
        form=checksum.get("form").one_of(_FORMS),
        columns=tuple(map(_read_pair, checksum.get("columns").items())),
    )


def _read_column(column: Value) -> CountedColumn:
    return CountedColumn(
        name=column.get("name").text(),
        type=column.get("type").text(),
        base=column.get("base").text(),
        output=column.get("output").text(),
        cast=column.get("cast").boolean(),
    )


def _read_sequence(sequence: Value) -> SequenceValue:
    return SequenceValue(
        sequence=sequence.get("sequence").text(),
        value=sequence.get("value").optional(Value.whole),
        highest=sequence.get("highest").optional(Value.whole),
        columns=tuple(map(_read_pair, sequence.get("columns").items())),
        increment=sequence.get("increment").whole(),
        cycles=sequence.get("cycles").boolean(),
    )


def _read_pair(value: Value) -> tuple[str, str]:
    items = value.items()
    if len(items) != 2:
        raise value.wrong("a pair")
    return items[0].text(), items[1].text()


def _time(value: Value) -> datetime:
    try:
        return datetime.fromisoformat(value.text()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise value.wrong("a time") from None
