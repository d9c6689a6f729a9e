"""Whether the platform's name leads to the platform, as this machine's resolver sees it.

On a campus whose DNS leads the platform's name to the gateway, the gateway's own machine must see the world as
it is: otherwise Bursar asks itself for tokens, and refuses them.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from app.administration.doctor import Finding

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a URL leads; no addresses for a name that nobody knows."""

    host: str
    port: int
    addresses: frozenset[str]


async def find_loops(base_urls: Mapping[str, str], public_url: str) -> list[Finding]:
    """What is wrong with where the credentials in `base_urls` lead, when people reach us at `public_url`."""
    found: list[Finding] = []
    public = await _look_up(public_url)
    for credential, url in base_urls.items():
        place = await _look_up(url)
        if place.port == public.port and place.addresses & public.addresses:
            what = f"credential {credential}: {place.host} leads to {public_url}, so Bursar would call itself"
            found.append(_finding("problem", what, place.host))
        elif not _is_address(place.host) and any(_is_of_this_machine(each) for each in place.addresses):
            what = f"credential {credential}: {place.host} leads to this machine, so Bursar may call itself"
            found.append(_finding("warning", what, place.host))
    return found


def _finding(severity: Literal["problem", "warning"], what: str, host: str) -> Finding:
    return Finding(
        severity=severity,
        code="calls_itself",
        what=what,
        mend=f"let the gateway's own machine resolve {host} as the world does: no line in its hosts file, "
        "and a resolver outside the campus's view",
    )


async def _look_up(url: str) -> _Place:
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0)
    try:
        answers = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        answers = []
    return _Place(host, port, frozenset(str(answer[4][0]) for answer in answers))


def _is_address(host: str) -> bool:
    if host == "localhost":
        return True  # whoever writes it means this machine
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_of_this_machine(address: str) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            # Only an own address can be bound; nothing is sent.
            probe.bind((address, 0))
        except OSError:
            return False
    return True
