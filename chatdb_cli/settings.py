"""Flags, environment, `.env.local` and `.env` become one frozen `Settings`.

    flags > environment > ./.env.local > ./.env     (--env-file F stands in place of the last two)
    in each of them: CHATDB_DATABASE_URL > DATABASE_URL > POSTGRES_*       after all: libpq's PG*

`SETTINGS` declares every setting; `load` is the only reader of the environment and of env files.
What does not belong here: opening a connection or a tunnel, starting the embedded server, deciding
which migrations a folder means, printing.  Nothing is written, and no secret is ever in a message.

**A place is never a mixture.**  Host, port, database and user come whole from the highest origin
that sets any of them: an exported `POSTGRES_DB` does not send a run to the host of a checked-in
`.env`, it is half-set (exit 2).  A password alone names no place: `POSTGRES_PASSWORD` completes the
family of its own or a *lower* origin (exported, with the rest in `.env`), never of a higher one, so
that no file's password goes to a host which that file does not name.  PG* variables of a file
complete a login (user, password, TLS) by the same rule, and name a place only when nothing else
does.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from chatdb_cli import values
from chatdb_cli.errors import ChatdbError, Code, Place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Database:
    """Which database was named, and by what.

    Attributes:
        params: libpq keywords; empty for libpq's own defaults and for the embedded server.
        source: what named it, for people: `DATABASE_URL from ./.env`.
        embedded: the server of `Settings.home` is meant; it gives the params.
    """

    params: Mapping[str, str] = field(repr=False)
    source: str
    embedded: bool


@dataclass(frozen=True, slots=True)
class Bastion:
    """The host that an SSH tunnel goes through, as far as the settings say; ~/.ssh/config has the rest.

    Attributes:
        host: a name, an address, or an alias of ~/.ssh/config.
        port: None for what ~/.ssh/config says, or 22.
        user: None for what ~/.ssh/config says, or who runs chatdb.
        key_path: the private key; None for what ~/.ssh/config says, or the agent's keys.
        passphrase: unlocks the key.
        known_hosts: None for what ~/.ssh/config says, or ~/.ssh/known_hosts.
        agent: whether the agent's keys are tried; None is only where no key is named.
        retries: how often what passes is tried again.
        retry_delay_ms: the pause before it, times the attempt.
    """

    host: str
    port: int | None = None
    user: str | None = None
    key_path: Path | None = None
    passphrase: str | None = field(default=None, repr=False)
    known_hosts: Path | None = None
    agent: bool | None = None
    retries: int = 3
    retry_delay_ms: int = 1000


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting, checked; durations in milliseconds.

    Attributes:
        database: None when nothing names one; `require_database` raises then.
        directory: `--dir` as it was given (`@chat` included), None when it was not.
        bastion: what a tunnel goes through, when one is asked for.
        warnings: sentences to show, without secrets.
        test_database: what TEST_DATABASE_URL names, for `setup --test`.
        embeddable: the embedded server, which `setup` may make, where nothing hints at another.
        insecure: `--insecure`, which has no variable: nothing takes that protection away for good.
    """

    database: Database | None
    home: Path
    environment: Literal["development", "test", "staging", "production"]
    schema: str
    directory: str | None
    postgres_programs: Path | None
    connect_timeout_ms: int
    connect_retries: int
    connect_retry_delay_ms: int
    pool_size: int
    pool_idle_ms: int
    lock_timeout_ms: int
    statement_timeout_ms: int
    retries: int
    wait_ms: int
    pooler: Literal["session", "transaction"] | None
    format: Literal["text", "json"]
    log_format: Literal["text", "json"]
    quiet: bool
    verbose: bool
    debug: bool
    bastion: Bastion | None
    warnings: tuple[str, ...]
    insecure: bool = False
    embeddable: Database | None = None
    test_database: Database | None = None

    @property
    def ssh_host(self) -> str | None:
        """The bastion's name, when a tunnel is asked for."""
        return self.bastion.host if self.bastion else None


