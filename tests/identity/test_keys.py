import re
import time
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.identity.keys import (
    KEY_CHARS,
    KEY_PATTERN,
    AccessTokens,
    Expired,
    ParsedKey,
    client_key,
    digest,
    matches,
    new_key_id,
    new_secret,
    parse,
    parse_client_key,
)
from app.ids import KeyId

PEPPER = bytes(range(32))
SIGNING = bytes(range(32, 64))
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
KEY_ID = KeyId("0123456789AB")
HOSTILE = [
    "",
    "\0",
    "bsr_live_",
    "bsr_live_0123456789AB",
    "é" * KEY_CHARS,
    "\ud800" * KEY_CHARS,
    "٣" * KEY_CHARS,
    "clt." + "A" * 64,
    "clt." + "é" * 64,
    "clt." + "\ud800" * 64,
    "clt." + "+" * 64,
    "clt." + "A" * 63 + "=",
    "clt." + "A" * 63 + "\n",
    "A" * 68,
]


def test_a_new_secret_has_the_documented_form_and_parses() -> None:
    key_id = new_key_id()
    secret = new_secret(key_id)
    assert re.fullmatch(r"bsr_live_[0-9A-Za-z]{12}_[0-9A-Za-z]{43}_[0-9A-Za-z]{6}", secret)
    assert len(secret) == KEY_CHARS == 72
    assert parse(secret) == ParsedKey(key_id=key_id, mode="live")
    assert parse(new_secret(key_id, mode="test")) == ParsedKey(key_id=key_id, mode="test")


