"""The address to listen on: loopback, unless another one is written out.

What does not belong here: reading HOST[:PORT] (`settings/parse.py`), listening (`listener.py`).
"""

from __future__ import annotations

import ipaddress

DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 9432


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


def join(host: str, port: int) -> str:
    """Return HOST:PORT; an address of IPv6 is in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
