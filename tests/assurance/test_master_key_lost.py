"""docs/backup.md's steps for who has lost the master key for good: another one, and the same log goes on."""

import subprocess
import sys
from pathlib import Path

from tests.repository.pages import blocks
from tests.servers.bursar import Installation, call

(STEPS,) = (block.text for block in blocks("docs/backup.md", "run") if block.name == "lost master key")
_SYSTEMD = "systemctl() { :; }\n"


def ask(installation: Installation, key: dict[str, str]) -> tuple[int, str]:
    status, headers, _ = call(
        installation.port,
        "POST",
        "/v2/research/user/info/?fields=display_name",
        body=b'{"username": "sim_user_1"}',
        headers={"Authorization": f"Bearer {key['api_key']}"},
    )
    return status, headers.get("cache-status", "")


def test_with_another_master_key_the_installation_goes_on(tmp_path: Path) -> None:
    with Installation(tmp_path) as installation:
        gateway = installation.start()
        before = installation.key()
        assert ask(installation, before) == (200, "bursar; fwd=miss; stored")
        gateway.stop()
        (tmp_path / "data" / "master.key").unlink()
        project, credential = "bursar project remove elections", "bursar credential remove main"
        assert project in STEPS
        steps = STEPS.replace("/var/lib/bursar", str(tmp_path / "data"))
        steps = steps.replace(project, "bursar project remove climate\n" + project)
        assert credential in steps
        path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
        ran = subprocess.run(
            ["bash", "-e", "-c", _SYSTEMD + steps],
            env={**installation.environ, "PATH": path},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        installation.start()
        assert ask(installation, before)[0] == 401
        # What was held is not, nobody could open it; the next call has it from what is held since.
        after = installation.key()
        assert ask(installation, after) == (200, "bursar; fwd=miss; stored")
        assert ask(installation, after)[1].startswith("bursar; hit")
        assert installation.bursar("audit", "verify")["verified"] is True
