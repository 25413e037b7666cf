"""Parsers for the texts of settings and directives: durations, ports, URLs, true and false.

Each parser returns the value, or raises ValueError with a problem or "problem; hint", without the name
of the setting and without the text itself, which may be a secret.  Pure.  What does not belong here:
which settings exist (`table.py`), and the source of a text (`sources.py`).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from chatdb_cli.remedy import Advice

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

TRUE = ("true", "1", "yes", "on")
UNITS_MS = {"ms": 1, "s": 1_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}
LONGEST_MS = 2**31 - 1  # the maximum of PostgreSQL's own timeouts


def duration_ms(text: str) -> int:
    """Read `500ms`, `5s`, `1.5min`, `1h`, `1d` as milliseconds.

    A fraction of a millisecond is rounded up: 0 means "no timeout" or "no wait", so only 0 becomes 0.

    Raises:
        ValueError: the unit or the number is missing, or it exceeds PostgreSQL's maximum.
    """
    match = re.fullmatch(r"([0-9]{1,12})(?:\.([0-9]{1,9}))?(ms|s|min|h|d)", text)
    if match is None:
        problem = "has no unit" if re.fullmatch(r"[0-9.]+", text) else "is not a duration"
        raise ValueError(f"{problem}; write it like 500ms, 5s, 2min, 1h or 1d")
    whole, fraction, unit = match[1], match[2] or "", match[3]
    scale: int = 10 ** len(fraction)
    milliseconds = -(-int(whole + fraction) * UNITS_MS[unit] // scale)
    if milliseconds > LONGEST_MS:
        raise ValueError("is too long; the maximum is 24d")
    return milliseconds


def positive_duration_ms(text: str) -> int:
    """Read a duration, as `duration_ms` does, that is more than 0.

    Raises:
        ValueError: it is 0, or is not a duration.
    """
    if milliseconds := duration_ms(text):
        return milliseconds
    raise ValueError("must be more than 0")


def choice(*names: str) -> Callable[[str], str]:
    """Return a parser that accepts one of several words."""

    def parse(text: str) -> str:
        if text in names:
            return text
        raise ValueError(f"is not one of {', '.join(names)}" + did_you_mean(text, names))

    return parse


def did_you_mean(text: str, names: Iterable[str]) -> str:
    """Return the most similar of several names as the end of a sentence, or an empty text.

    Args:
        text: what was written.
        names: what could have been meant.
    """
    import difflib  # takes milliseconds, and only an error needs it

    lower = {name.lower(): name for name in names}
    matches = [name for name in lower if len(text) > 1 and name.startswith(text.lower())]
    matches = matches or difflib.get_close_matches(text.lower(), lower, n=1)
    return f"; did you mean {lower[matches[0]]}?" if matches else ""


def count(least: int) -> Callable[[str], int]:
    """Return a parser for a whole number that is not less than `least`."""

    def parse(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,6}", text) or int(text) < least:
            raise ValueError(f"is not a whole number from {least} to 999999")
        return int(text)

    return parse


def boolean(text: str) -> bool:
    """Read true or false."""
    word = text.lower()
    if word not in (*TRUE, "false", "0", "no", "off"):
        raise ValueError("is neither true nor false")
    return word in TRUE


def schema(text: str) -> str:
    """Read the name of a schema."""
    if len(text.encode()) > 63:
        raise ValueError("is longer than the 63 bytes of a PostgreSQL name")
    if text.startswith("pg_"):
        raise ValueError("starts with pg_, which PostgreSQL keeps for itself")
    return text


def path(text: str) -> Path:
    """Read a path; `~` is expanded to the home directory."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise ValueError("starts with ~, but that home directory does not exist") from None


def absolute_path(text: str) -> Path:
    """Read a path that does not depend on the working directory."""
    found = Path(text)
    if not found.is_absolute():
        raise ValueError("is not an absolute path")
    return found


