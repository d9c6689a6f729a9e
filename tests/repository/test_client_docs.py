"""Every shim and every client's lines in docs/clients.md do what the page says, against a running gateway."""

import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from tests.conftest import require
from tests.repository.pages import GATEWAY, PLATFORM, Block, blocks, page
from tests.servers.bursar import Installation

_PAGE = "docs/clients.md"
_R = ("Rscript", "--vanilla")
_PATH = "/v2/research/user/info/?fields=display_name"
SHIMS = blocks(_PAGE, "shim")
RUNS = blocks(_PAGE, "run")

# Clients as people find them: the platform's address is written into them. The last line is what is compared.
WRITTEN_FOR_THE_PLATFORM = {
    "requests": f"""
import os, requests
headers = {{"Authorization": "Bearer " + os.environ["API_KEY"]}}
answer = requests.post("{PLATFORM}{_PATH}", headers=headers, json={{"username": "sim_user_1"}})
elsewhere = requests.get(os.environ["ELSEWHERE"])
print(answer.json()["data"]["display_name"], "Audit-Entry" in answer.headers, elsewhere.status_code)
""",
    "httpx": f"""
import asyncio, os, httpx
call = dict(headers={{"Authorization": "Bearer " + os.environ["API_KEY"]}}, json={{"username": "sim_user_1"}})
async def ask():
    async with httpx.AsyncClient(base_url="{PLATFORM}") as client:
        return await client.post("{_PATH}", **call)
answer = httpx.post("{PLATFORM}{_PATH}", **call)
assert answer.json()["data"] == asyncio.run(ask()).json()["data"]
elsewhere = httpx.get(os.environ["ELSEWHERE"])
print(answer.json()["data"]["display_name"], "Audit-Entry" in answer.headers, elsewhere.status_code)
""",
    "aiohttp": f"""
import asyncio, os, aiohttp
async def main():
    call = dict(
        headers={{"Authorization": "Bearer " + os.environ["API_KEY"]}}, json={{"username": "sim_user_1"}}
    )
    async with aiohttp.ClientSession("{PLATFORM}") as session, session.post("{_PATH}", **call) as answer:
        first = await answer.json()
    async with aiohttp.ClientSession() as session:
        async with session.post("{PLATFORM}{_PATH}", **call) as answer:
            said = await answer.json()
        assert said["data"] == first["data"]
        async with session.get(os.environ["ELSEWHERE"]) as elsewhere:
            print(said["data"]["display_name"], "Audit-Entry" in answer.headers, elsewhere.status)
asyncio.run(main())
""",
    "httr": f"""
answer <- httr::POST("{PLATFORM}{_PATH}",
  httr::add_headers(Authorization = paste("Bearer", Sys.getenv("API_KEY"))),
  body = list(username = "sim_user_1"), encode = "json")
elsewhere <- httr::GET(Sys.getenv("ELSEWHERE"))
said <- httr::content(answer, as = "parsed", type = "application/json")
cat(said$data$display_name, if (is.null(httr::headers(answer)$`audit-entry`)) "False" else "True",
    httr::status_code(elsewhere))
""",
    "httr2": f"""
library(httr2)
answer <- request("{PLATFORM}{_PATH}") |> req_auth_bearer_token(Sys.getenv("API_KEY")) |>
  req_body_json(list(username = "sim_user_1")) |> req_perform()
elsewhere <- request(Sys.getenv("ELSEWHERE")) |> req_perform()
cat(resp_body_json(answer)$data$display_name,
    if (resp_header_exists(answer, "Audit-Entry")) "True" else "False", resp_status(elsewhere))
""",
}


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    home = tmp_path_factory.mktemp("documented")
    with Installation(home, database_url=f"sqlite+aiosqlite:///{home / 'bursar.db'}") as opened:
        opened.start()
        yield opened


