"""The job that notes which approvals end soon, so that people are told while there is time."""

from typing import Final

from app.administration.notices import approvals_ending
from app.storage.engines import Database
from app.storage.log import Boot
from app.storage.notices import tell
from app.storage.registry import SqlRegistry
from app.storage.rounds import Rounds

_EVERY_S: Final = 3_600


class Deadlines:
    """Looks when it starts and every hour; each deadline is noted once, whichever process finds it."""

    def __init__(self, *, database: Database, boot: Boot) -> None:
        self._database = database
        self._registry = SqlRegistry(database=database, boot=boot)
        self.rounds = Rounds(self.look, every_s=_EVERY_S, failed="ends of approvals could not be noted")

    async def look(self) -> None:
        """Note what ends within thirty days, and again what ends within seven."""
        state = await self._registry.state()
        found = approvals_ending(state.projects, state.now.date())
        if found:
            await self._database.write(
                lambda conn: tell(conn, self._database.dialect, found, now_us=self._database.now_us(conn))
            )