# --- the table of every setting -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: its variable, how its text is read, and what holds without it.

    `CHATDB_LOCK_TIMEOUT` has the name `lock_timeout` in the flags and is `--lock-timeout` for
    people, `SSH_HOST` is `ssh_host` and `--ssh-host`; no other has a flag.  `field` is where it stands
    in `Settings`; without one, `load` works it into something else.
    """

    variable: str
    parse: Callable[[str], Any]
    default: str | None = None
    field: str = ""
    secret: bool = False

    @property
    def name(self) -> str:
        """The key in the flags."""
        return self.variable.removeprefix("CHATDB_").lower()


SETTINGS = {
    setting.variable: setting
    for setting in (
        Setting("CHATDB_DATABASE_URL", values.url, secret=True),
        Setting("DATABASE_URL", values.url, secret=True),
        Setting("POSTGRES_HOST", values.host, "localhost"),
        Setting("POSTGRES_PORT", values.ports, "5432"),
        Setting("POSTGRES_DB", str),
        Setting("POSTGRES_USER", str),
        Setting("POSTGRES_PASSWORD", str, secret=True),
        Setting("CHATDB_EMBEDDED", values.truth),
        Setting("CHATDB_HOME", values.path, ".chatdb"),
        Setting("CHATDB_POSTGRES_BIN", values.path, field="postgres_programs"),
        Setting(
            "CHATDB_ENV",
            values.choice("development", "test", "staging", "production"),
            "development",
            "environment",
        ),
        Setting("CHATDB_ENV_FILE", values.path),
        Setting("CHATDB_SCHEMA", values.schema, "public", "schema"),
        Setting("CHATDB_DIR", str, field="directory"),
        Setting("CHATDB_CONNECT_TIMEOUT", values.duration_ms, "2s", "connect_timeout_ms"),
        Setting("CHATDB_CONNECT_RETRIES", values.count(0), "3", "connect_retries"),
        Setting("CHATDB_CONNECT_RETRY_DELAY", values.duration_ms, "1s", "connect_retry_delay_ms"),
        Setting("CHATDB_POOL_SIZE", values.count(1), "20", "pool_size"),
        Setting("CHATDB_POOL_IDLE", values.duration_ms, "30s", "pool_idle_ms"),
        Setting("CHATDB_LOCK_TIMEOUT", values.duration_ms, "5s", "lock_timeout_ms"),
        Setting("CHATDB_STATEMENT_TIMEOUT", values.duration_ms, "0s", "statement_timeout_ms"),
        Setting("CHATDB_RETRIES", values.count(0), "10", "retries"),
        Setting("CHATDB_WAIT", values.duration_ms, "60s", "wait_ms"),
        Setting("CHATDB_POOLER", values.choice("session", "transaction"), field="pooler"),
        Setting("CHATDB_FORMAT", values.choice("text", "json"), "text", "format"),
        Setting("CHATDB_LOG_FORMAT", values.choice("text", "json"), "text", "log_format"),
        Setting("CHATDB_QUIET", values.truth, "false", "quiet"),
        Setting("CHATDB_VERBOSE", values.truth, "false", "verbose"),
        Setting("CHATDB_DEBUG", values.truth, "false", "debug"),
        Setting("PGHOST", values.host),
        Setting("PGHOSTADDR", str),
        Setting("PGPORT", values.ports),
        Setting("PGDATABASE", str),
        Setting("PGUSER", str),
        Setting("PGSERVICE", str),
        Setting("PGPASSWORD", str, secret=True),
        Setting("SSH_HOST", values.bastion),
        Setting("SSH_ENABLED", values.truth, "true"),
        Setting("SSH_PORT", values.port),
        Setting("SSH_USER", str),
        Setting("SSH_KEY_PATH", values.path),
        Setting("SSH_KEY_PASSPHRASE", str, secret=True),
        Setting("SSH_KNOWN_HOSTS", values.path),
        Setting("SSH_AGENT", values.truth),
        Setting("SSH_MAX_RETRIES", values.count(0)),
        Setting("SSH_RETRY_DELAY", values.milliseconds),
        Setting("TEST_DATABASE_URL", values.url, secret=True),
    )
}

URLS = ("CHATDB_DATABASE_URL", "DATABASE_URL")
FAMILY = ("POSTGRES_HOST", "POSTGRES_PORT", "POSTGRES_DB", "POSTGRES_USER")
LIBPQ = ("PGHOST", "PGHOSTADDR", "PGPORT", "PGDATABASE", "PGUSER", "PGSERVICE")
LIBPQ_PLACE = ("PGHOST", "PGHOSTADDR", "PGPORT", "PGDATABASE", "PGSERVICE")
LIBPQ_SECRETS = ("PGPASSWORD", "PGPASSFILE", "PGSERVICEFILE")


# --- origins: where values come from --------------------------------------------------------------


class Origin(NamedTuple):
    """One place that gives values, by variable; an empty value is not in it.

    Attributes:
        where: `the environment` or a file as the user would type it; empty for the flags.
        lines: the line of each variable, for a file.
    """

    where: str
    values: Mapping[str, str] = field(repr=False)
    lines: Mapping[str, int] | None = None

    def label(self, variable: str, *, line: bool = False) -> str:
        """Name a variable with its origin: `--wait`, `CHATDB_WAIT from ./.env line 3`."""
        if not self.where:
            return "--" + SETTINGS[variable].name.replace("_", "-")
        at = f" line {self.lines[variable]}" if line and self.lines else ""
        return f"{variable} from {self.where}{at}"

    def read(self, variable: str) -> Any:
        """Parse a variable that is set here.

        Raises:
            ChatdbError: SETTINGS, the value is wrong.
        """
        setting, text = SETTINGS[variable], self.values[variable]
        try:
            if not text or "\0" in text:
                raise ValueError("holds a NUL byte" if text else "is empty")
            text.encode()  # a lone surrogate stands for bytes that are no UTF-8
            return setting.parse(text)
        except ValueError as error:
            reason = "is not UTF-8" if isinstance(error, UnicodeError) else str(error)
        what, _, way = reason.partition("; ")
        # A URL in the wrong variable is a mistake that happens, and it may hold a password.
        hidden = setting.secret or not text or re.search(r"://|@|passw", text, re.IGNORECASE)
        shown = "" if hidden else f" {text if len(text) < 80 else text[:77] + '...'!r}"
        raise ChatdbError(
            Code.SETTINGS,
            f"{self.label(variable, line=True)}:{shown} {what}",
            hint=way or None,
            place=Place(Path(self.where), self.lines[variable]) if self.lines else None,
        )

    def names_database(self) -> str | None:
        """The URL, or `POSTGRES_*`, that stands here and names a database."""
        if url := self.first(URLS):
            return url
        return "POSTGRES_*" if self.first(FAMILY) else None

    def first(self, variables: Iterable[str]) -> str | None:
        """The first of some variables that is set here."""
        return next((variable for variable in variables if variable in self.values), None)


def _flags_origin(flags: Mapping[str, str | bool | None]) -> Origin:
    flagged = (s for s in SETTINGS.values() if s.variable.startswith(("CHATDB_", "SSH_")))
    variables = {s.name: s.variable for s in flagged}
    if unknown := flags.keys() - variables:
        raise TypeError(f"no such setting: {', '.join(sorted(unknown))}")
    # A switch can only be on; one that is not given reaches us as None or as False.
    given = {key: value for key, value in flags.items() if value is not None and value is not False}
    return Origin("", {variables[k]: "true" if v is True else str(v) for k, v in given.items()})


def _file_origin(path: Path, shown: str, *, named: bool) -> Origin:
    """Read an env file: values literal, nothing interpolated.

    Raises:
        ChatdbError: SETTINGS, it can't be read, or a line of it is no assignment; a file that is
            not there is empty unless the user named it.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        if not named:
            return Origin(shown, {}, {})
        raise _unreadable(shown, error) from None
    except OSError as error:
        raise _unreadable(shown, error) from None
    nul = data.find(b"\0")  # also what UTF-16 is full of
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise _bad_line(shown, data.count(b"\n", 0, error.start) + 1, "is not UTF-8") from None
    if nul >= 0:
        raise _bad_line(shown, data.count(b"\n", 0, nul) + 1, "holds a NUL byte")
    return _parse_env(text, shown)


