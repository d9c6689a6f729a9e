"""Texts that try to break out: through real requests into the log, its table and the terminal, and no further."""

import csv
import http.client
import json
import re
import shutil
import subprocess
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from app.audit.sheets import cell
from tests.conftest import require
from tests.servers.bursar import VIDEO_QUERY, Installation, call, state, video_query
from tests.servers.commands import run_command

CORPUS = (
    "=cmd|' /C calc'!A0",
    '=HYPERLINK("http://x.example","y")',
    "+1+1",
    "-2+3",
    "@SUM(1+1)",
    "\t=1+1",
    "\r=1+1",
    "\x00=1+1",
    "a\r\nSet-Cookie: x=1",
    "a\nb",
    "line\u2028separator",
    "\x1b[31mred\x1b[0m",
    "\x1b]0;title\x07",
    "\x9b31m",
    "\u202egnp.exe",
    "\u2066hidden\u2069",
    "\ufeffbom",
    "\u200bzero width",
    "\x7fdel",
    '","injected","',
    "';--",
    "<script>alert(1)</script>",
    "{{7*7}}",
    "${jndi:ldap://x}",
    "%0d%0aX: y",
    "\ud83d\ude00",
    "é" * 50,
    "12345678901234567890",
    "1e309",
    "00012",
    "NaN",
    "${'a'*9}",
)
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\x00")
UNSAFE = {"Cc", "Cf", "Cs", "Zl", "Zp"}


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """An installation that has been asked every text of the corpus in every place that takes one."""
    home = tmp_path_factory.mktemp("injected")
    with Installation(home, database_url=f"sqlite+aiosqlite:///{home / 'bursar.db'}") as installation:
        installation.start()
        officer = {"email": "dpo@example.edu", "name": "Data protection", "roles": ["compliance", "admin"]}
        installation.apply(people=[*state("", limits={})["people"], officer])
        token = installation.bursar("token", "issue", "--person", "dpo@example.edu")["token"]
        key = installation.key()["api_key"]
        for text in CORPUS:
            ask(installation, key, token, text)
        yield installation


def ask(installation: Installation, key: str, token: str, text: str) -> None:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    operator = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    place = quote(text.encode("utf-8", "surrogatepass"), safe="")
    condition = {"operation": "EQ", "field_name": "username", "field_values": [text]}
    for body in (
        video_query(query={"and": [condition]}, max_count=10),
        video_query(search_id=text),
        json.dumps({"username": text}).encode(),
        text.encode("utf-8", "surrogatepass"),
    ):
        call(installation.port, "POST", VIDEO_QUERY, body=body, headers=headers)
    user_info = "/v2/research/user/info/?fields=display_name"
    call(installation.port, "POST", user_info, body=json.dumps({"username": text}).encode(), headers=headers)
    call(installation.port, "POST", f"/v2/research/video/query/?fields={place}", body=b"{}", headers=headers)
    call(installation.port, "GET", f"/v2/{place}", headers=headers)
    call(installation.port, "GET", f"/api/v1/{place}", headers=operator)
    call(installation.port, "GET", f"/api/v1/audit/entries?code={place}", headers=operator)
    reason = json.dumps({"reason": text}).encode()
    call(installation.port, "PUT", f"/api/v1/freezes/person/{place}", body=reason, headers=operator)
    form = f"client_key={place}&client_secret={place}&grant_type=client_credentials".encode()
    call(installation.port, "POST", "/v2/oauth/token/", body=form)
    raw = text.encode("utf-8", "surrogatepass").decode("latin-1")
    if not re.search(r"[\x00\r\n]", raw):
        connection = http.client.HTTPConnection("127.0.0.1", installation.port, timeout=30)
        connection.request("GET", "/api/v1/me", headers={"User-Agent": raw, "Authorization": raw})
        connection.getresponse().read()
        connection.close()


