"""Receipts over the API: at once, checked offline, and for nobody else."""

import base64
import hashlib
import json

import httpx
import pytest

from tests.outsider import has_grown, is_included, leaf_of, opened, parsed
from tests.web.conftest import House

pytestmark = pytest.mark.anyio


async def vkey_of(house: House) -> str:
    answer = await house.get("dpo", "/api/v1/audit/key")
    vkey: str = answer.json()["vkey"]
    return vkey


async def entry_of(house: House, answer: httpx.Response) -> str:
    """The id of the entry of an answer, by its place."""
    index = int(answer.headers["audit-entry"].split("index=")[1].split(";")[0])
    (item,) = (await house.get("dpo", f"/api/v1/audit/entries?before={index + 1}&limit=1")).json()["items"]
    entry: str = item["entry"]["id"]
    return entry


async def test_a_researcher_gets_a_receipt_of_what_they_just_did(house: House) -> None:
    did = await house.get("bob", "/api/v1/me")
    entry = await entry_of(house, did)
    answer = await house.get("bob", f"/api/v1/audit/receipts/{entry}")
    assert answer.status_code == 200
    receipt = answer.json()
    vkey = await vkey_of(house)
    leaf = leaf_of(receipt["proof"], vkey)
    assert leaf == base64.b64decode(receipt["leaf"])
    assert json.loads(leaf) == receipt["entry"]
    assert receipt["entry"]["actor"]["kind"] == "person"
    digest = hashlib.sha256(b"\x00" + leaf).digest()
    assert did.headers["audit-leaf"] == f":{base64.b64encode(digest).decode()}:"
    assert receipt["leaf_hash"] == digest.hex()
    assert f'origin="{receipt["origin"]}";index={receipt["index"]};' in did.headers["audit-entry"]
    assert vkey.startswith(f"{receipt['origin']}+")


async def test_a_receipt_comes_as_a_file_too(house: House) -> None:
    entry = await entry_of(house, await house.get("bob", "/api/v1/me"))
    vkey = await vkey_of(house)
    by_name = await house.get("bob", f"/api/v1/audit/receipts/{entry}.tlog-proof")
    token = {"Authorization": f"Bearer {house.tokens['bob']}", "Accept": "text/plain"}
    by_accept = await house.client.get(f"/api/v1/audit/receipts/{entry}", headers=token)
    for answer in (by_name, by_accept):
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/plain")
        assert answer.headers["content-disposition"].endswith(f'"{entry}.tlog-proof"')
        assert json.loads(leaf_of(answer.text, vkey))["id"] == entry


async def test_nobody_gets_a_receipt_of_what_others_did(house: House) -> None:
    entry = await entry_of(house, await house.get("ada", "/api/v1/me"))
    for who in ("bob", "grace", "quota", "it", "key:bob", "key:ada"):
        for suffix in ("", ".tlog-proof"):
            answer = await house.get(who, f"/api/v1/audit/receipts/{entry}{suffix}")
            # With a key of a project, that project's alone: this was done with a person's own token.
            assert answer.status_code == 404, who
    for who in ("ada", "dpo"):
        assert (await house.get(who, f"/api/v1/audit/receipts/{entry}")).status_code == 200


async def test_a_projects_key_opens_receipts_of_what_was_done_with_it(house: House) -> None:
    entry = await entry_of(house, await house.get("key:bob", "/api/v1/me"))
    assert (await house.get("key:bob", f"/api/v1/audit/receipts/{entry}")).status_code == 200
    assert (await house.get("bob", f"/api/v1/audit/receipts/{entry}")).status_code == 200
    assert (await house.get("key:ada", f"/api/v1/audit/receipts/{entry}")).status_code == 404


async def test_what_does_not_exist_and_what_is_not_an_id_have_no_receipt(house: House) -> None:
    assert (await house.get("dpo", f"/api/v1/audit/receipts/{'0' * 32}")).status_code == 404
    assert (await house.get("dpo", "/api/v1/audit/receipts/1")).status_code == 400


