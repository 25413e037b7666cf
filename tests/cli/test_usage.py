"""Help texts, the version, and usage errors."""

from __future__ import annotations

import re

import pytest
import typer

from chatdb_cli.cli.app import application
from tests.support.chatdb import Chatdb, command_paths
from tests.support.database import Database
from tests.support.project import Project
from tests.support.servers import on_first_server

pytestmark = pytest.mark.quick


CONNECTION = {
    "--database-url",
    "--schema",
    "--embedded",
    "--insecure",
    "--pooler",
    "--env-file",
    "--dir",
    "--ssh-host",
    "--ssh-port",
    "--ssh-user",
    "--ssh-key-path",
    "--ssh-key-passphrase",
    "--ssh-known-hosts",
    "--ssh-agent",
    "--ssh-max-retries",
    "--ssh-retry-delay",
    "--no-tunnel",
}
OUTPUT = {"--format", "--log-format", "--log-file", "--quiet", "--verbose", "--version"}
OUTPUT |= {"--help", "--help-all"}
TIMING = {"--retries", "--lock-timeout", "--statement-timeout", "--wait"}
SCRATCH = {"--scratch-url", "--prelude"}
LOCAL = {"--env-file", *OUTPUT}
WRITING = CONNECTION | OUTPUT | TIMING | {"--allow-read-only-override"}
OPTIONS = {
    (): {"--version", "--help"},
    ("init",): LOCAL | {"--dir", "--chat"},
    ("setup",): WRITING | {"--seed", "--yes", "--allow-non-empty"}
    | {"--test", "--database", "--name", "--drop"},
    ("completion",): {"--help"},
    ("docs",): (CONNECTION - {"--dir"}) | OUTPUT | {"--output", "--check"},
    ("health",): CONNECTION | OUTPUT
    | {"--strict", "--threshold", "--wait", "--watch", "--every", "--serve", "--metrics-top"}
    | {"--cursor"},
    ("listen",): (CONNECTION - {"--dir"}) | OUTPUT | {"--topic", "--from", "--state", "--resync"},
    ("seed",): CONNECTION | OUTPUT
    | {"--scale", "--random-seed", "--yes", "--lock-timeout", "--statement-timeout"}
    | {"--allow-read-only-override"},
    ("tunnel",): (CONNECTION - {"--dir"}) | OUTPUT | {"--port"},
    ("counts",): (CONNECTION - {"--dir"}) | OUTPUT | {"--lock-timeout", "--statement-timeout"}
    | {"--checksum", "--columns", "--exclude-columns", "--estimate", "--jobs", "--save", "--compare"}
    | {"--map", "--map-column", "--find", "--limit", "--show-values", "--against", "--against-schema"}
    | {"--against-" + option[2:] for option in CONNECTION if option.startswith("--ssh-")},
    ("verify",): CONNECTION | OUTPUT | SCRATCH
    | {"--only", "--skip", "--since", "--offline", "--allow-pending", "--counts", "--report"}
    | {"--against", "--against-schema"}
    | {"--against-" + option[2:] for option in CONNECTION if option.startswith("--ssh-")},
    ("migrate",): {"--help"},
    ("migrate", "up"): WRITING
    | {"--to", "--steps", "--dry-run", "--allow-out-of-order", "--sync-each", "--wait-for-server"}
    | {"--allow-non-empty"},
    ("migrate", "down"): WRITING
    | {"--to", "--steps", "--all", "--dry-run", "--yes", "--allow-data-loss", "--sync-each"},
    ("migrate", "redo"): WRITING | {"--dry-run", "--yes", "--allow-data-loss"},
    ("migrate", "baseline"): WRITING | {"--dry-run", "--yes"},
    ("migrate", "mark"): WRITING | {"--dry-run", "--yes"},
    ("migrate", "unmark"): WRITING | {"--dry-run", "--yes"},
    ("migrate", "repair"): WRITING | {"--dry-run", "--yes"},
    ("migrate", "status"): CONNECTION | OUTPUT | {"--check"},
    ("migrate", "history"): CONNECTION | OUTPUT | {"--limit"},
    ("migrate", "new"): LOCAL | {"--dir", "--timestamp"},
    ("migrate", "lint"): CONNECTION | OUTPUT
    | {"--since", "--live", "--strict", "--fix", "--dry-run", "--report", "--explain"},
    ("migrate", "rehearse"): CONNECTION | OUTPUT | SCRATCH
    | {"--from", "--to", "--since", "--seed", "--locks", "--column-order"},
    ("migrate", "drift"): CONNECTION | OUTPUT | SCRATCH | {"--against", "--column-order"},
    ("migrate", "snapshot"): (CONNECTION - {"--dir"}) | OUTPUT | {"--output"},
    ("server",): {"--help"},
    ("server", "start"): LOCAL,
    ("server", "stop"): LOCAL,
    ("server", "status"): LOCAL,
    ("server", "url"): LOCAL | {"--user"},
    ("server", "psql"): LOCAL | {"--user"},
    ("server", "destroy"): LOCAL | {"--yes"},
}  # fmt: skip