def _parse_env(text: str, shown: str) -> Origin:
    values: dict[str, str] = {}
    lines: dict[str, int] = {}
    if text.strip():
        from io import StringIO

        from dotenv.parser import parse_stream  # not in the start of a project without env files

        for binding in parse_stream(StringIO(text.removeprefix("\ufeff"))):
            raw = binding.original.string  # it begins with the blank lines in front
            blank = raw[: len(raw) - len(raw.lstrip())]
            line = binding.original.line + len(re.findall(r"\r\n|\n|\r", blank))
            if binding.error or (binding.key is not None and binding.value is None):
                raise _bad_line(shown, line, "is no assignment")
            if binding.key is not None and binding.value is not None:
                values[binding.key], lines[binding.key] = binding.value, line
    return Origin(shown, {key: value for key, value in values.items() if value}, lines)


def _unreadable(shown: str, error: OSError) -> ChatdbError:
    import errno

    return ChatdbError(
        Code.SETTINGS,
        f"can't read {shown}: {(error.strerror or 'unknown error').lower()}",
        place=Place(Path(shown)),
        errno=errno.errorcode.get(error.errno or 0),
    )


def _bad_line(shown: str, line: int, what: str) -> ChatdbError:
    hint = "a line is NAME=value, empty, or a # comment; a value of several lines needs quotes"
    place = Place(Path(shown), line)  # without an excerpt: the line may hold a secret
    return ChatdbError(Code.SETTINGS, f"{shown} line {line} {what}", hint=hint, place=place)


