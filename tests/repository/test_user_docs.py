"""What docs/ says to researchers, administrators and compliance officers, held to the program that runs."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping

import pytest

from app.errors import BursarError, Refusal
from app.identity.keys import KEY_PATTERN
from app.identity.roles import Role
from app.policy.rules import ALL_RULES
from app.quota.arithmetic import Dimension
from app.quota.estimate import Basis
from app.web.errors import STATUS_OF_CODE
from tests.conftest import require
from tests.repository.pages import GATEWAY, Block, blocks, page
from tests.servers.bursar import Installation, call, state

RESEARCHERS, ADMINISTRATORS, COMPLIANCE = (
    "docs/researchers.md",
    "docs/administrators.md",
    "docs/compliance.md",
)


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    home = tmp_path_factory.mktemp("documented")
    with Installation(home, database_url=f"sqlite+aiosqlite:///{home / 'bursar.db'}") as opened:
        opened.start()
        yield opened


@pytest.fixture(scope="module")
def key(installation: Installation) -> Mapping[str, str]:
    return installation.key()


def run(block: Block, gateway: str, environ: Mapping[str, str]) -> str:
    """What a marked block prints."""
    command = {
        "python": [sys.executable, "-c"],
        "r": ["Rscript", "--vanilla", "-e"],
        "sh": ["sh", "-euc"],
    }[block.language]
    text = block.text.replace(GATEWAY, gateway)
    done = subprocess.run(
        [*command, text],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("first call", '"display_name":"Sim 1"'),
        ("token", '"token_type":"Bearer"'),
        ("me", '"scope":"project:elections"'),
        ("cache-control", '"log_id"'),
        ("price", '"end_date":"2026-09-28"'),
        ("paging", " videos"),
        ("httr2", " videos"),
    ],
)
def test_a_researchers_lines_work(
    installation: Installation, key: Mapping[str, str], name: str, said: str
) -> None:
    (block,) = [each for each in blocks(RESEARCHERS, "run") if each.name == name]
    if block.language == "r":
        command = ["Rscript", "--vanilla", "-e", "library(httr2)"]
        is_there = shutil.which("Rscript") is not None and (
            subprocess.run(command, capture_output=True, check=False).returncode == 0
        )
        require(is_there, "R with httr2")
    elif block.language == "sh":
        require(shutil.which("curl") is not None, "curl")
    environ = {"API_KEY": key["api_key"], "TIKTOK_CLIENT_KEY": key["client_key"]}
    environ["TIKTOK_CLIENT_SECRET"] = key["client_secret"]
    printed = run(block, installation.base_url, environ)
    assert said in printed
    if said == " videos":
        assert int(printed.split()[0]) > 100


def test_every_code_that_a_researcher_can_meet_is_explained_with_its_status() -> None:
    table = page(RESEARCHERS).partition("## When a call is refused")[2]
    # Of Bursar's own API, or of commands: researchers do not meet them on the platform's paths.
    elsewhere = {"not_permitted", "not_found", "conflict", "changed_meanwhile", "invalid_request"}
    # The platform has no code for it, so `internal_error` is said, and the log alone has this one.
    elsewhere.add("not_held")
    for kind in (each for each in subclasses(Refusal) if each.code not in elsewhere):
        status = STATUS_OF_CODE[kind.code]
        assert re.search(rf"^\| {status} .*`{kind.code}`", table, re.MULTILINE), kind.code


def subclasses(kind: type[BursarError]) -> set[type[BursarError]]:
    """All below it that say more than it does."""
    found = set()
    for each in kind.__subclasses__():
        found |= {each} if each.code != BursarError.code else set()
        found |= subclasses(each)
    return found


def test_every_header_of_an_answer_is_explained(installation: Installation, key: Mapping[str, str]) -> None:
    plain = {"date", "content-type", "content-length"}
    headers = {"Authorization": f"Bearer {key['api_key']}"}
    path = "/v2/research/user/info/?fields=display_name"
    _, found, _ = call(installation.port, "POST", path, body=b'{"username": "sim_user_1"}', headers=headers)
    explained = {name.lower() for name in re.findall(r"`([A-Z][A-Za-z-]+)`", page(RESEARCHERS))}
    assert set(found) - plain <= explained
    assert {"bursar-cost", "cache-status", "ratelimit", "audit-entry"} <= set(found)


def test_every_basis_of_a_price_is_explained() -> None:
    table = page(RESEARCHERS).partition("| `basis` | the price rests on |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE) == [basis.value for basis in Basis]


def test_the_compliance_page_has_every_rule() -> None:
    listed = page(COMPLIANCE)
    assert [each.id for each in ALL_RULES if f"| `{each.id.partition('/')[0]}` |" not in listed] == []


def test_the_compliance_page_has_every_role() -> None:
    assert [role for role in Role if f"| `{role.value}` |" not in page(COMPLIANCE)] == []


def test_the_administrators_page_has_every_dimension_that_is_counted() -> None:
    table = page(ADMINISTRATORS).partition("| dimension | counts |")[2]
    assert [each for each in Dimension if f"`{each.value}`" not in table] == []


def test_the_administrators_page_has_the_expression_that_finds_keys() -> None:
    (shown,) = re.findall(r"`(\\bbsr_.*?\\b)`", page(ADMINISTRATORS))
    text = "bsr_live_QRgOflkYo3EE_VL8PQGplzZNks7MiobbpcfkWyt4Wz0eYPpumYEqx9IL_0WNG4B"
    assert re.fullmatch(shown, text)
    assert re.fullmatch(KEY_PATTERN, text)


def test_every_field_of_the_log_is_explained(installation: Installation, key: Mapping[str, str]) -> None:
    require(shutil.which("curl") is not None, "curl")
    officer = {"email": "dpo@example.edu", "name": "Data protection", "roles": ["compliance"]}
    installation.apply(people=[*state("", limits={})["people"], officer])
    token = installation.bursar("token", "issue", "--person", "dpo@example.edu")["token"]
    headers = {"Authorization": f"Bearer {key['api_key']}"}
    for body in (b'{"username": "sim_user_2"}', b'{"username": "sim_user_2"}', b"{}"):
        call(installation.port, "POST", "/v2/research/user/info/?fields=bio_url", body=body, headers=headers)
    (block,) = blocks(COMPLIANCE, "run")
    entries = [
        item["entry"] for item in json.loads(run(block, installation.base_url, {"TOKEN": token}))["items"]
    ]
    assert {"intent", "outcome", "decision", "admin"} <= {entry["type"] for entry in entries}
    kinds = set(re.findall(r"^\| `(\w+)` \|", page(COMPLIANCE), re.MULTILINE))
    assert {entry["type"] for entry in entries} <= kinds
    table = page(COMPLIANCE).partition("What an entry says:")[2].partition("##")[0]
    named = re.findall(r"^\| (`[^|]+`) \|", table, re.MULTILINE)
    explained = {name for names in named for name in re.findall(r"`(\w+)`", names)}
    assert {name for entry in entries for name in entry} - explained == set()
