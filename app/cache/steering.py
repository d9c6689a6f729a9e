"""What a caller's `Cache-Control` asks of the answer (RFC 9111, section 5.2.1): pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_DIRECTIVE = re.compile(
    rb"[\s,]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)"  # the name
    rb"(?:\s*=\s*(?:\"((?:[^\"\\]|\\.)*)\"|([^\s,;\"]*)))?"  # and its argument, in quotes or not
    rb"[^,]*"
)
_MOST_BYTES = 1_000
"""More than any client has to say; what stands behind is not read."""
_MOST_DIGITS = 10
_LONGEST_S = 2**31
"""What any longer time counts as (RFC 9111, section 1.2.2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Steering:
    """What the caller asks for. Whatever is not understood asks for nothing."""

    is_anew: bool = False
    """`no-cache`: nothing that was held before the call."""
    is_unheld: bool = False
    """`no-store`: the answer is not kept."""
    max_age_s: int | None = None
    is_held_only: bool = False
    """`only-if-cached`: what is held, or nothing."""

    def since_us(self, asked_us: int) -> int:
        """When the oldest answer left the platform that a call of that moment may be given; 0: it does not matter."""
        if self.is_anew:
            return asked_us
        return 0 if self.max_age_s is None else max(0, asked_us - self.max_age_s * 1_000_000)

    def said(self) -> list[str]:
        """What was understood, as the log keeps it."""
        spoken = {
            "no-cache": self.is_anew,
            "no-store": self.is_unheld,
            f"max-age={self.max_age_s}": self.max_age_s is not None,
            "only-if-cached": self.is_held_only,
        }
        return [name for name, is_said in spoken.items() if is_said]


UNSTEERED = Steering()


def read_cache_control(value: bytes) -> Steering:
    """Good: `no-cache`, `max-age=3600, only-if-cached`, `Max-Age="60"`. What is malformed or unknown is left out.

    Of two times the shorter counts.
    """
    names, ages = set[str](), list[int]()
    for name, argument in _directives(value[:_MOST_BYTES]):
        if name == "max-age":
            if argument.isdigit():
                ages.append(_LONGEST_S if len(argument) > _MOST_DIGITS else min(int(argument), _LONGEST_S))
        else:
            names.add(name)
    return Steering(
        is_anew="no-cache" in names,
        is_unheld="no-store" in names,
        max_age_s=min(ages, default=None),
        is_held_only="only-if-cached" in names,
    )


def _directives(value: bytes) -> Iterator[tuple[str, bytes]]:
    for found in _DIRECTIVE.finditer(value):
        name, quoted, bare = found.groups()
        yield name.decode("ascii").lower(), quoted if quoted is not None else bare or b""
