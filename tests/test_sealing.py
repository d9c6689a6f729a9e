import base64
import hashlib
import hmac
import pickle
import secrets
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import BadSetting
from app.sealing import (
    MasterKey,
    SealBroken,
    Succession,
    aad,
    derive,
    following,
    is_exposed,
    new_data_key,
    open_sealed,
    seal,
    unwrap,
    wrap,
)

RAW = bytes(range(32))
KEY = bytes(range(100, 132))
PLACE = aad("credential", "c1", "secret")


def key_file(directory: Path, text: bytes, mode: int = 0o400) -> Path:
    path = directory / "master.key"
    path.write_bytes(text)
    path.chmod(mode)
    return path


@given(st.binary(max_size=300), st.binary(max_size=40))
def test_what_is_sealed_opens_to_the_same_bytes(plaintext: bytes, where: bytes) -> None:
    assert open_sealed(KEY, seal(KEY, plaintext, where), where) == plaintext


def test_flipping_any_bit_breaks_the_seal() -> None:
    sealed = seal(KEY, b"upstream secret", PLACE)
    for position in range(len(sealed) * 8):
        altered = bytearray(sealed)
        altered[position // 8] ^= 1 << position % 8
        with pytest.raises(SealBroken):
            open_sealed(KEY, bytes(altered), PLACE)


def test_any_prefix_breaks_the_seal() -> None:
    sealed = seal(KEY, b"upstream secret", PLACE)
    for length in range(len(sealed)):
        with pytest.raises(SealBroken):
            open_sealed(KEY, sealed[:length], PLACE)


def test_a_value_moved_to_another_place_does_not_open() -> None:
    with pytest.raises(SealBroken):
        open_sealed(KEY, seal(KEY, b"x", aad("credential", "c1")), aad("credential", "c2"))


def test_another_key_does_not_open_it() -> None:
    with pytest.raises(SealBroken):
        open_sealed(new_data_key(), seal(KEY, b"x", PLACE), PLACE)


def test_sealing_twice_gives_different_bytes() -> None:
    assert seal(KEY, b"x", PLACE) != seal(KEY, b"x", PLACE)


@pytest.mark.parametrize("length", [0, 16, 24, 31, 33])
def test_a_key_of_any_other_length_is_refused(length: int) -> None:
    with pytest.raises(ValueError):
        seal(bytes(length), b"x", b"")
    with pytest.raises(ValueError):
        open_sealed(bytes(length), seal(KEY, b"x", b""), b"")


def test_a_data_key_survives_wrapping_and_a_change_of_master_key() -> None:
    old, new, data_key = MasterKey(RAW), MasterKey(secrets.token_bytes(32)), new_data_key()
    wrapped = wrap(old, data_key, PLACE)
    assert unwrap(old, wrapped, PLACE) == data_key
    rewrapped = wrap(new, unwrap(old, wrapped, PLACE), PLACE)
    assert unwrap(new, rewrapped, PLACE) == data_key
    with pytest.raises(SealBroken):
        unwrap(old, rewrapped, PLACE)


def test_each_purpose_has_its_own_key_as_rfc_5869_defines_it() -> None:
    extracted = hmac.digest(bytes(32), RAW, "sha256")
    expected = hmac.digest(extracted, b"bursar/1/pepper\x01", "sha256")
    assert derive(MasterKey(RAW), "pepper") == expected
    assert derive(MasterKey(RAW), "tokens") != expected
    assert derive(MasterKey(RAW), "pepper") == expected, "the same each time"


lists_of_parts = st.lists(st.text(alphabet=st.characters(), max_size=4), max_size=4)


@given(lists_of_parts, lists_of_parts)
def test_different_parts_give_different_associated_data(left: list[str], right: list[str]) -> None:
    assert (aad(*left) == aad(*right)) == (left == right)


def test_associated_data_takes_lone_surrogates() -> None:
    assert aad("\ud800") != aad("\ud801")


@pytest.mark.parametrize(
    "text",
    [
        RAW.hex().encode(),
        RAW.hex().upper().encode() + b"\n",
        base64.b64encode(RAW),
        base64.b64encode(RAW) + b"\r\n",
        base64.urlsafe_b64encode(RAW).rstrip(b"="),
    ],
)
def test_a_key_file_may_hold_base64_or_hexadecimal_text(tmp_path: Path, text: bytes) -> None:
    assert MasterKey.from_file(key_file(tmp_path, text)).fingerprint == MasterKey(RAW).fingerprint


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"change-me",
        RAW,
        RAW[:31].hex().encode(),
        b"zz" * 32,
        base64.b64encode(RAW[:16]),
        base64.b64encode(RAW) * 2,
        base64.b64encode(bytes(32)),
        b"\xff" * 5000,
    ],
)
def test_a_key_file_with_anything_else_is_refused_without_showing_it(tmp_path: Path, text: bytes) -> None:
    with pytest.raises(BadSetting) as caught:
        MasterKey.from_file(key_file(tmp_path, text))
    assert not text or repr(text)[2:-1] not in caught.value.message


