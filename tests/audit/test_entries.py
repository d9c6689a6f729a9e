from app.audit.entries import ENTRY_VERSION, Draft, KeptQuestion


def test_a_draft_that_is_printed_does_not_show_what_is_sealed() -> None:
    draft = Draft(type="intent", fields={}, kept=KeptQuestion(nonce=b"n", ct=b"sealed away", tags=("t",)))
    assert "sealed away" not in repr(draft)


def test_an_entry_has_an_id_of_its_own() -> None:
    assert len({Draft(type="intent", fields={}).id for _ in range(100)}) == 100


def test_entries_are_of_the_version_that_verifiers_read() -> None:
    assert ENTRY_VERSION == 1