def test_the_commands_are_exactly_the_expected_ones() -> None:
    assert set(command_paths(typer.main.get_command(application()))) == OPTIONS.keys()


@pytest.mark.parametrize("path", OPTIONS, ids=" ".join)
def test_every_command_lists_its_options(path: tuple[str, ...], offline: Chatdb) -> None:
    short = offline(*path, "--help")
    assert (short.code, short.err) == (0, "")
    assert short == offline(*path, "-h")
    named = re.findall(r"--[a-z-]+", short.out.partition("Shared options")[2])
    assert set(named) <= OPTIONS[path] | {"--help-all"}
    result = offline(*path, "--help-all") if "--help-all" in OPTIONS[path] else short
    assert len(short.out) <= len(result.out)
    listed = re.findall(r"^  (?:-\w, )?(--[a-z-]+)", result.out, re.MULTILINE)
    assert sorted(listed) == sorted(OPTIONS[path])
    assert max(map(len, result.out.splitlines())) <= 80
    repeated = r"(\]|\bVERSION|\barguments)\.\.\."  # in the line of usage
    assert "..." not in re.sub(repeated, "", result.out)  # no text is cut


def test_help_explains_the_own_options_of_a_command_and_only_names_the_shared_ones(
    offline: Chatdb,
) -> None:
    short, whole = (
        offline("migrate", "up", "--help").out,
        offline("migrate", "up", "--help-all").out,
    )
    assert "How a file" not in short
    for shared in ("--database-url", "--ssh-host", "--log-format"):
        assert shared in short.partition("Shared options, which --help-all explains:")[2]
        assert f"{shared} " in whole
    assert short.index("--sync-each") < short.index("Shared options")
    assert "Connect directly, even if SSH_HOST is set." in whole
    assert "Connect directly" not in short


HINTS = {
    "up": 'the command is "chatdb migrate up"',
    "status": 'the command is "chatdb migrate status" or "chatdb server status"',
    "psql": 'the command is "chatdb server psql"',
    "-d postgresql://ada:sesame@db/shop migrate up":
    'options follow the command: "chatdb migrate up -d ..."',
    "--schema=sesame status": 'options follow the command: "chatdb migrate status --schema ..."',
    "bogus": '"chatdb --help" lists its commands',
    "migrate bogus": '"chatdb migrate --help" lists its commands',
    "migrate up --bogus": '"chatdb migrate up --help" lists its options and arguments',
    "completion tcsh": '"chatdb completion --help" lists its options and arguments',
}  # fmt: skip


@pytest.mark.parametrize("line", HINTS)
def test_a_command_line_that_is_almost_right_is_answered_with_the_right_one(
    line: str, offline: Chatdb
) -> None:
    result = offline(*line.split())
    assert (result.code, result.out) == (2, "")
    assert result.err.splitlines()[-1] == f"hint: {HINTS[line]}"
    assert "sesame" not in result.err


def test_no_usage_line_has_the_marks_of_the_library_that_parses_it(offline: Chatdb) -> None:
    for path in OPTIONS:
        usage = offline(*path, "--help").out.splitlines()[0]
        assert not set("{}<>:") & set(usage.partition(": ")[2]), usage


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("chatdb mig", {"migrate"}),
        ("chatdb migrate sta", {"status"}),
        ("chatdb migrate up --allow-o", {"--allow-out-of-order"}),
        ("chatdb migrate history --li", {"--limit"}),
        ("chatdb completion z", {"zsh"}),
    ],
)
def test_a_shell_completes_commands_and_options(
    typed: str, completed: set[str], project: Project
) -> None:
    script = project.chatdb("completion", "bash").stdout
    assert "complete -o default -F _chatdb_completion chatdb" in script
    number = str(len(typed.split()) - 1)
    variables = {"COMP_WORDS": typed, "COMP_CWORD": number, "_CHATDB_COMPLETE": "complete_bash"}
    assert set(project.chatdb(env=variables).stdout.split()) == completed


@pytest.mark.parametrize("flag", ["--version", "-V"])
def test_version_is_printed_as_a_number(flag: str, offline: Chatdb) -> None:
    result = offline(flag)
    assert result.code == 0
    assert re.fullmatch(r"chatdb \d+\.\d+\.\d+\n", result.out)


@pytest.mark.parametrize("path", [(), ("migrate",), ("server",)], ids=" ".join)
def test_a_group_alone_shows_its_help(path: tuple[str, ...], offline: Chatdb) -> None:
    result = offline(*path)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith(f"Usage: {' '.join(('chatdb', *path))} ")
    assert "error: missing command\n" in result.err