@pytest.mark.parametrize("mode", [0o440, 0o404, 0o644, 0o660, 0o420, 0o401])
def test_a_key_file_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    path = key_file(tmp_path, base64.b64encode(RAW), mode)
    with pytest.raises(BadSetting, match="open to others"):
        MasterKey.from_file(path)


def test_only_a_readable_group_bit_on_roots_own_file_is_accepted() -> None:
    assert not is_exposed(0o100400, owner=1000, reader=1000)
    assert not is_exposed(0o100440, owner=0, reader=1000)
    assert is_exposed(0o100440, owner=1000, reader=1000)
    assert is_exposed(0o100440, owner=0, reader=0)
    assert is_exposed(0o100444, owner=0, reader=1000)
    assert is_exposed(0o100460, owner=0, reader=1000)


def test_a_missing_key_file_is_a_bad_setting(tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match="cannot be read"):
        MasterKey.from_file(tmp_path / "absent")
    with pytest.raises(BadSetting, match="cannot be read"):
        MasterKey.from_file(tmp_path)


def test_a_new_key_file_is_closed_to_others_and_reads_back(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    written = MasterKey.write_new(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o400
    assert MasterKey.from_file(path).fingerprint == written.fingerprint


def test_a_key_file_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    MasterKey.write_new(path)
    before = path.read_bytes()
    with pytest.raises(BadSetting, match="never overwritten"):
        MasterKey.write_new(path)
    assert path.read_bytes() == before
    with pytest.raises(BadSetting, match="cannot be written"):
        MasterKey.write_new(tmp_path / "absent" / "master.key")


def test_a_master_key_shows_itself_nowhere() -> None:
    master = MasterKey(RAW)
    shown = f"{master!r} {master} {[master]}"
    assert RAW.hex() not in shown
    assert repr(RAW) not in shown
    assert not hasattr(master, "__dict__")
    with pytest.raises(TypeError):
        pickle.dumps(master)


def test_the_fingerprint_is_not_a_hash_of_the_key_alone() -> None:
    assert MasterKey(RAW).fingerprint not in hashlib.sha256(RAW).hexdigest()


@pytest.mark.parametrize("raw", [b"", RAW[:31], RAW + b"\0", bytes(32), b"ab" * 16])
def test_short_long_and_placeholder_master_keys_are_refused(raw: bytes) -> None:
    with pytest.raises(BadSetting):
        MasterKey(raw)


def test_a_key_file_holds_the_keys_that_came_of_an_earlier_one(tmp_path: Path) -> None:
    kept = {"digests of keys": KEY, "access tokens until 1790000000": bytes(range(7, 39))}
    written = MasterKey.write_new(tmp_path / "master.key", kept=kept)
    read = MasterKey.from_file(tmp_path / "master.key")
    assert read.kept == written.kept == kept
    assert derive(read, "digests of keys") == KEY
    assert derive(read, "another purpose") == derive(written, "another purpose")
    assert read.fingerprint == written.fingerprint


def test_an_installed_key_follows_its_file_and_another_does_not(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    MasterKey.write_new(path)
    installed, apart = MasterKey.installed(path), MasterKey.from_file(path)
    new = MasterKey.write_new(following(path))
    wrapped = wrap(new, KEY, PLACE)
    assert unwrap(installed, wrapped, PLACE) == KEY
    assert unwrap(apart, wrap(installed, KEY, PLACE), PLACE) == KEY, "it is not in force yet"
    following(path).rename(path)
    assert unwrap(installed, wrapped, PLACE) == KEY
    assert unwrap(new, wrap(installed, KEY, PLACE), PLACE) == KEY
    for sealed, where in ((wrapped, PLACE + b"x"), (wrap(MasterKey(RAW), KEY, PLACE), PLACE)):
        with pytest.raises(SealBroken):
            unwrap(installed, sealed, where)
    with pytest.raises(SealBroken):
        unwrap(apart, wrapped, PLACE)


def test_a_former_key_of_a_purpose_counts_until_its_time_is_over(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    MasterKey.write_new(path)
    succession = Succession(MasterKey.installed(path), "access tokens")
    old = derive(MasterKey.from_file(path), "access tokens")
    assert succession(100) == [old]
    new = MasterKey.write_new(following(path), kept={"access tokens until 200": old})
    fresh = derive(new, "access tokens")
    assert set(succession(100)) == {old, fresh}
    assert succession(100)[0] == old
    following(path).rename(path)
    assert succession(199) == [fresh, old]
    assert succession(200) == [fresh]
