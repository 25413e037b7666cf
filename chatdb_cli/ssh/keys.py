"""Private keys: checking and unlocking a key file.

What does not belong here: which keys are tried, and in which order (`login.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import paramiko

from chatdb_cli.errors import ChatdbError, Code, errno_name
from chatdb_cli.ssh.known_hosts import fingerprint

if TYPE_CHECKING:
    from pathlib import Path

# Asks a person for a passphrase; returns None without a terminal, or if there is no answer.
Ask = Callable[[str], str | None]


def load_private_key(path: Path, passphrase: str | None, ask: Ask) -> paramiko.PKey:
    """Return the private key of a file, with the certificate beside it if there is one.

    Args:
        path: the file; Ed25519, ECDSA or RSA.
        passphrase: the passphrase of the settings, or None.
        ask: asks a person for the passphrase, if the settings have none.

    Raises:
        ChatdbError: `KEY_MISSING`, `KEY_UNREADABLE`, `KEY_TOO_OPEN`, `KEY_LOCKED` or `KEY_INVALID`.
    """
    _check_file(path)
    try:
        return paramiko.PKey.from_path(path)
    except TypeError:
        pass  # it has a passphrase
    except (ValueError, paramiko.SSHException, paramiko.UnknownKeyType) as error:
        raise _invalid(path, error) from None
    tried = False
    for secret in (passphrase, ask(f"passphrase of {path}: ") if passphrase is None else None):
        if secret:
            tried = True
            try:
                # paramiko annotates it as str, but needs bytes.
                return paramiko.PKey.from_path(path, secret.encode())
            except ValueError:
                pass
            except (paramiko.SSHException, paramiko.UnknownKeyType) as error:
                raise _invalid(path, error) from None
    if tried:
        raise ChatdbError(
            Code.KEY_LOCKED,
            f"the passphrase does not unlock the key {path}",
            hint='correct SSH_KEY_PASSPHRASE; "ssh-keygen -y -f FILE" tries one',
        )
    raise ChatdbError(
        Code.KEY_LOCKED,
        f"the key {path} has a passphrase, and none was given",
        hint="set SSH_KEY_PASSPHRASE, run it on a terminal, or add the key to the agent and set "
        "SSH_AGENT=true",
    )


def _check_file(path: Path) -> None:
    try:
        with path.open("rb"):
            mode = path.stat().st_mode
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        raise ChatdbError(
            Code.KEY_MISSING if missing else Code.KEY_UNREADABLE,
            f"the key {path} does not exist"
            if missing
            else f"the key {path} can't be read: {(error.strerror or 'unknown error').lower()}",
            hint="correct SSH_KEY_PATH, or IdentityFile in ~/.ssh/config",
            errno=errno_name(error),
        ) from None
    if mode & 0o077:
        raise ChatdbError(
            Code.KEY_TOO_OPEN,
            f"other users can access the key {path} (mode {mode & 0o777:04o})",
            hint=f'run "chmod 600 {path}"; a key that others could read should be replaced',
        )


def _invalid(path: Path, error: Exception) -> ChatdbError:
    public = path.read_bytes()[:400].startswith((b"ssh-", b"ecdsa-"))
    return ChatdbError(
        Code.KEY_INVALID,
        f"{path} is a public key" if public else f"{path} is not a usable private key",
        hint=f"name the private key, {path.with_suffix('')}"
        if public
        else "Ed25519, ECDSA and RSA keys are supported, in the format of OpenSSH or as PEM",
        notes=() if public else (str(error).partition(". ")[0],),
    )


def key_label(key: paramiko.PKey, where: str) -> str:
    """Return the label of a key in a message: its type, fingerprint, and where it comes from."""
    return f"{key.get_name()} {fingerprint(key.asbytes())} ({where})"