class Desk:
    """A researcher's directory, with the keys in the environment, as the page has it."""

    def __init__(self, home: Path, installation: Installation, key: Mapping[str, str]) -> None:
        self.home = home
        self._gateway = installation.base_url
        own = {"PATH", "HOME", "LANG", "R_LIBS", "R_LIBS_SITE", "VIRTUAL_ENV"}
        self.environ = {name: value for name, value in os.environ.items() if name in own}
        self.environ |= {
            "PYTHONPATH": str(home),
            "API_KEY": key["api_key"],
            "TIKTOK_CLIENT_KEY": key["client_key"],
            "TIKTOK_CLIENT_SECRET": key["client_secret"],
            "ELSEWHERE": f"{installation.simulator_url}/_sim/stats",
        }

    def here(self, text: str) -> str:
        """The page's text with the gateway that runs here."""
        assert GATEWAY in text
        return text.replace(GATEWAY, self._gateway)

    def run(self, command: Sequence[str]) -> str:
        """What the command prints; raises AssertionError with everything it said when it fails."""
        done = subprocess.run(
            command, cwd=self.home, env=self.environ, capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return done.stdout

    def run_text(self, language: str, text: str) -> str:
        """What a program in that language prints."""
        suffix, command = {
            "python": ("py", [sys.executable]),
            "r": ("R", list(_R)),
            "sh": ("sh", ["sh", "-eu"]),
        }[language]
        path = self.home / f"program.{suffix}"
        path.write_text(text)
        return self.run([*command, str(path)])


@pytest.fixture(scope="module")
def key(installation: Installation) -> Mapping[str, str]:
    return installation.key()


@pytest.fixture
def desk(tmp_path: Path, installation: Installation, key: Mapping[str, str]) -> Desk:
    return Desk(tmp_path, installation, key)


def shim_for(name: str) -> Block:
    (found,) = [each for each in SHIMS if each.name == name]
    return found


def require_language(block: Block) -> None:
    """Go on where R and its package are here, if the block is in R, and curl if it is called."""
    if block.language == "r":
        library = f"library({block.name}); library(jsonlite)"
        is_there = shutil.which("Rscript") is not None and (
            subprocess.run([*_R, "-e", library], capture_output=True, check=False).returncode == 0
        )
        require(is_there, f"R with {block.name} and jsonlite")
    elif block.name == "curl":
        require(shutil.which("curl") is not None, "curl")


@pytest.mark.parametrize("name", WRITTEN_FOR_THE_PLATFORM)
def test_a_shim_moves_the_platforms_calls_and_no_others(desk: Desk, name: str) -> None:
    shim = shim_for(name)
    require_language(shim)
    program = f"{desk.here(shim.text)}\n{WRITTEN_FOR_THE_PLATFORM[name]}"
    assert desk.run_text(shim.language, program).strip() == "Sim 1 True 200"


@pytest.mark.parametrize("shim", SHIMS, ids=str)
def test_a_shim_is_at_most_six_lines_beside_its_import(shim: Block) -> None:
    lines = [line for line in shim.text.splitlines() if line.strip() and not line.startswith("import ")]
    assert len(lines) <= 6


def test_there_is_a_shim_for_each_library_that_the_page_names() -> None:
    assert {shim.name for shim in SHIMS} == set(WRITTEN_FOR_THE_PLATFORM)


@pytest.mark.parametrize("block", [each for each in RUNS if each.name != "environment"], ids=str)
def test_the_lines_for_a_client_bring_records(desk: Desk, block: Block) -> None:
    require_language(block)
    (desk.home / "bursar_shim.py").write_text(desk.here(shim_for("requests").text))
    text = block.text if "bursar_shim" in block.text else desk.here(block.text)
    assert "Sim 1" in desk.run_text(block.language, text)


def test_a_command_of_a_client_is_moved_by_its_environment(desk: Desk) -> None:
    (block,) = [each for each in RUNS if each.name == "environment"]
    (desk.home / "bursar_shim.py").write_text(desk.here(shim_for("requests").text))
    venv.create(desk.home / "own", with_pip=False)
    installed = next(path for path in sys.path if path.endswith("site-packages"))
    (packages,) = (desk.home / "own").glob("lib/python3*/site-packages")
    (packages / "a.pth").write_text(installed)
    desk.environ |= {"PATH": f"{desk.home / 'own/bin'}:{desk.environ['PATH']}", "PYTHONPATH": ""}
    desk.run_text("sh", block.text)
    (desk.home / "bursar_shim.py").unlink()
    said = desk.run(["python", "-c", WRITTEN_FOR_THE_PLATFORM["requests"]])
    assert said.strip() == "Sim 1 True 200"


def test_the_page_names_every_client_that_the_tests_run() -> None:
    for name in ("TikTokResearchApi", "tiktok_research_api_helper", "researchtikpy", "traktok"):
        assert f"`{name}`" in page(_PAGE)
