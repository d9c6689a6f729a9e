"""The registry over SQL: a record is a row whose columns are the record's fields."""

import dataclasses
import datetime as dt
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlmodel import SQLModel

from app.administration.changes import Actor, Plan
from app.administration.lockout import require_own_administration
from app.administration.loosening import require_second_for_rules
from app.administration.registry import EARLIER, CounterSlot, LogSize
from app.administration.savings import Given
from app.administration.second_person import require_second_person
from app.administration.state import (
    Acceptance,
    Credential,
    Freeze,
    Identity,
    Key,
    Membership,
    Password,
    Person,
    PersonToken,
    Project,
    Proposal,
    QuotaRequest,
    Record,
    RuleMode,
    State,
    StatedValue,
    TermsVersion,
    key_of,
)
from app.administration.two_people import require_two_accounts, with_fresh_means
from app.administration.upkeep import require_two
from app.errors import BadSetting, Conflict, NotReady
from app.quota.arithmetic import Dimension, Use, Window
from app.quota.limits import Raise, StoredLimit
from app.quota.mirror import Mirror
from app.storage.engines import Database
from app.storage.ledger import USES_BEFORE, USES_SINCE
from app.storage.log import Boot, LockedHead, lock_head
from app.storage.mirrors import read_mirrors
from app.storage.notices import Untold, tell, untold
from app.storage.prepared import upsert
from app.storage.savings import read_answers
from app.storage.seal_files import SealKeyFile
from app.storage.seals import settle
from app.storage.tables import (
    AcceptanceRow,
    CredentialRow,
    EntryRow,
    FreezeRow,
    HeadRow,
    IdentityRow,
    KeyRow,
    LimitRow,
    MembershipRow,
    PasswordRow,
    PersonRow,
    PersonTokenRow,
    ProjectRow,
    ProposalRow,
    QuotaRequestRow,
    RaiseRow,
    RuleModeRow,
    SessionRow,
    StatedValueRow,
    TermsRow,
    table,
)
from app.storage.upkeep import empty_pruned, prepare

T = TypeVar("T")
R = TypeVar("R")

_ROWS: Final[Mapping[type[Any], type[SQLModel]]] = {
    # In an order in which what a row points at is written before it.
    Credential: CredentialRow,
    Person: PersonRow,
    TermsVersion: TermsRow,
    Acceptance: AcceptanceRow,
    Project: ProjectRow,
    Membership: MembershipRow,
    Key: KeyRow,
    PersonToken: PersonTokenRow,
    Password: PasswordRow,
    Identity: IdentityRow,
    StoredLimit: LimitRow,
    Raise: RaiseRow,
    RuleMode: RuleModeRow,
    StatedValue: StatedValueRow,
    Freeze: FreezeRow,
    QuotaRequest: QuotaRequestRow,
    Proposal: ProposalRow,
}
_TABLES: Final = {kind: table(row) for kind, row in _ROWS.items()}
_head, _entry, _session = table(HeadRow), table(EntryRow), table(SessionRow)

_DROPS: Final = {
    kind: sa.delete(_TABLES[kind]).where(
        *(column == sa.bindparam(f"old_{column.name}") for column in _TABLES[kind].primary_key.columns)
    )
    for kind in (StoredLimit, StatedValue, Identity)
}


