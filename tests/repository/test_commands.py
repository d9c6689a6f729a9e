"""Every block of commands in README.md, docs/ and deploy/: executed by a test, or listed here with what it lacks."""

import datetime as dt
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.conftest import require
from tests.repository.committed import ROOT, committed_texts
from tests.repository.pages import GATEWAY, Fence, fences
from tests.servers.bursar import LIMITS, Installation, call, state

README, ADMINISTRATORS, COMPLIANCE, RULES, UPGRADING, DEPLOYING, BACKUP = (
    "README.md",
    "docs/administrators.md",
    "docs/compliance.md",
    "docs/rules.md",
    "docs/upgrading.md",
    "deploy/README.md",
    "docs/backup.md",
)
# The first line of each block that is pasted below, by its page.
PASTED = {
    README: ("curl -X POST 'http", "import requests", "library(httr2)"),
    ADMINISTRATORS: (
        "bursar project set elections",
        "bursar cache purge --author",
        "curl -sS -X PATCH",
        "bursar request list",
        "bursar freeze person",
        "(printf whsec_",
    ),
    "docs/audit-format.md": ("python offline.py DIR",),
    "docs/clients.md": ("openssl req",),
    COMPLIANCE: ("curl -sS https", "bursar audit verify", "bursar audit export"),
    "docs/researchers.md": ("curl -X POST https",),
    RULES: ("bursar rule list", "bursar rule value"),
    UPGRADING: (
        "bursar master-key rotate",
        "bursar master-key prepare",
        "bursar log-key rotate",
        "bursar log-key retire",
    ),
}
# Executed elsewhere, or nowhere: how many lines the block has, so that another one is looked at, and why.
ELSEWHERE = {
    (README, "./dev run"): (2, "the test command itself; tests/journey/test_demonstration.py runs the other"),
    (ADMINISTRATORS, "BURSAR_PUBLIC_URL"): (
        4,
        "settings; tests/journey/test_institution_in_browser.py has them",
    ),
    (ADMINISTRATORS, "bursar audit new-epoch"): (
        1,
        "needs a log that lost entries: tests/assurance/test_restore_drill.py",
    ),
    (RULES, "bursar proposal list"): (
        4,
        "needs a second administrator: tests/administration/test_second_person.py",
    ),
    ("docs/clients.md", "cp university.pem"): (3, "changes whom the machine trusts"),
    ("docs/clients.md", "curl https://open.tiktokapis.com"): (1, "needs the campus DNS"),
    (BACKUP, "BURSAR_DATA_DIR"): (2, "tests/assurance/test_restore_drill.py runs the scripts on SQLite"),
    (BACKUP, "PGHOST=db.example.edu PGUSER=postgres PGDATABASE=bursar PGPASSFILE"): (
        2,
        "the same drill, on PostgreSQL",
    ),
    (BACKUP, "install -d -o postgres"): (
        3,
        "needs root and PostgreSQL's account; done by hand, see deploy/README.md",
    ),
    (BACKUP, "export BURSAR_DATA_DIR"): (6, "the same drill, on SQLite"),
    (BACKUP, "PGHOST=db.example.edu PGUSER=postgres PGDATABASE=bursar deploy/restore.sh"): (
        1,
        "the same drill, on PostgreSQL",
    ),
    (BACKUP, "chown -R postgres"): (
        6,
        "needs root and PostgreSQL's account; done by hand, see deploy/README.md",
    ),
    (DEPLOYING, "install -d /etc/bursar "): (10, "needs docker; test_stack.py reads the compose files"),
    (DEPLOYING, "install -d -m 0711 /etc/bursar-secrets "): (
        20,
        "needs docker; test_stack.py makes the secrets",
    ),
    (DEPLOYING, "apt-get install --yes python3-venv"): (
        10,
        "a whole machine; done by hand on a clean one, as the page says",
    ),
    (DEPLOYING, "python3 -m venv /opt/bursar"): (
        7,
        "the same; test_packaging.py builds and installs the package",
    ),
    (DEPLOYING, "as_bursar init"): (1, "the same"),
    (DEPLOYING, "apt-get install --yes postgresql"): (17, "the same; the drill runs roles.sh"),
    (DEPLOYING, "as_bursar apply"): (4, "the same; test_deploy.py has systemd read the unit"),
    (DEPLOYING, "apt-get install --yes nginx"): (7, "the same; test_deploy.py has nginx read the file"),
}
# What other tests of this folder run whole: test_user_docs, test_client_docs, test_first_project, test_kubernetes_steps,
# test_offline_story.
_MARKED = {"run", "shim", "first", "kubernetes"}
_PEOPLE = [
    {"email": "it@example.edu", "name": "Service desk", "roles": ["admin"]},
    {"email": "dpo@example.edu", "name": "Data protection", "roles": ["compliance"]},
]
_TERMS = {
    "version": "2024-10",
    "title": "Terms",
    "text_file": "terms.md",
    "in_force_from": "2024-10-25",
}