async def test_fetching_a_receipt_is_in_the_log(house: House) -> None:
    entry = await entry_of(house, await house.get("bob", "/api/v1/me"))
    fetched = await house.get("bob", f"/api/v1/audit/receipts/{entry}")
    logged = (await house.get("dpo", f"/api/v1/audit/entries/{await entry_of(house, fetched)}")).json()
    assert (logged["entry"]["type"], logged["entry"]["reads"]) == ("audit_read", {"receipt": entry})


async def test_a_refusal_has_a_receipt_by_the_id_that_it_names(house: House) -> None:
    refused = await house.get("bob", "/api/v1/audit/entries")
    assert refused.status_code == 403
    receipt = (await house.get("bob", f"/api/v1/audit/receipts/{refused.json()['entry']}")).json()
    assert receipt["entry"]["decision"]["verdict"] == "refused"
    assert leaf_of(receipt["proof"], await vkey_of(house))


async def test_checkpoints_over_time_are_shown_to_be_of_one_log(house: House) -> None:
    first = await house.get("key:bob", "/api/v1/audit/checkpoint")
    assert first.headers["content-type"].startswith("text/plain")
    for _ in range(5):
        await house.get("bob", "/api/v1/me")
    second = await house.get("bob", "/api/v1/audit/checkpoint")
    vkey = await vkey_of(house)
    old, new = opened(first.text, vkey), opened(second.text, vkey)
    assert old.size < new.size
    asked = f"/api/v1/audit/consistency?from={old.size}&to={new.size}"
    shown = (await house.get("bob", asked)).json()
    path = [base64.b64decode(each) for each in shown["proof"]]
    assert has_grown(old.size, old.root, new.size, new.root, path)
    assert opened(shown["checkpoint"], vkey).size > new.size
    assert (await house.get("bob", "/api/v1/audit/consistency?from=1")).json()["to"] > new.size
    assert (await house.get("bob", f"/api/v1/audit/consistency?from={10**9}")).status_code == 400


async def test_a_receipt_is_bound_to_its_index_and_its_tree(house: House) -> None:
    entry = await entry_of(house, await house.get("bob", "/api/v1/me"))
    proof = parsed((await house.get("bob", f"/api/v1/audit/receipts/{entry}")).json()["proof"])
    tree = opened(proof.note, await vkey_of(house))
    digest = hashlib.sha256(b"\x00" + proof.extra).digest()
    assert is_included(digest, proof, tree)
    other = hashlib.sha256(b"\x00" + proof.extra[:-1] + b" ").digest()
    assert not is_included(other, proof, tree)
    for index in (0, 1, tree.size - 1):
        if index != proof.index:
            moved = type(proof)(index, proof.extra, proof.path, proof.note)
            assert not is_included(digest, moved, tree)


async def test_a_receipt_that_somebody_kept_is_checked(house: House) -> None:
    entry = await entry_of(house, await house.get("bob", "/api/v1/me"))
    receipt = (await house.get("bob", f"/api/v1/audit/receipts/{entry}")).json()

    async def checked(text: str) -> dict[str, object]:
        path = "/api/v1/audit/receipts/verification"
        answer = await house.ask("dpo", "POST", path, json={"receipt": text})
        assert answer.status_code == 200
        said: dict[str, object] = answer.json()
        return said

    found = await checked(receipt["proof"])
    assert (found["holds"], found["finding"], found["id"]) == (True, "holds", entry)
    assert (found["index"], found["size"], found["origin"]) == (
        receipt["index"],
        receipt["size"],
        receipt["origin"],
    )
    assert (await checked(json.dumps(receipt)))["holds"] is True
    altered = receipt["proof"].replace(f"index {receipt['index']}", f"index {receipt['index'] - 1}")
    found = await checked(altered)
    assert (found["holds"], found["finding"], found["id"]) == (False, "proof", None)
    assert (await checked("nothing"))["finding"] == "unreadable"
    looks = (await house.get("dpo", "/api/v1/audit/entries?limit=20&type=audit_read")).json()["items"]
    read = {"presented": "proof", "index": receipt["index"] - 1}
    assert read in [each["entry"]["reads"] for each in looks]
    for nothing in ({}, {"receipt": ""}, {"receipt": "x" * 100_001}):
        answer = await house.ask("dpo", "POST", "/api/v1/audit/receipts/verification", json=nothing)
        assert answer.status_code == 400
