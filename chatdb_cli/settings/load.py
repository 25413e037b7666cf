"""Loading: every setting, from its highest source.

    load_settings    flags, environment, .env files and the project file, as one value

What does not belong here: the table of settings (`table.py`), choosing a database (`database.py`).
"""

from __future__ import annotations

from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from chatdb_cli.errors import ChatdbError, Code, Location
from chatdb_cli.settings import parse
from chatdb_cli.settings.against import other_side
from chatdb_cli.settings.bastion import read_bastion
from chatdb_cli.settings.database import (
    display_path,
    embedded_database,
    holds_server,
    named_database,
    other_database,
    reason_against_embedded,
    tunnel_source,
)
from chatdb_cli.settings.libpq import libpq_database, process_environment
from chatdb_cli.settings.model import Settings
from chatdb_cli.settings.project_file import read_project_file
from chatdb_cli.settings.sources import read_sources, source_of, value_of
from chatdb_cli.settings.table import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from chatdb_cli.settings.sources import Source


def load_settings(
    flags: Mapping[str, str | bool | None] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Settings:
    """Read every setting from its highest source; reads files, writes nothing.

    Args:
        flags: text by the name of a setting (`lock_timeout`); None is "not given", and False is too.
        environ: in place of the environment of the process.
        cwd: in place of the working directory.

    Raises:
        ChatdbError: SETTINGS or USAGE, a value is wrong or two contradict each other; the message names
            the setting, its source and, unless it may be a secret, the value.
        TypeError: a flag is not the name of a setting.
    """
    try:
        cwd = (cwd or Path()).absolute()
    except FileNotFoundError:
        raise ChatdbError(
            Code.SETTINGS, "the working directory does not exist any more", errno="ENOENT"
        ) from None
    arguments = dict(flags or {})
    insecure = arguments.pop("insecure", None) is True
    override = arguments.pop("allow_read_only_override", None) is True
    if arguments.pop("no_tunnel", None):
        arguments["ssh_enabled"] = "false"
    project = read_project_file(cwd)
    sources = (
        *read_sources(arguments, process_environment() if environ is None else environ, cwd),
        project.source,
    )
    _refuse_programs_of_files(sources)
    fields = {s.field: value_of(sources, s.variable) for s in SETTINGS.values() if s.field}
    if fields["prelude"] is not None:
        fields["prelude"] = cwd / fields["prelude"]
    if cursors := fields["health_cursors"]:
        fields["health_cursors"] = {name: cwd / file for name, file in cursors.items()}
    home = cwd / value_of(sources, "CHATDB_HOME")
    warnings = [*_unused_variables(sources), *project.warnings]
    database = named_database(sources, display_path(home, cwd), warnings)
    database = database or libpq_database(sources, warnings)
    reason = None if database else reason_against_embedded(sources)
    if database is None and holds_server(home):
        shown_home = display_path(home, cwd)
        if reason:
            warnings.append(f"the embedded server in {shown_home} is not used, because of {reason}")
        else:
            database = embedded_database(shown_home)
    tunnel = None if database and database.embedded else tunnel_source(sources)
    bastion = read_bastion(sources, tunnel, fields["environment"], cwd) if tunnel else None
    if "SSH_KEY_PASSPHRASE" in sources[0].values:
        warnings.append("--ssh-key-passphrase is a secret: the process list shows it")
    other = other_side(sources, fields["environment"], cwd, warnings)
    test_database = other_database(sources, "TEST_DATABASE_URL", warnings)
    scratch_database = other_database(sources, "CHATDB_SCRATCH_URL", warnings)
    return Settings(
        database=database,
        home=home,
        bastion=bastion,
        warnings=tuple(warnings),
        insecure=insecure,
        allow_read_only_override=override,
        schema_named=source_of(sources, "CHATDB_SCHEMA") is not None,
        lint=project.lint,
        counts=project.counts,
        health_listen=_health_listen(sources),
        test_database=test_database,
        scratch_database=scratch_database,
        against=other,
        embeddable=None if database or reason else embedded_database(display_path(home, cwd)),
        **fields,
    )


def _refuse_programs_of_files(sources: Sequence[Source]) -> None:
    """Refuse a setting that only the environment may have, in any other source.

    Raises:
        ChatdbError: SETTINGS, a file or a flag sets it.
    """
    environment = sources[1]
    for variable in (s.variable for s in SETTINGS.values() if s.environment_only):
        for source in sources:
            if variable in source.values and source is not environment:
                raise ChatdbError(
                    Code.SETTINGS,
                    f"{source.label(variable, line=True)} is refused: it names programs to run, and a "
                    "file of a project must not choose them",
                    hint=f"set {variable} in the environment",
                    place=Location(Path(source.where), source.lines[variable])
                    if source.lines
                    else None,
                )


def _health_listen(sources: Sequence[Source]) -> tuple[str | None, int | None] | None:
    """Return the host and the port of the HTTP server, or None; PORT completes the address.

    PORT of an env file is not for chatdb: it is the port of the application in development.
    """
    listen: tuple[str | None, int | None] | None = value_of(sources, "CHATDB_HEALTH_LISTEN")
    if listen is None or listen[1] is not None:
        return listen
    environment = sources[1]
    return listen[0], environment.read("PORT") if "PORT" in environment.values else None


def debug_requested() -> bool:
    """Return whether CHATDB_DEBUG requests tracebacks, even if the settings can't be loaded."""
    return process_environment().get("CHATDB_DEBUG", "").lower() in parse.TRUE


def requested(arguments: Sequence[str], variable: str, *, files: bool = False) -> str:
    """Return the text that a command line gives for a setting, even if it can't be parsed.

    Args:
        arguments: of the command line.
        variable: the variable of the setting, whose flag is searched for first.
        files: also read the .env files; one that can't be read is ignored.
    """
    option = "--" + SETTINGS[variable].name.replace("_", "-")
    for before, argument in reversed([*pairwise(["", *arguments])]):
        if before == option:
            return argument
        if argument.startswith(f"{option}="):
            return argument.partition("=")[2]
    environ = process_environment()
    if files and not environ.get(variable):
        file = requested(arguments, "CHATDB_ENV_FILE")
        with suppress(ChatdbError, OSError):
            sources = read_sources({"env_file": file or None}, environ, Path().absolute())
            source = source_of(sources, variable)
            return source.values[variable] if source else ""
    return environ.get(variable, "")


def _unused_variables(sources: Sequence[Source]) -> list[str]:
    """Return a warning for each variable that is set and has no effect."""
    known = [variable for variable in SETTINGS if variable.startswith("CHATDB_")]
    warnings = []
    for source in sources[1:]:
        for variable in source.values:
            if variable in SETTINGS and (literal := source.literal(variable)):
                warnings.append(f"{source.label(variable, line=True)}: {literal}")
            if variable.startswith("CHATDB_") and variable not in known:
                suggestion = parse.did_you_mean(variable, known)
                warnings.append(f"{source.label(variable, line=True)} is not a setting{suggestion}")
        for variable in ("CHATDB_ENV_FILE", "PGSERVICEFILE"):
            if source.lines is not None and variable in source.values:
                label = source.label(variable, line=True)
                warnings.append(f"{label} has no effect there; set it in the environment")
    return warnings