USAGE = {
    "migrate bogus": "no such command 'bogus'",
    "migrate upp": "no such command 'upp'. Did you mean 'up'?",
    "migrate up --bogus": "no such option: --bogus",
    "migrate up extra": "got unexpected extra argument(s) (extra)",
    "migrate up --steps": "option '--steps' requires an argument",
    "migrate up --steps 0": "invalid value for '--steps': '0' is not a whole number from 1",
    "migrate up --steps x": "invalid value for '--steps': 'x' is not a whole number from 1",
    "migrate up --steps ³": "invalid value for '--steps': '³' is not a whole number from 1",
    "migrate down --steps -1": "invalid value for '--steps': '-1' is not a whole number from 1",
    "migrate new": "missing argument 'NAME'",
    "migrate up --lock-timeout 5": "--lock-timeout: '5' has no unit",
    "migrate up --statement-timeout 5": "--statement-timeout: '5' has no unit",
    "migrate down --wait 0": "--wait: '0' has no unit",
    "migrate redo --wait soon": "--wait: 'soon' is not a duration",
    "setup --lock-timeout 1week": "--lock-timeout: '1week' is not a duration",
    "migrate status --format xml": "--format: 'xml' is not one of text, json",
    "migrate status --log-format xml": "--log-format: 'xml' is not one of text, json",
    "migrate status --schema pg_x": "--schema: 'pg_x' starts with pg_",
    "migrate status --env-file none": "can't read none: no such file or directory",
    "migrate status --dir none": "there is no folder none",
    "migrate up": "there is no folder sql",
    "migrate status": "there is no folder sql",
    "migrate status --check": "no database configured",
    "server psql --bogus": "no such option: --bogus",
}


@pytest.mark.parametrize("line", USAGE)
@pytest.mark.parametrize("form", ["text", "json"])
def test_wrong_usage_is_exit_2(
    line: str, form: str, project: Project, offline: Chatdb, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "--dir" in line:
        monkeypatch.setenv("DATABASE_URL", "postgresql://u@h/d")
    elif USAGE[line] == "no database configured":
        project.write_tables(1)
    if form == "json" and "--format" not in line:
        monkeypatch.setenv("CHATDB_FORMAT", "json")
    result = offline(*line.split())
    assert result.code == 2
    assert result.err.startswith(f"error: {USAGE[line]}")
    assert "Traceback" not in result.err
    if form == "text" or "--format" in line:
        assert result.out == ""
    else:
        error = result.document["error"]
        assert error["code"] in ("usage", "settings", "not-configured")
        assert error["message"].startswith(USAGE[line])


@pytest.mark.parametrize("flag", [["--format", "json"], ["--format=json"]])
def test_format_json_makes_a_usage_error_json(flag: list[str], offline: Chatdb) -> None:
    assert offline("migrate", "up", *flag, "--bogus").document["error"]["code"] == "usage"
    assert offline("migrate", "up", "--bogus", *flag).document["target"] is None


def test_an_invalid_environment_variable_is_named(
    offline: Chatdb, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHATDB_WAIT", "5")
    result = offline("migrate", "status")
    assert result.code == 2
    assert result.err.startswith("error: CHATDB_WAIT from the environment: '5' has no unit\n")


@on_first_server
def test_a_format_set_in_an_env_file_applies_to_errors_too(
    project: Project, database: Database, offline: Chatdb
) -> None:
    (project.path / ".env").write_text(f"CHATDB_FORMAT=json\nDATABASE_URL={database.url}\n")
    project.write_tables(1)
    result = offline("migrate", "up", "--schema", "nowhere")
    assert result.code == 2
    assert result.document["error"]["code"] == "missing-schema"
    assert result.document["target"]["schema"] == "nowhere"


@on_first_server
@pytest.mark.parametrize(
    "line",
    [
        "migrate up --to 1 --steps 1",
        "migrate down --to 0 --all",
        "migrate down --steps 1 --all",
        "migrate down --to 1 --steps 1 --all",
        "migrate up --to 9",
        "migrate up --to x",
        "migrate up --to 1",
        "migrate down --to 9",
        "migrate up --schema nowhere",
        "migrate status --schema nowhere",
        "migrate history --schema nowhere",
    ],
)
def test_contradictory_options_and_unknown_versions_are_exit_2(
    line: str, project: Project, chatdb: Chatdb, database: Database
) -> None:
    project.write_tables(1, 2)
    assert chatdb("migrate", "up").code == 0
    result = chatdb(*line.split())
    assert (result.code, result.out) == (2, "")
    assert re.search(r"^error: .+\n\nhint: .+\n", result.err, re.MULTILINE)
    assert database.tables() == {"t1", "t2"}