def test_the_log_holds_no_raw_control_and_no_text_of_a_request(
    attacked: Installation, tmp_path: Path
) -> None:
    attacked.bursar("audit", "export", "--format", "jsonl", "--to", str(tmp_path / "out"))
    data = (tmp_path / "out/entries.jsonl").read_bytes()
    lines = data.split(b"\n")
    assert lines.pop() == b""
    assert len(lines) > 10 * len(CORPUS)
    assert not any(byte < 0x20 for line in lines for byte in line)
    assert [json.loads(line)["ix"] for line in lines] == list(range(len(lines)))
    # Whoever looks for a text has a question of their own, and the log says what was looked for.
    of_requests = b"\n".join(line for line in lines if b'"type":"audit_read"' not in line)
    for text in ("cmd|", "HYPERLINK", "alert(1)", "jndi", "Set-Cookie", "injected", "gnp.exe"):
        assert text.encode() not in of_requests, text
    assert attacked.bursar("audit", "verify")["verified"] is True


def test_no_cell_of_the_table_is_run_or_holds_a_control(attacked: Installation, tmp_path: Path) -> None:
    attacked.bursar("audit", "export", "--format", "csv", "--to", str(tmp_path / "out"))
    text = (tmp_path / "out/entries.csv").read_bytes().decode()
    assert {char for char in text if unicodedata.category(char) in UNSAFE} == {"\r", "\n"}
    rows = list(csv.reader(text.splitlines(keepends=True), strict=True))
    assert len({len(row) for row in rows}) == 1
    assert len(rows) == text.count("\r\n") > 10 * len(CORPUS)
    assert [each for row in rows for each in row if each.startswith(FORMULA)] == []


@pytest.mark.long
def test_libreoffice_finds_no_formula_in_the_table(attacked: Installation, tmp_path: Path) -> None:
    require(shutil.which("soffice") is not None, "soffice")
    attacked.bursar("audit", "export", "--format", "csv", "--to", str(tmp_path / "out"))
    (tmp_path / "raw.csv").write_text("a,=1+1\r\nb,=A1\r\n")
    assert formulas_in(tmp_path / "raw.csv") == 2
    assert formulas_in(tmp_path / "out/entries.csv") == 0


def formulas_in(table: Path) -> int:
    """How many cells of a table LibreOffice takes for formulas, by what it saves after it has opened it."""
    home = table.parent / "office"
    command = ["soffice", f"-env:UserInstallation={home.as_uri()}", "--headless", "--convert-to", "fods"]
    command += ["--outdir", str(home), str(table)]
    subprocess.run(command, check=True, capture_output=True, timeout=240)
    saved = (home / table.with_suffix(".fods").name).read_text()
    rows = table.read_text().count("\r\n")
    assert saved.count("<table:table-row") >= rows
    return saved.count("table:formula=")


@pytest.mark.parametrize("text", CORPUS)
def test_a_cell_of_any_text_is_one_harmless_cell(text: str) -> None:
    line = f"{cell(1)},{cell(text)},{cell(2)}\r\n"
    ((first, middle, last),) = csv.reader([line], strict=True)
    assert (first, last) == ("1", "2")
    assert not middle.startswith(FORMULA)
    assert not any(unicodedata.category(char) in UNSAFE for char in middle)
    if re.fullmatch(r"[\d.e+-]+", text):
        assert middle == f"'{text}"


def test_numbers_stay_numbers_only_where_a_spreadsheet_can_hold_them() -> None:
    assert (cell(7), cell(-7), cell(2**53), cell(None)) == ("7", "-7", str(2**53), "")
    assert cell(2**53 + 1) == f'"\'{2**53 + 1}"'
    assert cell("1e5") == '"\'1e5"'
    assert cell('say "x"') == '"say ""x"""'


@pytest.mark.parametrize(
    "command",
    [
        ("audit", "search", "--limit", "1000"),
        ("audit", "search", "--code", "\x1b[31mred"),
        ("audit", "receipt", "\x1b[31m"),
        ("audit", "verify", "--export", "/\x1b[31m"),
    ],
)
def test_nothing_that_a_command_prints_moves_the_terminal(
    attacked: Installation, command: tuple[str, ...]
) -> None:
    done = run_command(command, environ=attacked.environ, cwd=attacked.home)
    for printed in (done.out, done.err):
        assert "\ufffd" not in printed
        assert {char for char in printed if unicodedata.category(char) in UNSAFE} <= {"\n"}
