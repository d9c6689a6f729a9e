"""Which fields a credential has been given at an endpoint, so that asking for them again is safe."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Proven:
    """Fields that came the last time that they were asked for, and fields for which a call was refused."""

    good: frozenset[str] = frozenset()
    refused: frozenset[str] = frozenset()


class ProvenFields(Protocol):
    """What is known of fields, in every process within a minute. Raises StoreUnavailable."""

    async def of(self, credential: str, endpoint: str) -> Proven:
        """What is known of the fields of one endpoint."""
        ...

    async def learn(
        self,
        credential: str,
        endpoint: str,
        *,
        good: frozenset[str] = frozenset(),
        refused: frozenset[str] = frozenset(),
    ) -> None:
        """Have this be known; what was known already costs nothing."""
        ...
