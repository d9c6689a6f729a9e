"""A client's act on one side, and how the two sides compare."""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Protocol

from tests.clients.errands import Errand
from tests.clients.sides import Side
from tests.clients.wire import Exchange, Watch, data_of, wired


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What the client returned or raised, how it slept (None: for a while), and what crossed the wire."""

    got: str
    raised: str | None
    slept_s: tuple[float | None, ...]
    exchanges: tuple[Exchange, ...]

    @property
    def research(self) -> tuple[Exchange, ...]:
        """The exchanges other than those for tokens."""
        return tuple(exchange for exchange in self.exchanges if exchange.is_research)

    @property
    def statuses(self) -> list[int]:
        """The status of each research exchange."""
        return [exchange.status for exchange in self.research]

    @property
    def codes(self) -> list[str]:
        """The code of each research exchange; empty for one that is not JSON."""
        return [str(exchange.error.get("code", "")) for exchange in self.research]

    @property
    def behaviour(self) -> dict[str, Any]:
        """What a researcher would notice: result, exception, pauses, and the order of requests."""
        return {
            "raised": self.raised,
            "asked": [(exchange.path, exchange.status) for exchange in self.exchanges],
            "slept": self.slept_s,
            "got": self.got,
        }

    def verdict(self, whole: "Run") -> str:
        """How it ended for the researcher, beside a run without trouble, and the pauses on the way.

        `part+59x1s`: less than everything, or nothing, without an exception, after 59 pauses of a second.
        """
        end = self.raised or ("whole" if self.got == whole.got else "part")
        pauses = Counter("?" if pause is None else f"{pause:g}" for pause in self.slept_s)
        return end + "".join(f"+{count}x{pause}s" for pause, count in pauses.items())

    @property
    def data(self) -> list[str]:
        """The JSON values of each research answer."""
        return data_of(self.research)


class Client(Protocol):
    """A client of other people's making; `acts` has the endpoint that each of its functions asks."""

    @property
    def name(self) -> str: ...

    @property
    def acts(self) -> Mapping[str, str]: ...

    def sign_in(self, side: Side) -> object:
        """What the client keeps of signing in, to be given to `run`."""
        ...

    def run(
        self, side: Side, act: str, errand: Errand, watch: Watch | None = None, session: object = None
    ) -> Run:
        """Do the act, to its end; without a session, sign in first."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One function of a client: `do` gets whatever signing in gave, and returns what the client gave."""

    endpoint: str
    do: Callable[[Any, Errand], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonClient:
    """A client in this process, on requests; `waits` are the places from which it sleeps."""

    name: str
    begin: Callable[[str, str], object]
    table: Mapping[str, Act]
    waits: Sequence[tuple[ModuleType, str]] = field(default_factory=tuple)

    @property
    def acts(self) -> Mapping[str, str]:
        return {name: act.endpoint for name, act in self.table.items()}

    def sign_in(self, side: Side) -> object:
        """The client's own object, or its token."""
        with wired(side.base_url, self.waits, None):
            return self.begin(side.client_key, side.client_secret)

    def run(
        self, side: Side, act: str, errand: Errand, watch: Watch | None = None, session: object = None
    ) -> Run:
        """Do the act, to its end; without a session, sign in first."""
        got, raised = "", None
        with wired(side.base_url, self.waits, watch) as wire:
            try:
                session = session or self.begin(side.client_key, side.client_secret)
                got = json.dumps(self.table[act].do(session, errand), sort_keys=True, default=str)
            except Exception as error:  # noqa: BLE001 - whatever it raises is what is compared
                raised = type(error).__name__
        return Run(got=got, raised=raised, slept_s=tuple(wire.slept_s), exchanges=tuple(wire.exchanges))
