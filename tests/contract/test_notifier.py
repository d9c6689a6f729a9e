"""What becomes of notices, on the real engine of each adapter: taken up once, tried again, handed over."""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import pytest
import sqlalchemy as sa

from app.administration.changes import local_operator
from app.administration.minting import Mint
from app.administration.notices import (
    GIVE_UP_AFTER,
    Kind,
    Message,
    Notice,
    Undelivered,
    platform_spent,
    wait_s,
)
from app.clock import SystemClock
from app.sealing import MasterKey
from app.storage.engines import Database, open_database
from app.storage.muted import SqlMuted
from app.storage.notices import tell
from app.storage.notifying import Notifier
from app.storage.registry import SqlRegistry
from app.storage.tables import DeliveryRow, NoticeRow, table
from tests.administration.adding import add_person
from tests.signing import boot

pytestmark = pytest.mark.anyio

TODAY = dt.date(2026, 11, 25)


@dataclass(slots=True)
class Wire:
    """A channel that keeps what it is given, and fails as it is told."""

    is_personal: bool = False
    sent: list[tuple[str, str]] = field(default_factory=list)
    tried: int = 0
    fail: Callable[[Message, str], Undelivered | None] = lambda _message, _to: None
    hang_s: float = 0.0

    async def send(self, message: Message, to: str) -> None:
        self.tried += 1
        await asyncio.sleep(self.hang_s)
        failure = self.fail(message, to)
        if failure is not None:
            raise failure
        self.sent.append((message.id, to))

    async def close(self) -> None:
        """Nothing is held."""


def down(_message: Message, _to: str) -> Undelivered:
    return Undelivered("no answer")


@dataclass
class Post:
    """A database with people in it, and notifiers over it as of so many seconds from now."""

    url: str
    registry: SqlRegistry
    database: Database
    opened: list[Database] = field(default_factory=list)

    def notifier(self, *, in_s: float = 0, **channels: Wire) -> Notifier:
        later = open_database(self.url, clock_offset_s=in_s)
        self.opened.append(later)
        return Notifier(
            database=later, boot=boot("replica", "b" * 16), clock=SystemClock(), channels=dict(channels)
        )

    async def note(self, *notices: Notice) -> None:
        dialect, now_us = self.database.dialect, await self.database.read(self.database.now_us)
        await self.database.write(lambda conn: tell(conn, dialect, notices, now_us=now_us))

    async def deliveries(self) -> dict[tuple[str, str], tuple[int, bool, str | None]]:
        """Tries, whether it is over, and the outcome, by channel and target."""
        each = table(DeliveryRow)
        found = await self.database.read(lambda conn: conn.execute(sa.select(each)).all())
        return {(row.channel, row.target): (row.tries, row.done_us is not None, row.outcome) for row in found}


@pytest.fixture
async def post(migrated_url: str) -> AsyncIterator[Post]:
    database = open_database(migrated_url)
    registry = SqlRegistry(database=database, boot=boot("office", "0" * 16))
    mint = Mint(master=MasterKey(bytes(range(32))), pepper=b"p" * 32)
    for name, role in (("it", "admin"), ("quota", "quota_admin"), ("dpo", "compliance")):
        await add_person(
            registry,
            mint,
            local_operator(0),
            email=f"{name}@example.edu",
            name=name,
            roles=frozenset({role}),
        )
    opened = Post(url=migrated_url, registry=registry, database=database)
    yield opened
    for each in (*opened.opened, database):
        await each.close()


async def tried_at(post: Post, in_s: float, hook: Wire) -> int:
    """How often `hook` is tried by a replica that works at that time and stops."""
    before = hook.tried
    replica = post.notifier(in_s=in_s, webhook=hook)
    await replica.work_off()
    await replica.stop()
    return hook.tried - before


def spent(day: dt.date = TODAY) -> Notice:
    return platform_spent("c", "main", day, calls=10, records=100)


async def test_a_notice_goes_out_once_on_every_channel_and_to_every_recipient(post: Post) -> None:
    hook, mail = Wire(), Wire(is_personal=True)
    notifier = post.notifier(webhook=hook, mail=mail)
    assert await notifier.work_off() == 0
    await post.note(spent())
    assert await notifier.work_off() == 4
    await post.note(spent())
    assert await notifier.work_off() == 0
    assert hook.sent == [(spent().id, "")]
    assert sorted(to for _, to in mail.sent) == ["it@example.edu", "quota@example.edu"]
    assert +notifier.outcomes == {("log", "sent"): 1, ("webhook", "sent"): 1, ("mail", "sent"): 2}


