"""Who is behind what a client shows, and that every refusal looks the same from outside."""

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest

from app.errors import AccessTokenInvalid, InvalidClient, RateLimited
from app.identity.attempts import Attempts
from app.identity.bearers import Bearers
from app.identity.callers import Caller, KeyRecord, Operator, TokenRecord
from app.identity.keys import AccessTokens, client_key, digest, new_key_id, new_secret
from app.ids import KeyId, PersonId
from tests.policy.scene import CALLER

pytestmark = pytest.mark.anyio

PEPPER = bytes(range(32))
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
KEY, TOKEN = new_key_id(), new_key_id()
CLIENT_SECRET, API_KEY, OLD_SECRET, OLD_API_KEY = (new_secret(KEY) for _ in range(4))
PERSONS_TOKEN = new_secret(TOKEN)
OPERATOR = Operator(
    person=PersonId("a"),
    name="Ada",
    email="ada@example.edu",
    roles=frozenset({"admin"}),
    token=TOKEN,
    expires_us=None,
    revision=7,
)


class Clock:
    def __init__(self) -> None:
        self.passed = timedelta()

    def now(self) -> datetime:
        return NOON + self.passed

    def monotonic_s(self) -> float:
        return self.passed.total_seconds()


class Shelf:
    """A directory of one key and one token."""

    def __init__(self, key: KeyRecord | None, token: TokenRecord | None) -> None:
        self._key = key
        self._token = token

    async def by_key(self, key: KeyId) -> KeyRecord | None:
        return self._key if key == KEY else None

    async def by_token(self, token: KeyId) -> TokenRecord | None:
        return self._token if token == TOKEN else None

    def forget(self) -> None:
        raise NotImplementedError


