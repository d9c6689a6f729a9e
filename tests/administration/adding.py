"""People as a test wants them, whether they were there before or not."""

from app.administration.acts import apply_state
from app.administration.changes import Actor
from app.administration.drafting import wanted_of
from app.administration.minting import Mint
from app.administration.registry import Registry


async def add_person(
    registry: Registry, mint: Mint, actor: Actor, *, email: str, name: str, roles: frozenset[str]
) -> bool:
    """Have a person of that address with that name and those roles; whether anything changed."""
    wanted = wanted_of({"people": [{"email": email, "name": name, "roles": sorted(roles)}]})
    return bool((await apply_state(registry, mint, actor, wanted)).plan.changes)