# --- the whole ------------------------------------------------------------------------------------


def load(
    flags: Mapping[str, str | bool | None] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Settings:
    """Read every setting from its highest origin; reads files, writes nothing.

    Args:
        flags: by setting name (`lock_timeout`); None, and False for a switch, is "not given".
        environ: in place of the process's own environment.
        cwd: in place of the working directory.

    Raises:
        ChatdbError: SETTINGS or USAGE, a value is wrong or two contradict each other; it names
            the setting, its origin and, unless it may be a secret, the value.
        TypeError: a flag is not the name of a setting.
    """
    try:
        cwd = (cwd or Path()).absolute()
    except FileNotFoundError:
        raise ChatdbError(Code.SETTINGS, "the working directory is gone", errno="ENOENT") from None
    given = dict(flags or {})
    insecure = given.pop("insecure", None) is True
    if given.pop("no_tunnel", None):
        given["ssh_enabled"] = "false"
    origins = _origins(given, os.environ if environ is None else environ, cwd)
    fields = {s.field: _value(origins, s.variable) for s in SETTINGS.values() if s.field}
    if fields["postgres_programs"] is not None:
        fields["postgres_programs"] = cwd / fields["postgres_programs"]
    home = cwd / _value(origins, "CHATDB_HOME")
    warnings = _name_warnings(origins)
    database = _named(origins, _shown(home, cwd), warnings)
    database = database or _libpq(origins, warnings)
    against = None if database else _against_embedded(origins)
    if database is None and _holds_server(home):
        shown = _shown(home, cwd)
        if against:
            warnings.append(f"the embedded server in {shown} is not used, because of {against}")
        else:
            database = embedded(shown)
    asked = None if database and database.embedded else _tunnel_origin(origins)
    bastion = _bastion(origins, asked, fields["environment"], cwd) if asked else None
    if "SSH_KEY_PASSPHRASE" in origins[0].values:
        warnings.append("--ssh-key-passphrase is a secret: the process list shows it")
    return Settings(
        database=database,
        home=home,
        bastion=bastion,
        warnings=tuple(warnings),
        insecure=insecure,
        test_database=_test_database(origins),
        embeddable=None if database or against else embedded(_shown(home, cwd)),
        **fields,
    )


def require_database(settings: Settings) -> Database:
    """Give the database of the settings.

    Raises:
        ChatdbError: NOT_CONFIGURED, nothing names one.
    """
    if settings.database is None:
        hint = "set DATABASE_URL in the environment or in ./.env"
        if settings.environment != "production":  # where the embedded server is never used
            hint += ', or run "chatdb setup --embedded" for a server of this project\'s own'
        raise ChatdbError(Code.NOT_CONFIGURED, "no database configured", hint=hint)
    return settings.database


def embedded(home: Path | str) -> Database:
    """Name the embedded server of a home, as it is shown to people."""
    return Database({}, f"embedded server in {home}", embedded=True)


def debugging() -> bool:
    """Say whether CHATDB_DEBUG asks for tracebacks; for the moment when `load` has failed."""
    return os.environ.get("CHATDB_DEBUG", "").lower() in values.TRUE


def format_asked_for(arguments: Sequence[str]) -> Literal["text", "json"]:
    """Say which format a command line asks for, also where it can't be parsed as a whole."""
    line = " ".join(arguments).replace("--format=", "--format ")
    _, flag, rest = f"{line} ".rpartition("--format ")
    asked = rest.partition(" ")[0] if flag else os.environ.get("CHATDB_FORMAT", "")
    return "json" if asked.lower() == "json" else "text"


def forget_service() -> None:
    """Take PGSERVICE out of this process's environment.

    An embedded server is named whole by keywords, and no keyword can overrule this variable: libpq
    fails when its service is unknown.
    """
    os.environ.pop("PGSERVICE", None)


def environment_without_libpq() -> dict[str, str]:
    """Give the environment for a program that shall connect to just what it is told."""
    return {name: text for name, text in os.environ.items() if not name.startswith("PG")}


def libpq_defaults(service: str | None = None) -> dict[str, str]:
    """Give what libpq takes where nothing was given: from a service, PG* variables, or built in.

    Args:
        service: one to look up in the service file, in place of PGSERVICE's.

    Raises:
        ChatdbError: SETTINGS, there is no such service.
    """
    from psycopg import OperationalError
    from psycopg.pq import Conninfo

    before = os.environ.get("PGSERVICE")
    if service is not None:
        _require_service(service)
        os.environ["PGSERVICE"] = service  # libpq looks a service up by no other way
    try:
        options = Conninfo.get_defaults()
    except (OperationalError, MemoryError):
        options = []
    finally:
        if service is not None:
            os.environ.pop("PGSERVICE")
            if before is not None:
                os.environ["PGSERVICE"] = before
    found = {o.keyword.decode(): o.val.decode() for o in options if o.val}
    found.pop("service", None)
    return found


def _require_service(service: str) -> None:
    """Refuse a service that libpq does not know: its defaults alone would be some other place."""
    from psycopg.conninfo import make_conninfo
    from psycopg.pq import PGconn

    # libpq looks the service up first, and stops at the wrong sslmode before it connects anywhere.
    wrong = "none-of-them"
    attempt = PGconn.connect_start(make_conninfo(service=service, sslmode=wrong).encode())
    said = attempt.get_error_message().strip()
    attempt.finish()
    if wrong in said:
        return
    raise ChatdbError(
        Code.SETTINGS,
        f"service {service!r} can't be used: {said}",
        hint="correct its name, or write it into ~/.pg_service.conf or the file of PGSERVICEFILE",
    )


def pinned(params: Mapping[str, str]) -> dict[str, str]:
    """Complete a place so that no PG* variable of the environment bends it elsewhere.

    libpq takes each keyword that is absent from the environment, `PGHOSTADDR` even beside a given
    host; an empty one is its built-in default (the socket, the database with the user's name).
    User, password and TLS may still come from there, as with psql.  A service is left alone: an
    empty keyword would win over what the service file says.
    """
    if "service" in params:
        return dict(params)
    return {"host": "", "hostaddr": "", "port": "5432", "dbname": "", **params}


SECRETS = re.compile(
    r"""(?P<url>://[^\s:@/]*:)(?:\S*(?=@)|(?!\d+(?:[/?,\s]|$))[^\n@]*(?=@))
    | (?P<key>\w*pass(?:word|phrase)\s*=\s*|\bpassword\s+(?='))
      (?:'(?:\\.|''|[^'\\])*'?|"(?:\\.|[^"\\])*"?|(?:\\.|[^\s\\])+)""",
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)


def redact(text: str) -> str:
    """Hide the passwords of URLs, keyword strings and `PASSWORD '...'` in any text.

    Where a password ends can't always be known; then rather too much is hidden.  So give it single
    values and messages, not a JSON document as a whole.
    """
    return SECRETS.sub(lambda match: f"{match['url'] or match['key']}***", text)


# --- finding the database -------------------------------------------------------------------------


def _origins(
    flags: Mapping[str, str | bool | None], environ: Mapping[str, str], cwd: Path
) -> tuple[Origin, ...]:
    """The origins, highest first: flags, environment, then the files."""
    environment = Origin("the environment", {key: text for key, text in environ.items() if text})
    origins = (_flags_origin(flags), environment)
    if origin := _origin_of(origins, "CHATDB_ENV_FILE"):
        path, shown = cwd / origin.read("CHATDB_ENV_FILE"), origin.values["CHATDB_ENV_FILE"]
        return (*origins, _file_origin(path, shown, named=True))
    files = (_file_origin(cwd / name, f"./{name}", named=False) for name in (".env.local", ".env"))
    return (*origins, *files)


def _origin_of(origins: Sequence[Origin], variable: str) -> Origin | None:
    return next((origin for origin in origins if variable in origin.values), None)


def _value(origins: Sequence[Origin], variable: str) -> Any:
    if origin := _origin_of(origins, variable):
        return origin.read(variable)
    setting = SETTINGS[variable]
    return None if setting.default is None else setting.parse(setting.default)


def _shown(path: Path, cwd: Path) -> str:
    return f"./{path.relative_to(cwd)}" if path.is_relative_to(cwd) else str(path)


def _name_warnings(origins: Sequence[Origin]) -> list[str]:
    """Variables that are set and do nothing."""
    known = [variable for variable in SETTINGS if variable.startswith("CHATDB_")]
    warnings = []
    for origin in origins[1:]:
        for variable in origin.values:
            if variable.startswith("CHATDB_") and variable not in known:
                near = values.did_you_mean(variable, known)
                warnings.append(f"{origin.label(variable, line=True)} is not a setting{near}")
        for variable in ("CHATDB_ENV_FILE", "PGSERVICEFILE"):
            if origin.lines is not None and variable in origin.values:
                label = origin.label(variable, line=True)
                warnings.append(f"{label} does nothing there; only the environment's is read")
    return warnings


def _named(origins: Sequence[Origin], home: str, warnings: list[str]) -> Database | None:
    """What a URL, the family or CHATDB_EMBEDDED names, in the highest origin that has one."""
    wanted = _origin_of(origins, "CHATDB_EMBEDDED")
    if wanted and not wanted.read("CHATDB_EMBEDDED"):
        wanted = None
    for position, origin in enumerate(origins):
        if origin is wanted:
            _check_embedded(origins, position, warnings)
            return embedded(home)
        if name := origin.names_database():
            family = name not in URLS
            params = _family(origins, position) if family else origin.read(name)
            if not origin.where and "password" in params:
                warnings.append("--database-url holds a password: the process list shows it")
            params = pinned(_login(origins, position) | params)
            return Database(params, origin.label(name), embedded=False)
    if alone := _origin_of(origins, "POSTGRES_PASSWORD"):
        raise _half_set(alone)
    return None


def _test_database(origins: Sequence[Origin]) -> Database | None:
    origin = _origin_of(origins, "TEST_DATABASE_URL")
    if origin is None:
        return None
    params = pinned(origin.read("TEST_DATABASE_URL"))
    return Database(params, origin.label("TEST_DATABASE_URL"), embedded=False)


def _family(origins: Sequence[Origin], position: int) -> dict[str, str]:
    origin = origins[position]
    if not {"POSTGRES_DB", "POSTGRES_USER"} <= origin.values.keys():
        raise _half_set(origin)
    keywords = ("host", "port", "dbname", "user")
    params = {key: _value([origin], name) for key, name in zip(keywords, FAMILY, strict=True)}
    if password := _value(origins[: position + 1], "POSTGRES_PASSWORD"):
        params["password"] = password
    return params


def _half_set(origin: Origin) -> ChatdbError:
    lacks = [name for name in ("POSTGRES_DB", "POSTGRES_USER") if name not in origin.values]
    return ChatdbError(
        Code.SETTINGS,
        f"{origin.label('POSTGRES_*')} is half-set: {' and '.join(lacks)} not given there",
        hint="POSTGRES_* come from one place as a whole (only the password may be exported on"
        " its own); or set DATABASE_URL",
    )


def _login(origins: Sequence[Origin], position: int) -> dict[str, str]:
    """What the PG* variables of files, down to a position, say beside the place.

    A variable of the environment wins: libpq takes it on its own.
    """
    params: dict[str, str] = {}
    for origin in origins[2 : position + 1]:
        said = {name for name in origin.values if name.startswith("PG")}
        for name, keyword in _libpq_keywords().items() if said else ():
            if name in said and name not in origins[1].values and name not in LIBPQ_PLACE:
                params.setdefault(keyword, _libpq_value(origin, name))
    return params


def _libpq(origins: Sequence[Origin], warnings: list[str]) -> Database | None:
    """What libpq's own variables name; those of the environment libpq takes on its own."""
    found = [(i, origin, name) for i, origin in enumerate(origins) if (name := origin.first(LIBPQ))]
    if not found:
        return None
    (position, origin, name), *others = found
    place = {
        variable: _libpq_value(origin, variable) for variable in LIBPQ if variable in origin.values
    }
    for _, other, unused in others:
        warnings.append(f"{other.label(unused)} is not used: {origin.label(name)} names the place")
    params: dict[str, str] = {}
    if origin.lines is not None:
        keywords = _libpq_keywords()
        said = {keywords[variable]: text for variable, text in place.items()}
        params = pinned(_login(origins, position) | said)
    return Database(params, f"libpq ({origin.label(name)})", embedded=False)


def _libpq_value(origin: Origin, variable: str) -> str:
    return str(origin.read(variable) if variable in SETTINGS else origin.values[variable])


def _libpq_keywords() -> dict[str, str]:
    """The keyword of each PG* variable, as this libpq knows them."""
    from psycopg.pq import Conninfo

    options = Conninfo.parse(b"")
    return {option.envvar.decode(): option.keyword.decode() for option in options if option.envvar}


def _tunnel_origin(origins: Sequence[Origin]) -> Origin | None:
    return _origin_of(origins, "SSH_HOST") if _value(origins, "SSH_ENABLED") else None


def _bastion(origins: Sequence[Origin], asked: Origin, environment: str, cwd: Path) -> Bastion:
    key, known = (_value(origins, name) for name in ("SSH_KEY_PATH", "SSH_KNOWN_HOSTS"))
    retries, delay = (_value(origins, name) for name in ("SSH_MAX_RETRIES", "SSH_RETRY_DELAY"))
    production = environment == "production"
    return Bastion(
        host=asked.read("SSH_HOST"),
        port=_value(origins, "SSH_PORT"),
        user=_value(origins, "SSH_USER"),
        key_path=cwd / key if key else None,
        passphrase=_value(origins, "SSH_KEY_PASSPHRASE"),
        known_hosts=cwd / known if known else None,
        agent=_value(origins, "SSH_AGENT"),
        retries=(5 if production else 3) if retries is None else retries,
        retry_delay_ms=(2000 if production else 1000) if delay is None else delay,
    )


def _check_embedded(origins: Sequence[Origin], position: int, warnings: list[str]) -> None:
    """Refuse what contradicts the embedded server; note what the flag overrides."""
    origin = origins[position]
    label = origin.label("CHATDB_EMBEDDED")
    code = Code.SETTINGS if origin.where else Code.USAGE
    if _value(origins, "CHATDB_ENV") == "production":
        reason = "CHATDB_ENV is production, where the embedded server is never used"
        raise ChatdbError(code, f"{label} is refused: {reason}", hint="name it by DATABASE_URL")
    against = origin.label(name) if (name := origin.names_database()) else None
    tunnel = _tunnel_origin(origins)
    if tunnel in origins[: position + 1] and tunnel:  # one asked for further down is outvoted
        against = against or tunnel.label("SSH_HOST")
    if against:
        hint = "the embedded server is a database of its own on this machine; give one or the other"
        raise ChatdbError(code, f"{label} contradicts {against}", hint=hint)
    if not origin.where:
        for other in origins[1:]:
            names = (other.names_database(), other.first(LIBPQ), other.first(["SSH_HOST"]))
            warnings.extend(f"{label}: {other.label(name)} is not used" for name in names if name)


def _holds_server(home: Path) -> bool:
    try:
        return (home / "server.json").is_file()
    except OSError:  # a home that can't be looked into is no server to use
        return False


def _against_embedded(origins: Sequence[Origin]) -> str | None:
    """Name what hints at another database than one of the project's own, or None."""
    suspects = ["CHATDB_EMBEDDED", "SSH_HOST", *LIBPQ_SECRETS]  # the first can only be false here
    if _value(origins, "CHATDB_ENV") == "production":
        suspects.insert(0, "CHATDB_ENV")
    for name in suspects:
        if origin := _origin_of(origins, name):
            return origin.label(name)
    return None