def us(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000_000


def door(
    *,
    clock: Clock,
    expires: datetime | None = None,
    overlap_until: datetime | None = None,
    per_minute: int = 10,
) -> Bearers:
    """Where the key and the token hold until `expires`, and the secrets before them until `overlap_until`."""
    expires_us = None if expires is None else us(expires)
    key = KeyRecord(
        caller=dataclasses.replace(CALLER, key=KEY, key_expires_us=expires_us, revision=7),
        client_secret_digest=digest(PEPPER, CLIENT_SECRET),
        api_key_digest=digest(PEPPER, API_KEY),
        old_client_secret_digest=digest(PEPPER, OLD_SECRET),
        old_api_key_digest=digest(PEPPER, OLD_API_KEY),
        old_until_us=None if overlap_until is None else us(overlap_until),
    )
    token = TokenRecord(
        operator=dataclasses.replace(OPERATOR, expires_us=expires_us), digest=digest(PEPPER, PERSONS_TOKEN)
    )
    return Bearers(
        directory=Shelf(key, token),
        access_tokens=AccessTokens(bytes(32)),
        pepper=PEPPER,
        clock=clock,
        attempts=Attempts(clock=clock, per_minute=per_minute),
    )


async def refusal_of_caller(bearers: Bearers, shown: str | None) -> AccessTokenInvalid:
    with pytest.raises(AccessTokenInvalid) as refused:
        await bearers.caller(shown, source="a")
    return refused.value


async def refusal_of_pair(bearers: Bearers, key: str, secret: str) -> InvalidClient:
    with pytest.raises(InvalidClient) as refused:
        await bearers.exchange(key, secret, source="a")
    return refused.value


async def test_a_pair_becomes_a_token_of_two_hours_that_is_the_caller() -> None:
    clock = Clock()
    bearers = door(clock=clock)
    grant = await bearers.exchange(client_key(KEY), CLIENT_SECRET, source="a")
    assert (grant.expires_in_s, grant.caller.key) == (7200, KEY)
    assert grant.access_token not in repr(grant)
    clock.passed = timedelta(seconds=7199)
    assert (await bearers.caller(f"Bearer {grant.access_token}", source="a")).key == KEY
    clock.passed = timedelta(seconds=7200)
    assert "expired" in str(await refusal_of_caller(bearers, f"Bearer {grant.access_token}"))


async def test_an_api_key_is_the_caller_under_the_scheme_in_any_case() -> None:
    bearers = door(clock=Clock())
    for shown in (f"Bearer {API_KEY}", f"bearer {API_KEY}", f"  BEARER   {API_KEY} "):
        assert (await bearers.caller(shown, source="a")).key == KEY


@pytest.mark.parametrize(
    "shown",
    [None, "", "Bearer", "Bearer  ", f"Basic {API_KEY}", API_KEY],
    ids=["nothing", "empty", "a scheme", "a scheme and blanks", "another scheme", "no scheme"],
)
async def test_what_is_no_bearer_token_is_refused(shown: str | None) -> None:
    bearers = door(clock=Clock())
    with pytest.raises(AccessTokenInvalid):
        await bearers.caller(shown, source="a")
    with pytest.raises(AccessTokenInvalid):
        await bearers.operator(shown, source="a")


async def test_every_refusal_of_a_key_says_the_same_to_whoever_shows_it() -> None:
    bearers = door(clock=Clock())
    unknown, ended = new_key_id(), door(clock=Clock(), expires=NOON)
    said = {
        str(await refusal_of_caller(bearers, "Bearer nonsense")),
        str(await refusal_of_caller(bearers, f"Bearer {new_secret(unknown)}")),
        str(await refusal_of_caller(bearers, f"Bearer {new_secret(KEY)}")),
        str(await refusal_of_caller(bearers, f"Bearer {CLIENT_SECRET}")),
        str(await refusal_of_caller(bearers, f"Bearer {OLD_API_KEY}")),
        str(await refusal_of_caller(ended, f"Bearer {API_KEY}")),
    }
    assert len(said) == 1
    said = {
        str(await refusal_of_pair(bearers, "nonsense", CLIENT_SECRET)),
        str(await refusal_of_pair(bearers, client_key(unknown), CLIENT_SECRET)),
        str(await refusal_of_pair(bearers, client_key(KEY), new_secret(KEY))),
        str(await refusal_of_pair(bearers, client_key(KEY), API_KEY)),
        str(await refusal_of_pair(bearers, client_key(KEY), OLD_SECRET)),
        str(await refusal_of_pair(ended, client_key(KEY), CLIENT_SECRET)),
    }
    assert len(said) == 1


async def test_the_log_is_told_on_which_directory_a_known_key_was_refused() -> None:
    bearers, ended = door(clock=Clock()), door(clock=Clock(), expires=NOON)
    unknown = new_key_id()
    assert (await refusal_of_caller(bearers, f"Bearer {new_secret(unknown)}")).decided_on is None
    assert (await refusal_of_caller(bearers, f"Bearer {new_secret(KEY)}")).decided_on == 7
    assert (await refusal_of_caller(ended, f"Bearer {API_KEY}")).decided_on == 7
    assert (await refusal_of_pair(bearers, client_key(unknown), CLIENT_SECRET)).decided_on is None
    assert (await refusal_of_pair(bearers, client_key(KEY), API_KEY)).decided_on == 7
    with pytest.raises(AccessTokenInvalid) as refused:
        await bearers.operator(f"Bearer {new_secret(unknown)}", source="a")
    assert refused.value.decided_on is None
    with pytest.raises(AccessTokenInvalid) as refused:
        await bearers.operator(f"Bearer {new_secret(TOKEN)}", source="a")
    assert refused.value.decided_on == 7


async def test_the_secrets_before_a_rotation_hold_until_the_overlap_ends() -> None:
    clock = Clock()
    bearers = door(clock=clock, overlap_until=NOON + timedelta(hours=1))
    clock.passed = timedelta(minutes=59, seconds=59)
    assert (await bearers.caller(f"Bearer {OLD_API_KEY}", source="a")).key == KEY
    assert (await bearers.exchange(client_key(KEY), OLD_SECRET, source="a")).caller.key == KEY
    for secret in (OLD_SECRET, new_secret(KEY)):
        await refusal_of_caller(bearers, f"Bearer {secret}")
    for secret in (OLD_API_KEY, new_secret(KEY)):
        await refusal_of_pair(bearers, client_key(KEY), secret)
    clock.passed = timedelta(hours=1)
    await refusal_of_caller(bearers, f"Bearer {OLD_API_KEY}")
    await refusal_of_pair(bearers, client_key(KEY), OLD_SECRET)
    assert (await bearers.caller(f"Bearer {API_KEY}", source="a")).key == KEY
    assert (await bearers.exchange(client_key(KEY), CLIENT_SECRET, source="a")).caller.key == KEY


async def test_a_key_and_a_token_hold_up_to_their_end_and_not_at_it() -> None:
    clock = Clock()
    bearers = door(clock=clock, expires=NOON + timedelta(seconds=60))
    clock.passed = timedelta(seconds=59, microseconds=999_999)
    access_token = (await bearers.exchange(client_key(KEY), CLIENT_SECRET, source="a")).access_token
    assert (await bearers.caller(f"Bearer {API_KEY}", source="a")).key == KEY
    assert (await bearers.operator(f"Bearer {PERSONS_TOKEN}", source="a")).name == "Ada"
    clock.passed = timedelta(seconds=60)
    await refusal_of_caller(bearers, f"Bearer {API_KEY}")
    await refusal_of_caller(bearers, f"Bearer {access_token}")
    with pytest.raises(AccessTokenInvalid):
        await bearers.operator(f"Bearer {PERSONS_TOKEN}", source="a")


async def test_where_either_will_do_a_person_and_a_program_are_told_apart() -> None:
    bearers = door(clock=Clock())
    assert isinstance(await bearers.holder(f"Bearer {PERSONS_TOKEN}", source="a"), Operator)
    assert isinstance(await bearers.holder(f"Bearer {API_KEY}", source="a"), Caller)
    with pytest.raises(AccessTokenInvalid):
        await bearers.holder(f"Bearer {new_secret(TOKEN)}", source="a")
    with pytest.raises(AccessTokenInvalid):
        await bearers.operator(f"Bearer {API_KEY}", source="a")


async def test_after_failures_the_pair_waits_even_with_what_is_right() -> None:
    bearers = door(clock=Clock(), per_minute=2)
    for _ in range(2):
        await refusal_of_caller(bearers, f"Bearer {new_secret(KEY)}")
    for shows in (bearers.caller, bearers.holder):
        with pytest.raises(RateLimited):
            await shows(f"Bearer {API_KEY}", source="a")
    with pytest.raises(RateLimited):
        await bearers.exchange(client_key(KEY), CLIENT_SECRET, source="a")
    assert (await bearers.caller(f"Bearer {API_KEY}", source="b")).key == KEY


async def test_failures_at_each_door_count() -> None:
    bearers = door(clock=Clock(), per_minute=2)
    for _ in range(2):
        await refusal_of_pair(bearers, client_key(KEY), API_KEY)
    with pytest.raises(RateLimited):
        await bearers.exchange(client_key(KEY), CLIENT_SECRET, source="a")
    for _ in range(2):
        with pytest.raises(AccessTokenInvalid):
            await bearers.operator(f"Bearer {new_secret(TOKEN)}", source="a")
    for shows in (bearers.operator, bearers.holder):
        with pytest.raises(RateLimited):
            await shows(f"Bearer {PERSONS_TOKEN}", source="a")


async def test_what_succeeds_at_a_door_makes_up_for_failures_before() -> None:
    bearers = door(clock=Clock(), per_minute=2)
    for _ in range(3):
        await refusal_of_caller(bearers, f"Bearer {new_secret(KEY)}")
        await bearers.caller(f"Bearer {API_KEY}", source="a")
        await refusal_of_pair(bearers, client_key(KEY), API_KEY)
        await bearers.exchange(client_key(KEY), CLIENT_SECRET, source="a")
        with pytest.raises(AccessTokenInvalid):
            await bearers.operator(f"Bearer {new_secret(TOKEN)}", source="a")
        await bearers.operator(f"Bearer {PERSONS_TOKEN}", source="a")


async def test_a_token_whose_time_is_over_is_no_failed_attempt() -> None:
    clock = Clock()
    bearers = door(clock=clock, per_minute=2)
    token = (await bearers.exchange(client_key(KEY), CLIENT_SECRET, source="a")).access_token
    clock.passed = timedelta(hours=3)
    for _ in range(5):
        await refusal_of_caller(bearers, f"Bearer {token}")