def test_the_checksum_is_crc_32_in_base_62() -> None:
    # "123456789" has the CRC-32 check value cbf43926; here a body whose CRC was worked out by hand.
    body = f"bsr_live_{KEY_ID}_{'0' * 43}"
    crc, register = 0, 0xFFFFFFFF
    for byte in body.encode():
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ (0xEDB88320 if register & 1 else 0)
    crc = register ^ 0xFFFFFFFF
    alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    expected = "".join(alphabet[crc // 62**place % 62] for place in (5, 4, 3, 2, 1, 0))
    assert parse(f"{body}_{expected}") == ParsedKey(key_id=KEY_ID, mode="live")


def test_changing_any_one_character_is_noticed_without_a_database() -> None:
    secret = new_secret(KEY_ID)
    for position in range(len(secret)):
        for replacement in "aZ0_":
            if secret[position] != replacement:
                assert parse(secret[:position] + replacement + secret[position + 1 :]) is None


@given(st.one_of(st.text(alphabet=st.characters()), st.sampled_from(HOSTILE)))
def test_parsing_takes_any_text(text: str) -> None:
    assert parse(text) is None
    assert parse(new_secret(KEY_ID) + text) is None or not text
    found = parse_client_key(text)
    assert found is None or text == client_key(found)
    assert not matches(PEPPER, text, digest(PEPPER, new_secret(KEY_ID)))


def test_a_newline_after_a_key_is_not_part_of_it() -> None:
    assert parse(new_secret(KEY_ID)[:-1] + "\n") is None
    assert parse_client_key(client_key(KEY_ID)[:-1] + "\n") is None


def test_the_pattern_finds_keys_in_a_scanned_file() -> None:
    first, second = new_secret(KEY_ID), new_secret(new_key_id(), mode="test")
    text = f'api_key = "{first}"\nexport KEY={second};\nid bsr_live_{KEY_ID} and x{first}x'
    assert [found.group() for found in re.finditer(KEY_PATTERN, text)] == [first, second]


def test_a_client_key_names_the_key_and_a_secret_is_not_one() -> None:
    assert client_key(KEY_ID) == "bsr_live_0123456789AB"
    assert parse_client_key("bsr_live_0123456789AB") == KEY_ID
    assert parse_client_key(client_key(KEY_ID, mode="test")) == KEY_ID
    assert parse_client_key(new_secret(KEY_ID)) is None
    assert parse_client_key("aw0123456789ABCDEFGH") is None


@pytest.mark.parametrize(
    "key_id", ["", "short", "0123456789A_", "0123456789ABC", "01234567é9AB", "0123456789A\n"]
)
def test_no_secret_or_token_is_made_for_a_malformed_id(key_id: str) -> None:
    with pytest.raises(ValueError):
        new_secret(KeyId(key_id))
    with pytest.raises(ValueError):
        AccessTokens(SIGNING).issue(KeyId(key_id), now=NOW)


def test_ids_and_secrets_do_not_repeat() -> None:
    assert len({new_key_id() for _ in range(1000)}) == 1000
    assert len({new_secret(KEY_ID) for _ in range(1000)}) == 1000


def test_only_the_stored_secret_matches() -> None:
    secret = new_secret(KEY_ID)
    stored = digest(PEPPER, secret)
    assert len(stored) == 32
    assert matches(PEPPER, secret, stored)
    assert not matches(PEPPER, new_secret(KEY_ID), stored)
    assert not matches(PEPPER, secret + "x", stored)
    assert not matches(PEPPER, secret + "x" * 1000, stored)
    assert not matches(bytes(32), secret, stored), "another pepper"
    assert not matches(PEPPER, secret, None)
    assert not matches(PEPPER, secret, b"")


def test_an_all_zero_digest_is_not_taken_for_an_unknown_key() -> None:
    assert not matches(PEPPER, "anything", bytes(32))
    assert not matches(PEPPER, "anything", None)


def test_a_token_is_read_as_the_key_it_was_issued_for() -> None:
    tokens = AccessTokens(SIGNING)
    token = tokens.issue(KEY_ID, now=NOW)
    assert re.fullmatch(r"clt\.[0-9A-Za-z_-]{64}", token)
    assert tokens.read(token, now=NOW) == KEY_ID


def test_a_token_lives_exactly_as_long_as_said() -> None:
    tokens = AccessTokens(SIGNING)
    token = tokens.issue(KEY_ID, now=NOW, life_s=7200)
    assert tokens.read(token, now=NOW + timedelta(seconds=7199)) == KEY_ID
    assert tokens.read(token, now=NOW + timedelta(seconds=7200)) == Expired(key_id=KEY_ID)


def test_any_number_of_tokens_of_one_key_live_at_once() -> None:
    tokens = AccessTokens(SIGNING)
    issued = {tokens.issue(KEY_ID, now=NOW) for _ in range(500)}
    assert len(issued) == 500
    assert all(tokens.read(token, now=NOW) == KEY_ID for token in issued)


def test_changing_any_one_character_of_a_token_is_noticed() -> None:
    tokens = AccessTokens(SIGNING)
    token = tokens.issue(KEY_ID, now=NOW)
    for position in range(len(token)):
        for replacement in "AzQ-_+/=9":
            if token[position] != replacement:
                forged = token[:position] + replacement + token[position + 1 :]
                assert tokens.read(forged, now=NOW) is None


def test_a_token_under_another_signing_key_is_none_of_ours() -> None:
    assert AccessTokens(bytes(32)).read(AccessTokens(SIGNING).issue(KEY_ID, now=NOW), now=NOW) is None


@given(st.one_of(st.text(alphabet=st.characters()), st.sampled_from(HOSTILE)))
def test_reading_takes_any_text(text: str) -> None:
    tokens = AccessTokens(SIGNING)
    assert tokens.read(text, now=NOW) is None
    assert tokens.read(tokens.issue(KEY_ID, now=NOW) + text, now=NOW) in {None, KEY_ID if not text else None}


def test_ten_megabytes_cost_nothing() -> None:
    tokens, huge = AccessTokens(SIGNING), "clt." + "A" * 10_000_000
    started = time.perf_counter()
    for _ in range(100):
        assert tokens.read(huge, now=NOW) is None
        assert parse(huge) is None
        assert not matches(PEPPER, huge, None)
    assert time.perf_counter() - started < 0.5, "a hundred rounds over 10 MB"


def test_the_time_zone_of_the_moment_does_not_matter_but_must_be_there() -> None:
    tokens = AccessTokens(SIGNING)
    token = tokens.issue(KEY_ID, now=NOW.astimezone(timezone(timedelta(hours=14))))
    assert tokens.read(token, now=NOW + timedelta(seconds=7199)) == KEY_ID
    assert tokens.read(token, now=NOW + timedelta(seconds=7200)) == Expired(key_id=KEY_ID)
    with pytest.raises(ValueError):
        tokens.issue(KEY_ID, now=NOW.replace(tzinfo=None))


def test_a_short_signing_key_is_refused() -> None:
    assert AccessTokens(bytes(32))
    with pytest.raises(ValueError):
        AccessTokens(bytes(31))


def test_of_renewed_keys_the_first_signs_and_each_is_accepted_until_it_is_gone() -> None:
    former, fresh, other = bytes(32), SIGNING, b"o" * 32
    keys: list[bytes] = [former]
    asked_s: list[int] = []

    def renewed(now_s: int) -> list[bytes]:
        asked_s.append(now_s)
        return list(keys)

    tokens = AccessTokens(other, renewed=renewed)
    of_former, of_fresh = (AccessTokens(key).issue(KEY_ID, now=NOW) for key in (former, fresh))
    assert [tokens.read(of_former, now=NOW) for _ in range(9)] == [KEY_ID] * 9
    assert len(asked_s) == 1, "once a second, where the token holds"
    keys.insert(0, fresh)
    assert tokens.read(of_fresh, now=NOW) == KEY_ID, "signed by a process that was told in this very second"
    assert AccessTokens(fresh).read(tokens.issue(KEY_ID, now=NOW), now=NOW) == KEY_ID
    assert tokens.read(of_former, now=NOW) == KEY_ID
    keys.remove(former)
    assert tokens.read(of_former, now=NOW + timedelta(seconds=1)) is None
    assert tokens.read(of_fresh, now=NOW + timedelta(seconds=1)) == KEY_ID
    keys.clear()
    assert tokens.read(of_fresh, now=NOW + timedelta(seconds=2)) == KEY_ID, "the last that were known"


def test_nothing_secret_is_shown() -> None:
    secret = new_secret(KEY_ID)
    assert secret[22:65] not in repr(parse(secret))
    assert repr(SIGNING)[2:-1] not in repr(AccessTokens(SIGNING))
    assert not hasattr(AccessTokens(SIGNING), "__dict__")
