# mypy: disable-error-code="no-untyped-def,no-untyped-call"
"""The other side of a comparison: its database, its schema, its own tunnel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.settings.against import settings_against
from chatdb_cli.settings.model import Settings
from tests.support.settings import ONE, PLACE, URL

pytestmark = pytest.mark.quick

NEW = "postgresql://app@new.example:5433/chat"


def other_of(settings: Settings) -> Any:
    return settings_against(settings)


def test_without_its_settings_there_is_no_other_side(project):
    assert other_of(project.write(".env", ONE).load()) is None


def test_the_other_side_has_its_own_database_and_the_same_settings_otherwise(project):
    settings = project.write(".env", ONE).load(CHATDB_AGAINST_URL=NEW, CHATDB_LOCK_TIMEOUT="3s")
    other = other_of(settings)
    login = {"user": "app", "host": "new.example", "port": "5433", "dbname": "chat"}
    assert other.database.params == PLACE | login
    assert other.database.source == "CHATDB_AGAINST_URL from the environment"
    assert settings.database.source == "DATABASE_URL from ./.env"
    assert (other.schema, other.lock_timeout_ms, other.against) == ("public", 3000, None)


def test_the_flag_is_called_against(project):
    settings = project.write(".env", f"CHATDB_AGAINST_URL={URL}").load({"against": NEW})
    assert other_of(settings).database.source == "--against"


def test_its_schema_is_the_same_unless_it_is_named(project):
    flags = {"schema": "app", "against": NEW}
    assert other_of(project.load(flags)).schema == "app"
    assert other_of(project.load(flags | {"against_schema": "old"})).schema == "old"


def test_the_tunnel_of_one_side_is_not_that_of_the_other(project):
    flags = {"database_url": URL, "against": NEW}
    settings = project.load(flags, SSH_HOST="bastion", SSH_USER="ops")
    assert (settings.ssh_host, other_of(settings).ssh_host) == ("bastion", None)
    settings = project.load(
        flags,
        CHATDB_AGAINST_SSH_HOST="new-bastion",
        CHATDB_AGAINST_SSH_PORT="2222",
        CHATDB_AGAINST_SSH_KEY_PATH="keys/id",
        CHATDB_AGAINST_SSH_RETRY_DELAY="5",
        CHATDB_ENV="production",
    )
    assert settings.bastion is None
    bastion = other_of(settings).bastion
    assert (bastion.host, bastion.port, bastion.user) == ("new-bastion", 2222, None)
    assert bastion.key_path == project.path / Path("keys/id")
    assert (bastion.retries, bastion.retry_delay_ms) == (5, 5)


@pytest.mark.parametrize(
    ("flags", "environ", "label"),
    [
        ({"against_schema": "new"}, {}, "--against-schema"),
        ({"against_ssh_host": "b"}, {}, "--against-ssh-host"),
        ({}, {"CHATDB_AGAINST_SSH_USER": "ops"}, "CHATDB_AGAINST_SSH_USER from the environment"),
    ],
)
def test_settings_of_the_other_side_without_its_url_are_refused_when_it_is_asked_for(
    project, flags, environ, label
):
    settings = project.write(".env", ONE).load(flags, **environ)  # other commands do not mind
    with pytest.raises(ChatdbError) as caught:
        other_of(settings)
    assert caught.value.code is Code.SETTINGS
    assert str(caught.value).startswith(f"{label} is for the other side")
    assert "CHATDB_AGAINST_URL" in str(caught.value.hint)


def test_a_secret_in_a_flag_of_the_other_side_is_warned_about(project):
    flags = {"against": "postgresql://app:hunter2@new/chat", "against_ssh_key_passphrase": "x"}
    warnings = project.load(flags).warnings
    assert warnings == (
        "--against holds a password: the process list shows it",
        "--against-ssh-key-passphrase is a secret: the process list shows it",
    )
    assert project.load(CHATDB_AGAINST_URL=flags["against"]).warnings == ()