def commands() -> Iterator[tuple[str, Fence]]:
    """The blocks of all pages that somebody would paste into a shell, Python or R, and no other test of here runs."""
    for path in sorted(map(str, committed_texts())):
        if path == README or re.fullmatch(r"(?:docs|deploy)/[\w./-]+\.md", path):
            for fence in fences(path):
                is_command = fence.language or fence.text.startswith("bursar ")
                if is_command and fence.language not in {"yaml", "text"} and fence.use not in _MARKED:
                    yield path, fence


def test_every_block_is_executed_or_listed_with_a_reason() -> None:
    unknown, met = [], set()
    for path, fence in commands():
        pasted = [(path, first) for first in PASTED.get(path, ()) if fence.text.startswith(first)]
        listed = [key for key in ELSEWHERE if key[0] == path and fence.text.startswith(key[1])]
        lines = len([line for line in fence.text.splitlines() if line.strip()])
        if len(pasted) + len(listed) != 1 or (listed and ELSEWHERE[listed[0]][0] != lines):
            unknown.append((path, lines, fence.text.partition("\n")[0]))
        met |= {*pasted, *listed}
    assert unknown == []
    assert met == {*ELSEWHERE, *((path, first) for path, firsts in PASTED.items() for first in firsts)}


class Shell:
    """An administrator's shell on the gateway's machine, with all that the pages take for granted in it."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        installation.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        key = installation.key()
        token = installation.bursar("token", "issue", "--person", "dpo@example.edu")["token"]
        self.environ = {**installation.environ, "API_KEY": key["api_key"], "TOKEN": token}

    def paste(self, path: str, first: str, edits: Mapping[str, str] | None = None, **environ: str) -> str:
        """What the page's block prints, once the edits are made that a reader makes."""
        (fence,) = [each for where, each in commands() if where == path and each.text.startswith(first)]
        text = fence.text.replace(GATEWAY, self.installation.base_url)
        text = text.replace("http://127.0.0.1:8080", self.installation.base_url)
        for shown, here in (edits or {}).items():
            assert shown in text
            text = text.replace(shown, here)
        command = {
            "sh": ["sh", "-euc"],
            "": ["sh", "-euc"],
            "python": [sys.executable, "-c"],
            "r": ["Rscript", "--vanilla", "-e"],
        }[fence.language]
        done = subprocess.run(
            [*command, text],
            cwd=self.installation.home,
            env={**self.environ, **environ},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, f"{first}: {done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    require(shutil.which("curl") is not None, "curl")
    home = tmp_path_factory.mktemp("pasted")
    (home / "terms.md").write_text("# Terms\n")
    whole = state("", limits=LIMITS)
    people = [*whole["people"], *_PEOPLE]
    projects = [{**each, "member_limits": {"requests/day": 100}} for each in whole["projects"]]
    with Installation(home) as installation:
        installation.apply(people=people, projects=projects, terms=[_TERMS])
        installation.start()
        shell = Shell(installation)
        shell.paste("docs/researchers.md", "curl -X POST https")
        yield shell


def test_the_readmes_questions_are_answered(shell: Shell) -> None:
    assert '"code":"ok"' in shell.paste(README, "curl -X POST 'http")
    key = {"{API_KEY}": shell.environ["API_KEY"]}
    assert "requests=" in shell.paste(README, "import requests", key)


def test_the_readmes_question_in_r_is_answered(shell: Shell) -> None:
    found = shutil.which("Rscript")
    library = [str(found), "--vanilla", "-e", "library(httr2)"]
    is_there = found is not None and not subprocess.run(library, capture_output=True, check=False).returncode
    require(is_there, "R with httr2")
    assert "Sim 1" in shell.paste(README, "library(httr2)")


def test_an_administrators_lines_are_carried_out(shell: Shell) -> None:
    shell.paste(ADMINISTRATORS, "bursar project set elections")
    shell.paste(ADMINISTRATORS, "bursar cache purge --author")
    assert "ada@example.edu" in shell.paste(ADMINISTRATORS, "bursar freeze person")
    secret = shell.installation.home / "webhook-secret"
    shell.paste(ADMINISTRATORS, "(printf whsec_", {"/etc/bursar/webhook-secret": str(secret)})
    assert (secret.read_text()[:6], secret.stat().st_mode & 0o777) == ("whsec_", 0o400)
    shell.paste(RULES, "bursar rule list")
    shell.paste(RULES, "bursar rule value")


def test_a_project_is_changed_by_the_tag_that_was_read(shell: Shell) -> None:
    token = shell.installation.bursar("token", "issue", "--person", "it@example.edu")["token"]
    bearer = {"Authorization": f"Bearer {token}"}
    tag = call(shell.installation.port, "GET", "/api/v1/projects/elections", headers=bearer)[1]["etag"]
    told = shell.paste(ADMINISTRATORS, "curl -sS -X PATCH", TOKEN=token, ETAG=tag)
    assert json.loads(told)["lead"] == "ada@example.edu"


def test_requests_for_more_are_decided(shell: Shell) -> None:
    made = []
    for amount in (150, 200):
        until = (dt.datetime.now(dt.UTC).date() + dt.timedelta(days=7)).isoformat()
        asked = {"limit": "requests/day", "amount": amount, "until": until, "reason": "a deadline"}
        body = json.dumps(asked).encode()
        headers = {"Authorization": f"Bearer {shell.environ['API_KEY']}", "Content-Type": "application/json"}
        status, _, answer = call(
            shell.installation.port, "POST", "/api/v1/me/requests", body=body, headers=headers
        )
        assert status == 201, answer
        made.append(json.loads(answer)["id"])
    edits = {
        "grant 5f0c1e9a7b3d2486ac90": f"grant {made[0]}",
        "refuse 5f0c1e9a7b3d2486ac90": f"refuse {made[1]}",
    }
    shell.paste(ADMINISTRATORS, "bursar request list", edits)


def test_the_log_is_read_taken_away_and_verified(shell: Shell) -> None:
    home = shell.installation.home
    told = json.loads(shell.paste(README, "curl -X POST 'http"))
    edits = {"/ID": f"/{told['error']['log_id']}", "receipt ID ": f"receipt {told['error']['log_id']} "}
    shell.paste(COMPLIANCE, "curl -sS https", edits)
    (home / "receipts").mkdir()
    (home / "ID.tlog-proof").rename(home / "receipts/ID.tlog-proof")
    for name in ("anchors", "kept"):
        (home / name).mkdir()
        shutil.copy(home / "data/newest.checkpoint", home / name)
    assert "Verified" in shell.paste(COMPLIANCE, "bursar audit verify")
    shell.paste(
        COMPLIANCE, "bursar audit export", {"/srv/evidence/2026-05": "DIR", "2026-05-01": "2026-01-01"}
    )
    shutil.copy(ROOT / "app/audit/offline.py", home)
    shutil.copy(home / "DIR/log.vkey", home)
    assert "erified" in shell.paste("docs/audit-format.md", "python offline.py DIR")


def test_keys_are_renewed_while_it_serves(shell: Shell) -> None:
    for first in PASTED[UPGRADING]:
        shell.paste(UPGRADING, first)
    assert '"code":"ok"' in shell.paste(README, "curl -X POST 'http")


def test_a_certificate_for_both_names_is_asked_for(shell: Shell) -> None:
    require(shutil.which("openssl") is not None, "openssl")
    shell.paste("docs/clients.md", "openssl req")
    asked = ["openssl", "req", "-in", "bursar.csr", "-noout", "-text", "-verify"]
    done = subprocess.run(
        asked, cwd=shell.installation.home, capture_output=True, text=True, check=True, timeout=30
    )
    assert "DNS:bursar.example.edu, DNS:open.tiktokapis.com" in done.stdout
