"""Signed notes and checkpoints, against the examples and the wording of C2SP."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric import x25519
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from app.audit.notes import Checkpoint, Kept, Signer, Verifier, open_checkpoint
from app.audit.tree import EMPTY_ROOT
from app.errors import BadSetting, LogBroken

NAME = "example.edu/log"
SIGNER = Signer((Ed25519PrivateKey.from_private_bytes(bytes(range(32))),))
KEY = SIGNER.verifier(NAME)
POINT = Checkpoint(NAME, 12_345, EMPTY_ROOT)
NOTE = SIGNER.sign(POINT.text, NAME)


def test_a_checkpoint_reads_as_the_format_has_it() -> None:
    assert NOTE.decode().split("\n")[:5] == [
        "example.edu/log",
        "12345",
        "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
        "",
        f"\u2014 example.edu/log {NOTE.decode().rsplit(' ', 1)[1].strip()}",
    ]
    assert NOTE.endswith(b"\n")


def test_the_key_id_is_the_hash_that_the_format_names() -> None:
    # PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW, the signed-note package's example.
    vkey = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    assert Verifier.parse(vkey).vkey == vkey
    text = b"If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
    signature = base64.b64decode(
        "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
    )
    assert signature[:4] == Verifier.parse(vkey).key_id
    assert Verifier.parse(vkey).accepts(text, signature[4:])


def test_what_was_signed_is_opened() -> None:
    assert open_checkpoint(NOTE, [KEY]) == POINT
    assert Verifier.parse(KEY.vkey) == KEY


def test_signatures_of_others_are_passed_over() -> None:
    other = Signer.generate()
    line = other.sign(POINT.text, "witness.example").split(b"\n\n")[1]
    assert open_checkpoint(NOTE + line, [KEY]) == POINT
    assert open_checkpoint(POINT.text + b"\n" + line + NOTE.split(b"\n\n")[1], [KEY]) == POINT


def test_a_signature_of_another_kind_is_passed_over_by_its_key_id_alone() -> None:
    text, signatures = NOTE.split(b"\n\n")
    witness = "\u2014 witness.example AAAAAA==\n".encode()
    assert open_checkpoint(text + b"\n\n" + witness + signatures, [KEY]) == POINT
    assert open_checkpoint(NOTE + witness, [KEY]) == POINT


def test_what_is_kept_came_in_a_signed_note() -> None:
    assert Kept.parse(NOTE) == Kept(POINT, NOTE)
    with pytest.raises(LogBroken):
        Kept.parse(POINT.text)


@pytest.mark.parametrize(
    "note",
    [
        b"",
        POINT.text,
        NOTE.replace(b"12345", b"12346"),
        NOTE.replace(b"example.edu/log\n", b"example.org/log\n", 1),
        NOTE.replace("\u2014 example.edu".encode(), "\u2014 example.org".encode()),
        NOTE.replace("\u2014".encode(), b"-"),
        NOTE.replace("\u2014 ".encode(), b""),
        NOTE[:-10] + b"\n",
        SIGNER.sign(b"o\n012\n" + base64.b64encode(EMPTY_ROOT) + b"\n", NAME),
        SIGNER.sign(b"o\n-1\n" + base64.b64encode(EMPTY_ROOT) + b"\n", NAME),
        SIGNER.sign(b"o\n1\nAAAA\n", NAME),
        SIGNER.sign(b"o\n1\nA\n", NAME),
        SIGNER.sign(b"o\n1\n!" + base64.b64encode(EMPTY_ROOT) + b"\n", NAME),
        SIGNER.sign(b"\n1\n" + base64.b64encode(EMPTY_ROOT) + b"\n", NAME),
        Signer.generate().sign(POINT.text, NAME),
    ],
)
def test_anything_else_is_refused(note: bytes) -> None:
    with pytest.raises(LogBroken):
        open_checkpoint(note, [KEY])


@pytest.mark.parametrize(
    "vkey", ["", "a+b", "a+00000000+A", "a+00000000+AQ==", KEY.vkey[:-4], KEY.vkey.replace("log", "gol")]
)
def test_a_key_that_is_none_is_refused(vkey: str) -> None:
    with pytest.raises(BadSetting):
        Verifier.parse(vkey)


def test_the_private_key_is_never_shown() -> None:
    assert "0001" not in repr(SIGNER)
    assert "Ed25519PrivateKey" not in repr(SIGNER)


def test_while_a_key_is_renewed_both_sign_and_the_new_one_is_in_force() -> None:
    fresh = Signer.generate()
    both, new = SIGNER.followed_by(fresh), fresh.verifier(NAME)
    for each in (new, KEY):
        assert open_checkpoint(both.sign(POINT.text, NAME), [each]) == POINT
    assert both.verifier(NAME) == new
    assert both.verifiers(NAME) == both.known(NAME) == [new, KEY]
    assert (both.alone().verifiers(NAME), both.alone().known(NAME)) == ([new], [new, KEY])
    renewal = both.sign_renewal(NAME).decode()
    assert renewal.split("\n")[2] == new.vkey
    assert renewal.count(f"\u2014 {NAME} ") == 2


def test_the_key_file_of_a_renewal_holds_who_signs_and_whose_signatures_stay_known() -> None:
    first, second, third = SIGNER, Signer.generate(), Signer.generate()
    renewed = first.followed_by(second).alone().followed_by(third)
    assert renewed.is_being_renewed
    read = Signer.from_pem(renewed.pem)
    assert read.pem == renewed.pem
    assert [Signer((each,)).verifier(NAME) for each in read.signing] == [
        third.verifier(NAME),
        second.verifier(NAME),
    ]
    assert read.former == (KEY.public,)
    assert not Signer.from_pem(read.alone().pem).is_being_renewed


_OF_ANOTHER_KIND = x25519.X25519PrivateKey.generate().private_bytes(
    Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
)


@pytest.mark.parametrize(
    "pem",
    [
        b"",
        b"no key",
        SIGNER.pem.replace(b"MC4CAQ", b"MC4CAR"),
        _OF_ANOTHER_KIND,
        SIGNER.pem + _OF_ANOTHER_KIND,
        Signer((), (KEY.public,)).pem,
    ],
)
def test_a_file_without_a_private_key_of_the_log_or_with_another_is_refused(pem: bytes) -> None:
    with pytest.raises(BadSetting, match="no Ed25519 private key"):
        Signer.from_pem(pem)
