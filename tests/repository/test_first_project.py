"""docs/administrators.md from nothing to a first call: its own blocks, one after the other, in an empty directory."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import require
from tests.repository.pages import GATEWAY, PLATFORM, blocks
from tests.servers.bursar import CLIENT_KEY, CLIENT_SECRET, Installation, Process
from tests.servers.programs import free_port

_BLOCKS = {block.name: block.text for block in blocks("docs/administrators.md", "first")}


class Administrator:
    """Somebody who pastes the page's blocks; what they export stays, as in a shell."""

    def __init__(self, home: Path, simulator_url: str) -> None:
        self.home = home
        self.port = free_port()
        self.api_key = ""
        self._exports = ""
        self._edits = {
            "/var/lib/bursar": str(home / "data"),
            PLATFORM: simulator_url,
            GATEWAY: f"http://127.0.0.1:{self.port}",
            "--port 8080": f"--port {self.port}",
            "aw000example": CLIENT_KEY,
            # The page's approval will be over one day.
            "until: 2027-06-30": "until: 2029-06-30",
        }

    def text(self, name: str) -> str:
        """A block with the places and secrets of this machine."""
        text = _BLOCKS[name]
        for shown, here in self._edits.items():
            text = text.replace(shown, here)
        return text

    def script(self, name: str) -> str:
        """A block for the shell, after all that was exported before it."""
        text = self.text(name)
        script = self._exports + text
        self._exports += "".join(re.findall(r"^export .*\n", text, re.MULTILINE))
        return script

    @property
    def environ(self) -> dict[str, str]:
        """Nothing of Bursar's, and its command on the path."""
        found = {name: value for name, value in os.environ.items() if not name.startswith("BURSAR_")}
        return found | {"PATH": f"{Path(sys.executable).parent}:{found['PATH']}", "API_KEY": self.api_key}

    def paste(self, name: str) -> str:
        """What the block prints."""
        command = ["sh", "-euc", self.script(name)]
        done = subprocess.run(
            command, cwd=self.home, env=self.environ, capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == 0, f"{name}: {done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.fixture
def simulator(tmp_path: Path) -> Iterator[Installation]:
    """The platform's stand-in alone."""
    home = tmp_path / "platform"
    home.mkdir()
    installation = Installation(home)
    installation.start_simulator()
    yield installation
    installation.__exit__(None, None, None)


def test_from_nothing_to_a_first_call(tmp_path: Path, simulator: Installation) -> None:
    require(shutil.which("curl") is not None, "curl")
    home = tmp_path / "administrator"
    home.mkdir()
    (home / "client-secret.txt").write_text(CLIENT_SECRET)
    (home / "terms-2024-10.md").write_text("# Terms\n\nOnly for the approved research.\n")
    someone = Administrator(home, simulator.simulator_url)
    someone.paste("init")
    (home / "state.yaml").write_text(someone.text("state.yaml"))
    assert "main" in someone.paste("apply")
    (someone.api_key,) = re.findall(r"api_key\W+(bsr_\w+)", someone.paste("key"))
    command = ["sh", "-euc", someone.script("serve").replace("bursar serve", "exec bursar serve")]
    gateway = Process(
        command, port=someone.port, ready="/readyz", environ=someone.environ, log=home / "gateway.log"
    )
    try:
        said = someone.paste("call")
        assert '"display_name":"Sim 1"' in said
        assert "elections" in someone.paste("look")
    finally:
        gateway.kill()
    assert simulator.upstream()["requests"] == 1


def test_the_page_is_pasted_whole() -> None:
    assert list(_BLOCKS) == ["init", "state.yaml", "apply", "key", "serve", "call", "look"]
