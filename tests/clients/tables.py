"""Tables of how clients end, as text: a row for each act, or one for all acts of a client."""

from tests.clients.cast import Actor


def cells_of(table: str, actor: Actor) -> dict[str, tuple[str, str]]:
    """What a table says of an actor in each column: how it ends without Bursar, and through it.

    Good: `part`, for both; `ValueError|whole`, for a difference; `=`, as in the column to the left.
    Bad: an actor or a cell that the table leaves out, which raises.
    """
    header, *lines = (line.split() for line in table.strip().splitlines())
    rows = {name: cells for name, *cells in lines}
    cells = rows[actor.client.name] if actor.client.name in rows else rows[str(actor)]
    found: dict[str, tuple[str, str]] = {}
    last = ("", "")
    for column, cell in zip(header, cells, strict=True):
        direct, _, through = cell.partition("|")
        last = last if cell == "=" else (direct, through or direct)
        found[column] = last
    return found