class SqlRegistry:
    """The registry's port over SQL; see `app.administration.registry`."""

    def __init__(
        self,
        *,
        database: Database,
        boot: Boot,
        needs_second_person: bool = False,
        seal_file: SealKeyFile | None = None,
    ) -> None:
        self._database = database
        self._boot = boot
        self._seal_file = seal_file
        self.needs_second_person = needs_second_person

    async def state(self) -> State:
        """The whole directory, from one snapshot."""
        return await self._database.read(self._load)

    async def change(self, actor: Actor, decide: Callable[[State], tuple[Plan, T]]) -> T:
        """What `decide` says beside its plan, once the plan is carried out."""

        upkeep: list[Callable[[Connection], None]] = []

        def work(conn: Connection) -> tuple[LockedHead, T]:
            head = lock_head(conn, self._database, self._boot)
            state = _state(conn, now_us=head.now_us, revision=head.revision)
            plan, answer = decide(state)
            require_own_administration(state, plan, actor)
            if self.needs_second_person:
                require_second_person(state, plan)
                require_second_for_rules(state, plan)
                require_two_accounts(state, plan, actor)
                plan = with_fresh_means(state, plan, actor)
            require_two(state, plan)
            if plan.changes:
                self._carry_out(conn, plan)
                for change in plan.changes:
                    head.stage(change.entry(actor))
                tell(conn, self._database.dialect, plan.notices, now_us=head.now_us)
                if plan.invalidates:
                    head.change_directory()
                if plan.upkeep is not None:
                    upkeep.append(prepare(conn, head, actor, plan.upkeep, self._require_seal_file()))
                head.write()
                for finish in upkeep:
                    finish(conn)
            return head, answer

        try:
            _, answer = await self._database.write(work, committed=lambda done: done[0].committed())
        except sa.exc.IntegrityError as error:
            raise Conflict(
                "Two objects cannot both be: their names or what they point at collide."
            ) from error
        if upkeep:
            file = self._require_seal_file()
            await self._database.write(lambda conn: settle(conn, file))
        return answer

    async def empty_pruned(self) -> int:
        """How many entries below the log's first lost their content now; see `app.storage.upkeep`."""
        return await empty_pruned(self._database)

    async def uses(
        self, scope_ids: Collection[str], *, since: dt.date
    ) -> Mapping[CounterSlot, Mapping[dt.date, Use]]:
        """What these scopes used on each day from `since`, and at `EARLIER` the sum of all days before."""
        wanted = {"ids": sorted(scope_ids), "since": since}
        return await self._database.read(lambda conn: _uses(conn, wanted))

    async def answers(self, project_ids: Collection[str], day: dt.date) -> Mapping[str, Mapping[str, Given]]:
        """By project and kind, the answers that were given on that day."""
        return await self._database.read(lambda conn: read_answers(conn, project_ids, day))

    async def mirrors(self) -> Sequence[tuple[str, str, Mirror]]:
        """What the platform has called used up; see `app.administration.registry`."""
        return await self._database.read(read_mirrors)

    async def untold(self) -> Sequence[Untold]:
        """Channels on which notices do not arrive."""
        return await self._database.read(lambda conn: untold(conn, self._database.now_us(conn)))

    async def log_size(self) -> LogSize:
        """The length of the log by its head and by its entries."""
        return await self._database.read(_log_size)

    def _sign_out(self, conn: Connection, plan: Plan) -> None:
        """End the sessions of whoever is retired or frozen, or whose password or institutional account is another now."""
        people = {each.person_id for each in plan.dropped if isinstance(each, Identity)}
        for record in plan.puts:
            match record:
                case Person(retired_us=int()):
                    people.add(record.id)
                case Freeze(kind="person", retired_us=None):
                    people.add(record.object_id)
                case Password(code_digest=None):
                    people.add(record.person_id)
                case _:
                    pass
        if people:
            conn.execute(sa.delete(_session).where(_session.c.person_id.in_(sorted(people))))

    def _require_seal_file(self) -> SealKeyFile:
        if self._seal_file is None:
            raise BadSetting("The file of the key for questions is not at hand here.")
        return self._seal_file

    def _load(self, conn: Connection) -> State:
        revision = conn.execute(sa.select(_head.c.revision)).scalar_one_or_none()
        if revision is None:
            raise NotReady("The database has no log yet: run `bursar init`.")
        return _state(conn, now_us=self._database.now_us(conn), revision=revision)

    def _carry_out(self, conn: Connection, plan: Plan) -> None:
        latest = {key_of(record): record for record in plan.puts}
        for kind, target in _TABLES.items():
            rows = [_row(record) for record in latest.values() if isinstance(record, kind)]
            if rows:
                conn.execute(upsert(self._database.dialect, target), rows)
        self._sign_out(conn, plan)
        for dropped, statement in _DROPS.items():
            gone = [_row(record) for record in plan.dropped if isinstance(record, dropped)]
            names = _TABLES[dropped].primary_key.columns.keys()
            if gone:
                conn.execute(statement, [{f"old_{name}": row[name] for name in names} for row in gone])


def _state(conn: Connection, *, now_us: int, revision: int) -> State:
    return State(
        now_us=now_us,
        revision=revision,
        credentials=_all(conn, Credential),
        people=_all(conn, Person),
        terms=_all(conn, TermsVersion),
        acceptances=_all(conn, Acceptance),
        projects=_all(conn, Project),
        memberships=_all(conn, Membership),
        keys=_all(conn, Key),
        tokens=_all(conn, PersonToken),
        passwords=_all(conn, Password),
        identities=_all(conn, Identity),
        limits=_all(conn, StoredLimit),
        raises=_all(conn, Raise),
        rule_modes=_all(conn, RuleMode),
        stated_values=_all(conn, StatedValue),
        freezes=_all(conn, Freeze),
        requests=_all(conn, QuotaRequest),
        proposals=_all(conn, Proposal),
    )


def _all(conn: Connection, kind: type[R]) -> Sequence[R]:
    source = _TABLES[kind]
    rows = conn.execute(sa.select(source).order_by(*source.primary_key.columns)).mappings()
    return tuple(_record(kind, dict(row)) for row in rows)


def _record(kind: type[R], row: dict[str, Any]) -> R:
    if kind in {StoredLimit, Raise, QuotaRequest}:
        row["dimension"] = Dimension(row["dimension"])
        row["window"] = Window(row["window"]) if row["window"] else None
    elif kind is Person:
        row["roles"] = tuple(row["roles"])
    return kind(**row)


def _row(record: Record) -> dict[str, Any]:
    row = {each.name: getattr(record, each.name) for each in dataclasses.fields(record)}
    if isinstance(record, (StoredLimit, Raise, QuotaRequest)):
        row["dimension"] = record.dimension.value
        row["window"] = record.window.value if record.window else ""
    elif isinstance(record, Person):
        row["roles"] = list(record.roles)
    return row


def _uses(conn: Connection, wanted: dict[str, object]) -> dict[CounterSlot, dict[dt.date, Use]]:
    found: dict[CounterSlot, dict[dt.date, Use]] = {}
    for row in conn.execute(USES_SINCE, wanted):
        found.setdefault((row.scope_kind, row.scope_id, row.dimension), {})[row.day] = Use(
            row.used, row.reserved
        )
    for row in conn.execute(USES_BEFORE, wanted):
        slot = (row.scope_kind, row.scope_id, row.dimension)
        # PostgreSQL sums big integers into a decimal.
        found.setdefault(slot, {})[EARLIER] = Use(int(row.used), int(row.reserved))
    return found


def _log_size(conn: Connection) -> LogSize:
    size = conn.execute(sa.select(_head.c.size)).scalar_one_or_none()
    if size is None:
        raise NotReady("The database has no log yet: run `bursar init`.")
    return LogSize(
        by_head=size, entries=conn.execute(sa.select(sa.func.count()).select_from(_entry)).scalar_one()
    )
