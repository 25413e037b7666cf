"""Remedies: what a user can do about an error, in the words of the library or of the command line.

    Remedy    something that a caller of the library, or a user of the command line, can do
    Advice    a text that names remedies; as a plain string it has the words of the library

An error of the library must not name a flag, because its caller has none.  So a hint is written once,
with the names of remedies in it, and the command line puts its own words in (`cli/words.py`).  What does
not belong here: the words of the command line, the hints themselves.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Mapping


class Remedy(Enum):
    """Something that a user can do.

    The value is the text for a caller of the library; it may name values of the advice (`{number}`).
    """

    # Methods and functions.
    UP = "Migrator.up()"
    DOWN = "Migrator.down()"
    DOWN_TO = "Migrator.down(to={to!r})"
    REDO = "Migrator.redo()"
    STATUS = "Migrator.status()"
    REPAIR = "Migrator.repair()"
    MARK = "Migrator.marks('mark', ...)"
    UNMARK = "Migrator.marks('unmark', ...)"
    BASELINE = "Migrator.baseline()"
    SETUP = "setup()"
    INIT = "init_project()"
    INIT_CHAT = "init_project(chat=True)"
    SETUP_TEST = "setup_test_schema()"
    SETUP_TEST_DATABASE = "setup_test_database()"
    SETUP_EMBEDDED = "setup() with settings that set embedded"
    SERVER_START = "EmbeddedServer.start()"
    SERVER_DESTROY = "EmbeddedServer.destroy()"
    SEED = "the seed"
    SEED_IN_PRODUCTION = "seed_files()"
    LISTEN_RESYNC = "Listener.batches(resync=True)"
    DOCS = "write_schema_docs()"
    SNAPSHOT = "format_snapshot()"
    # Arguments.
    ALLOW_DATA_LOSS = "allow_data_loss=True"
    ALLOW_NON_EMPTY = "allow_non_empty=True"
    ALLOW_READ_ONLY_OVERRIDE = "the setting allow_read_only_override"
    ALLOW_OUT_OF_ORDER = "allow_out_of_order=True"
    DIRECTORY = "the argument directory"
    DIRECTORY_SHIPPED = "directory='@chat'"
    TO = "to"
    STEPS = "steps"
    EVERYTHING = "everything"
    SCALE = "seed_at_scale()"
    RANDOM_SEED = "random_seed={number}"
    RANDOM_SEED_ALONE = "random_seed"
    TEST_SCHEMA_NAME = "the argument name"
    PORT = "port"
    # Settings.
    WAIT = "the setting wait"
    LOCK_TIMEOUT = "the setting lock_timeout"
    STATEMENT_TIMEOUT = "the setting statement_timeout"
    RETRIES = "the setting retries"
    SCHEMA = "the setting schema"
    INSECURE = "the setting insecure"
    POOLER_SESSION = "the setting pooler='session'"
    POOLER_TRANSACTION = "the setting pooler='transaction'"
    SSH_HOST = "the setting ssh_host"
    SCRATCH_URL = "the setting scratch_url"
    PRELUDE = "the setting prelude"
    DRIFT_AGAINST = "check_drift(against=...)"
    AGAINST = "the setting against"
    SAVE_COUNTS = "save_counts()"
    COUNTS_FILE = "counts=..."
    ALLOW_PENDING = "allow_pending=True"
    DRIFT = "check_drift()"
    REHEARSE = "rehearse_migrations()"


class Advice(str):
    """A text that names remedies, such as `Advice("look at {status} and decide again")`.

    Args:
        template: a text; `{name}` is the remedy of that name in lower case, or a value.
        values: the other values of the template, and of the words of its remedies.

    Raises:
        KeyError: the template names neither a remedy nor a value.
    """

    __slots__ = ("_template", "_values")
    _template: str
    _values: dict[str, object]

    def __new__(cls, template: str, **values: object) -> Self:
        """Fill the template with the words for a caller of the library."""
        advice = super().__new__(cls, _word(template, values, {r: r.value for r in Remedy}))
        advice._template, advice._values = template, values
        return advice

    def __getnewargs_ex__(self) -> tuple[tuple[str], dict[str, object]]:
        """Return the arguments of `__new__` for a copy, also for that of pickle."""
        return (self._template,), self._values

    def worded(self, words: Mapping[Remedy, str]) -> str:
        """Return the text with other words for each remedy.

        Args:
            words: a text for every remedy.
        """
        return _word(self._template, self._values, words)


def worded(text: str, words: Mapping[Remedy, str]) -> str:
    """Return an `Advice` in other words, and any other text as it is."""
    return text.worded(words) if isinstance(text, Advice) else text


class _Words(dict[str, object]):
    """The fields of a template; a remedy gets its words when the template names it."""

    def __init__(self, values: Mapping[str, object], words: Mapping[Remedy, str]) -> None:
        super().__init__(values)
        self._words = words

    def __missing__(self, name: str) -> str:
        try:
            word = self._words[Remedy[name.upper()]]
        except KeyError:
            raise KeyError(f"{name} is neither a remedy nor a value") from None
        return word.format_map(self)


def _word(template: str, values: Mapping[str, object], words: Mapping[Remedy, str]) -> str:
    return template.format_map(_Words(values, words))