async def test_whoever_does_not_want_a_kind_by_mail_gets_none_and_others_do(post: Post) -> None:
    (quota,) = (each for each in (await post.registry.state()).people if each.email == "quota@example.edu")
    muted = SqlMuted(post.database)
    both = (Kind.PLATFORM_SPENT, Kind.THRESHOLD)
    await muted.choose(quota.id, among=both, muted=[Kind.PLATFORM_SPENT])
    assert await muted.of(quota.id) == {"platform_spent"}
    hook, mail = Wire(), Wire(is_personal=True)
    await post.note(platform_spent("c", "main", TODAY, calls=1, records=1))
    replica = post.notifier(webhook=hook, mail=mail)
    await replica.work_off()
    assert (len(hook.sent), [to for _, to in mail.sent]) == (1, ["it@example.edu"])
    await muted.choose(quota.id, among=both, muted=[])
    assert await muted.of(quota.id) == frozenset()
    await post.note(platform_spent("c", "ads", TODAY, calls=1, records=1))
    await replica.work_off()
    assert sorted(to for _, to in mail.sent[1:]) == ["it@example.edu", "quota@example.edu"]


async def test_of_many_replicas_one_sends_and_each_notice_goes_out_once(post: Post) -> None:
    hook = Wire(hang_s=0.02)
    replicas = [post.notifier(webhook=hook) for _ in range(4)]
    days = [TODAY + dt.timedelta(days=number) for number in range(8)]
    for day in days:
        await post.note(spent(day))
        await asyncio.gather(*(each.work_off() for each in replicas))
    assert sorted(hook.sent) == sorted((spent(day).id, "") for day in days)
    assert sum(bool(+each.outcomes) for each in replicas) == 1


async def test_a_replica_that_stops_hands_the_duty_over_at_once(post: Post) -> None:
    first, second = Wire(), Wire()
    leaving, staying = post.notifier(webhook=first), post.notifier(webhook=second)
    leaving.start()
    await post.note(spent())
    assert await leaving.work_off() == 2
    await post.note(spent(TODAY + dt.timedelta(days=1)))
    assert await staying.work_off() == 0
    await leaving.stop()
    assert await staying.work_off() == 2
    assert (len(first.sent), len(second.sent)) == (1, 1)


async def test_after_a_crash_the_next_holder_sends_again_what_nobody_knows_to_have_arrived(
    post: Post,
) -> None:
    class Killed(BaseException):
        """As if the process had gone."""

    def dies(_message: Message, _to: str) -> Undelivered | None:
        raise Killed

    hook = Wire(fail=dies)
    await post.note(spent())
    with pytest.raises(Killed):
        await post.notifier(webhook=hook).work_off()
    other = Wire()
    # Its lease still holds; then it does not any more.
    assert await post.notifier(webhook=other).work_off() == 0
    await post.notifier(in_s=91, webhook=other).work_off()
    assert other.sent == [(spent().id, "")]


async def test_a_channel_that_is_down_keeps_only_itself_waiting_and_is_tried_ever_more_rarely(
    post: Post,
) -> None:
    await post.note(spent())
    mail, hook = Wire(is_personal=True), Wire(fail=down)
    await post.notifier(webhook=hook, mail=mail).work_off()
    assert len(mail.sent) == 2
    assert (await post.deliveries())["webhook", ""] == (1, False, "no answer")
    # Its sixth try is followed by a wait of 160 seconds, and its seventh by one of 320.
    for in_s in (1_000, 2_000, 3_000, 4_000, 5_000):
        assert await tried_at(post, in_s, hook) == 1
    assert [await tried_at(post, in_s, hook) for in_s in (5_060, 5_200, 5_300, 5_600)] == [0, 1, 0, 1]
    assert len(mail.sent) == 2
    await post.notifier(in_s=20_000, webhook=(up := Wire()), mail=mail).work_off()
    assert up.sent == [(spent().id, "")]
    assert (await post.deliveries())["webhook", ""][1:] == (True, "sent")


async def test_after_a_failure_of_the_channel_its_other_messages_wait_untried(post: Post) -> None:
    hook = Wire(fail=down)
    await post.note(*(spent(TODAY + dt.timedelta(days=number)) for number in range(5)))
    notifier = post.notifier(webhook=hook)
    await notifier.work_off()
    await notifier.work_off()
    assert hook.tried == 1
    assert notifier.outcomes["webhook", "failed"] == 1