def correlation_id(text: str) -> str:
    """Read the id of a run: it is in application_name, where it has to fit with the rest of it."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,39}", text):
        raise ValueError(
            "is not an id of at most 40 letters, digits and . _ : -; for example, a UUID is one"
        )
    return text


def host(text: str) -> str:
    """Read a host name, or several separated by commas."""
    if "://" in text or "@" in text[1:]:  # text before @ would be shown as part of the host
        raise ValueError("is not a host name; set a URL as DATABASE_URL")
    return text


def ports(text: str) -> str:
    """Read a port, or several separated by commas."""
    for port in text.split(","):  # one for each of several hosts, empty for 5432
        if port and not (re.fullmatch(r"[0-9]{1,5}", port) and 1 <= int(port) <= 65535):
            raise ValueError("is not a port from 1 to 65535")
    return text


def port(text: str) -> int:
    """Read one port."""
    ports(text)
    if not text.isdecimal():
        raise ValueError("is not a port from 1 to 65535")
    return int(text)


def listen(text: str) -> tuple[str | None, int | None]:
    """Read `HOST`, `HOST:PORT` or `:PORT`, an address to listen on, as host and port.

    An IPv6 address with a port is in brackets, as in a URL.  Port 0 lets the system choose one.
    """
    match = re.fullmatch(r"\[([^\[\]]+)\](?::([0-9]+))?|([^\[\]:]*)(?::([0-9]+))?", text)
    if text.count(":") > 1 and re.fullmatch(r"[0-9A-Fa-f:.]+(%[\w.-]+)?", text):
        return text, None  # an IPv6 address alone
    if match is None or "/" in text or any(c.isspace() for c in text):
        raise ValueError("is not an address; write it like 127.0.0.1:9432, [::1]:9432 or 0.0.0.0")
    name, number = match[1] or match[3] or None, match[2] or match[4]
    if name and name.isdecimal():
        raise ValueError("names no host; write a port alone as :9432")
    if number and not (len(number) < 6 and int(number) <= 65535):
        raise ValueError("has a port that is not a number from 0 to 65535")
    return name, int(number) if number else None


def bastion(text: str) -> str:
    """Read the name of one SSH host."""
    if "://" in text or "@" in text or "," in text or any(c.isspace() for c in text):
        raise ValueError("is not the name of one host; set the user as SSH_USER")
    if text.startswith("-"):
        raise ValueError("is not the name of a host")
    return text


def milliseconds(text: str) -> int:
    """Read a duration, or a bare number of milliseconds."""
    return int(text) if re.fullmatch(r"[0-9]{1,6}", text) else duration_ms(text)


ENCODE = "percent-encode special characters of user and password: @ is %40, / is %2F, % is %25"


def url(text: str) -> dict[str, str]:
    """Read a URL or a keyword string with libpq's own parser.

    Raises:
        ValueError: with no part of `text` in it; any part may be the password.
    """
    text = text.strip()
    scheme, separator, rest = text.partition("://")
    if re.fullmatch(r"(jdbc:)?postgres(ql)?[+:]?\w*", scheme, re.IGNORECASE) and separator:
        if scheme.lower() not in ("postgres", "postgresql"):
            raise ValueError('names a driver in its scheme; write "postgresql://" instead')
        text = f"{scheme.lower()}://{rest}"
        # To libpq the login ends at the first @, and there is no login if a / comes first.  Another @
        # after that means that libpq would read a part of the password as host or database.
        login, at, place = rest.partition("@")
        if "@" in (rest if "/" in login or not at else place).partition("?")[0]:
            raise ValueError(f"has an @ or a / that is ambiguous; {ENCODE}")
    elif re.match(r"[a-z][a-z0-9+.:-]*://", text, re.IGNORECASE):
        raise ValueError("is not for PostgreSQL; it starts with postgres:// or postgresql://")
    params = _libpq_parse(text)
    try:
        ports(params.get("port", ""))
    except ValueError:
        raise ValueError("has a port that is not a number from 1 to 65535") from None
    require_known_values(params)
    return params


def _libpq_parse(text: str) -> dict[str, str]:
    """Return the keywords of a URL or a keyword string, as libpq parses it.

    Raises:
        ValueError: libpq refuses it.
    """
    from psycopg import ProgrammingError  # takes a tenth of a second, so only for a URL
    from psycopg.conninfo import conninfo_to_dict

    try:
        return {key: str(value) for key, value in conninfo_to_dict(text).items()}
    except UnicodeError:
        raise ValueError(f"is not UTF-8 when decoded; {ENCODE}") from None
    except ProgrammingError as error:
        message = str(error)
    # What libpq quotes may be a part of the password; its words before the quotes are not.
    if message.startswith('missing "="'):
        raise ValueError(
            "is neither a URL nor keywords; write postgresql://user@host/database"
            ' or "host=... dbname=..."'
        )
    reason = message.partition('"')[0].strip(" \n:(")
    if "query parameter" in reason or "connection option" in reason:
        raise _foreign_parameters(text)
    raise ValueError(f"can't be read ({reason}); {ENCODE}")


class MisreadError(ValueError):
    """A problem with a hint that names remedies.

    Args:
        problem: what is wrong.
        hint: what to do about it.
    """

    def __init__(self, problem: str, hint: str) -> None:
        super().__init__(problem)
        self.hint = hint


# What to do about the parameters by which other drivers and tools are set, in lower case.
_OTHERS = {
    **dict.fromkeys(
        ("schema", "search_path", "currentschema"),
        "name the schema with {schema}, or set CHATDB_SCHEMA",
    ),
    **dict.fromkeys(
        ("pgbouncer", "pooler"),
        "chatdb notices a pooler by itself; if not, give {pooler_transaction}",
    ),
    **dict.fromkeys(("statement_timeout", "statementtimeout"), "give {statement_timeout}"),
    **dict.fromkeys(("lock_timeout", "locktimeout"), "give {lock_timeout}"),
    **dict.fromkeys(
        ("ssl", "sslaccept", "tls", "usessl", "ssl_mode"),
        "write sslmode=require, or sslmode=verify-full to check the server's certificate",
    ),
    **dict.fromkeys(
        ("connecttimeout", "connection_timeout", "logintimeout"), "write connect_timeout=SECONDS"
    ),
    **dict.fromkeys(("applicationname", "app_name"), "write application_name=NAME"),
    **dict.fromkeys(("encoding", "charset", "characterencoding"), "chatdb always uses UTF-8"),
}
# The values of libpq's parameters, which it would refuse only when it connects.
_VALUES = {
    "sslmode": ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    "sslnegotiation": ("postgres", "direct"),
    "channel_binding": ("disable", "prefer", "require"),
    "gssencmode": ("disable", "prefer", "require"),
    "target_session_attrs": (
        "any", "read-write", "read-only", "primary", "standby", "prefer-standby",
    ),
    "load_balance_hosts": ("disable", "random"),
}  # fmt: skip


def require_known_values(params: Mapping[str, str]) -> None:
    """Refuse values of libpq's parameters that it would refuse when it connects.

    Raises:
        ValueError: with the parameter and the values that it has.
    """
    for name, values in _VALUES.items():
        if (value := params.get(name)) and value not in values:
            # Another value is not shown: any part of a URL may be the password.
            hint, shown = f"write one of {', '.join(values)}", ""
            if value.replace("_", "-") in ("no-verify", "noverify"):
                hint = "write sslmode=require, which encrypts and does not verify the certificate"
                shown = f" {value!r}"
            raise MisreadError(
                f"has the parameter {name} with a value{shown} that it can't have", hint
            )


def _foreign_parameters(text: str) -> ValueError:
    """Return the error of parameters that libpq does not know."""
    names = _unknown_parameters(text)
    known = [name for name in names if name.lower() in _OTHERS]
    hints = dict.fromkeys(_OTHERS[name.lower()] for name in known)
    if len(known) < len(names) or not names:
        hints["remove what is for another driver: only libpq's own parameters are allowed"] = ""
    shown = f" {', '.join(names)}" if names else ""
    count = "parameters" if len(names) > 1 else "a parameter"
    return MisreadError(f"has {count}{shown} that libpq does not know", Advice("; ".join(hints)))


def _unknown_parameters(text: str) -> list[str]:
    """Return the names of a URL's parameters that libpq does not know.

    None where a part of the password could be taken for a name.
    """
    from psycopg.pq import Conninfo

    _, separator, query = text.partition("?")
    if "://" not in text or not separator or "@" in query or "password=" in query:
        return []
    known = {option.keyword.decode() for option in Conninfo.parse(b"")}
    names = dict.fromkeys(pair.partition("=")[0] for pair in query.split("&"))
    return [n for n in names if n not in known and re.fullmatch(r"[A-Za-z_][\w.-]{0,40}", n)]


def thresholds(text: str) -> dict[str, str]:
    """Read `NAME=VALUE` pairs, separated by commas; the health checks know names and values."""
    pairs = [pair.strip().partition("=") for pair in text.split(",") if pair.strip()]
    for name, equals, value in pairs:
        if not (name.strip() and equals and value.strip()):
            raise ValueError("is not NAME=VALUE; write it like connections=90%")
    return {name.strip(): value.strip() for name, _, value in pairs}


def cursors(text: str) -> dict[str, Path]:
    """Read `[NAME=]FILE` items, separated by commas; the default name is that of the file."""
    files: dict[str, Path] = {}
    for item in filter(None, map(str.strip, text.split(","))):
        before, equals, after = item.partition("=")
        file = path((after if equals else before).strip())
        name = before.strip() if equals else file.stem
        if not name or not file.name:
            raise ValueError("is not NAME=FILE; write it like bell=/var/lib/chat/bell.cursor")
        if name in files:
            raise ValueError(f"has the name {name!r} twice; write each as NAME=FILE")
        files[name] = file
    return files
