"""Private keys: checking and unlocking a key file.

What does not belong here: which keys are tried, and in which order (`login.py`).
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path

import paramiko
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from chatdb_cli.errors import ChatdbError, Code, errno_name
from chatdb_cli.ssh.known_hosts import fingerprint

# Asks a person for a passphrase; returns None without a terminal, or if there is no answer.
Ask = Callable[[str], str | None]
_CLASSES: dict[type, type[paramiko.PKey]] = {
    ed25519.Ed25519PrivateKey: paramiko.Ed25519Key,
    ec.EllipticCurvePrivateKey: paramiko.ECDSAKey,
    rsa.RSAPrivateKey: paramiko.RSAKey,
}
_UNUSABLE = (ValueError, paramiko.SSHException, paramiko.UnknownKeyType, UnsupportedAlgorithm)


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
    data = _key_block(path.read_bytes())
    try:
        return _from_data(path, data, None)
    except TypeError:
        pass  # it has a passphrase
    except _UNUSABLE as error:
        raise _invalid(path, error) from None
    tried = False
    for secret in (passphrase, ask(f"passphrase of {path}: ") if passphrase is None else None):
        if secret:
            tried = True
            try:
                return _from_data(path, data, secret.encode())
            except ValueError:
                pass
            except _UNUSABLE as error:
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


def _key_block(data: bytes) -> bytes:
    """Return a key without the text before and after it, which openssl writes and OpenSSH ignores."""
    match = re.search(rb"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----", data, re.DOTALL)
    return match[0] + b"\n" if match else data


def _from_data(path: Path, data: bytes, passphrase: bytes | None) -> paramiko.PKey:
    """Return a private key, with the certificate beside its file if there is one.

    paramiko itself reads no PKCS#8 (BEGIN PRIVATE KEY, BEGIN ENCRYPTED PRIVATE KEY), so it gets every
    key in OpenSSH's format.

    Raises:
        TypeError: it has a passphrase, and none was given.
    """
    try:
        loaded = serialization.load_ssh_private_key(data, passphrase)
    except ValueError:
        loaded = serialization.load_pem_private_key(data, passphrase)  # type: ignore[assignment]
    key_class = next((c for kind, c in _CLASSES.items() if isinstance(loaded, kind)), None)
    if key_class is None:
        raise paramiko.UnknownKeyType(key_type=type(loaded).__name__, key_bytes=b"")
    text = loaded.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.OpenSSH,
        serialization.NoEncryption(),
    )
    key = key_class.from_private_key(io.StringIO(text.decode()))
    certificate = Path(f"{path}-cert.pub")
    if certificate.exists():
        key.load_certificate(str(certificate))
    return key


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
        else "Ed25519, ECDSA and RSA keys are supported, in the format of OpenSSH, PEM or PKCS#8",
        notes=() if public else (str(error).partition(". ")[0],),
    )


def key_label(key: paramiko.PKey, where: str) -> str:
    """Return the label of a key in a message: its type, fingerprint, and where it comes from."""
    return f"{key.get_name()} {fingerprint(key.asbytes())} ({where})"