async def test_a_recipient_who_cannot_be_reached_keeps_nobody_else_waiting(post: Post) -> None:
    def refuses(_message: Message, to: str) -> Undelivered | None:
        if to != "it@example.edu":
            return None
        return Undelivered("recipient refused: 550", is_final=True, is_of_channel=False)

    mail = Wire(is_personal=True, fail=refuses)
    await post.note(spent(), spent(TODAY + dt.timedelta(days=1)))
    notifier = post.notifier(mail=mail)
    await notifier.work_off()
    assert [to for _, to in mail.sent] == ["quota@example.edu"] * 2
    assert notifier.outcomes["mail", "gave_up"] == 2


async def test_what_nobody_would_take_for_days_is_given_up_and_told_to_the_doctor(post: Post) -> None:
    hook = Wire(fail=down)
    await post.note(spent())
    await post.notifier(webhook=hook).work_off()
    assert [(each.channel, each.waiting, each.given_up) for each in await post.registry.untold()] == [
        ("webhook", 1, 0)
    ]
    await post.notifier(in_s=GIVE_UP_AFTER.total_seconds() + 60, webhook=hook).work_off()
    assert await post.notifier(in_s=GIVE_UP_AFTER.total_seconds() * 2, webhook=hook).work_off() == 0
    told = (await post.registry.untold())[0]
    assert (told.waiting, told.given_up, told.reason) == (0, 1, "no answer")


async def test_a_receiver_that_asks_for_time_is_given_it(post: Post) -> None:
    hook = Wire(fail=lambda _message, _to: Undelivered("status 503", retry_after_s=600))
    await post.note(spent())
    await post.notifier(webhook=hook).work_off()
    await post.notifier(in_s=500, webhook=hook).work_off()
    assert hook.tried == 1
    await post.notifier(in_s=700, webhook=hook).work_off()
    assert hook.tried == 2


async def test_who_has_left_before_the_mail_went_is_not_written_to(post: Post) -> None:
    mail = Wire(is_personal=True, fail=down)
    await post.note(spent())
    await post.notifier(mail=mail).work_off()
    state = await post.registry.state()
    admin = state.person("it@example.edu")
    assert admin is not None
    mint = Mint(master=MasterKey(bytes(range(32))), pepper=b"p" * 32)
    await add_person(post.registry, mint, local_operator(0), email=admin.email, name="it", roles=frozenset())
    mail.fail = lambda _message, _to: None
    await post.notifier(in_s=200, mail=mail).work_off()
    assert [to for _, to in mail.sent] == ["quota@example.edu"]
    assert (await post.deliveries())["mail", admin.id][1:] == (True, "the recipient has left")


@pytest.mark.parametrize("kind", ["from_the_future", "threshold", "frozen"])
async def test_a_notice_of_another_release_is_taken_up_and_kept_from_nobody(post: Post, kind: str) -> None:
    await post.note(spent())
    odd = {"event": "x", "level": "y", "freeze": "unknown"}
    await post.database.write(
        lambda conn: conn.execute(sa.update(table(NoticeRow)).values(kind=kind, about=odd))
    )
    hook = Wire()
    await post.notifier(webhook=hook).work_off()
    assert hook.sent == [(spent().id, "")]


async def test_a_channel_that_breaks_on_one_message_goes_on_with_the_next(post: Post) -> None:
    def breaks(message: Message, _to: str) -> Undelivered | None:
        if message.id == spent().id:
            raise RuntimeError("a bug")
        return None

    hook, tomorrow = Wire(fail=breaks), spent(TODAY + dt.timedelta(days=1))
    await post.note(spent(), tomorrow)
    await post.notifier(webhook=hook).work_off()
    assert hook.sent == [(tomorrow.id, "")]


async def test_a_channel_that_hangs_is_cut_off(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.storage.notifying.LONGEST_SEND_S", 0.05)
    hook = Wire(hang_s=30)
    await post.note(spent())
    await post.notifier(webhook=hook).work_off()
    assert (await post.deliveries())["webhook", ""] == (1, False, "no answer in time")


async def test_a_wait_doubles_from_five_seconds_to_an_hour() -> None:
    assert [wait_s(tries) for tries in (1, 2, 3, 10, 11, 500)] == [5, 10, 20, 2560, 3600, 3600]
    assert (wait_s(1, asked_s=90), wait_s(1, asked_s=86_400)) == (90, 3600)
