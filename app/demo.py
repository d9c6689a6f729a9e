"""The demonstration: simulator and gateway as children of one process, with people who have called already."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import yaml

from app.administration.acts import apply_state
from app.administration.changes import Actor, local_operator
from app.administration.keys import issue_key, issue_token
from app.administration.wanted import read_state_file
from app.errors import NotReady
from app.settings import PREFIX, load_settings
from app.storage.administering import Administration, initialise, open_administration

_READY_WITHIN_S = 60.0
_CLIENT_KEY, _CLIENT_SECRET = "sim-client-key", "sim-client-secret"  # the simulator's, worth nothing
# A child imports what it needs while this process sets up, and starts when it is told to.
_BURSAR = (
    sys.executable,
    "-c",
    "import sys, importlib as i; i.import_module(sys.argv.pop(1)); sys.stdin.readline(); i.import_module('app.cli').main()",
)
_TERMS = "Terms for practice: the records are made up, and nothing here binds anybody.\n"
_PEOPLE = (
    ("ada@example.edu", "Ada Byron", "researcher", "elections"),
    ("ben@example.edu", "Ben Field", "researcher", "elections"),
    ("cleo@example.edu", "Cleo Hart", "researcher", "climate"),
    ("it@example.edu", "Service desk", "admin", None),
    ("dpo@example.edu", "Data protection", "compliance", None),
)
_WITHOUT_TERMS = "ben@example.edu"
"""Has not accepted the terms yet, so that there is a refusal to see."""
VIDEO_PATH = "/v2/research/video/query/?fields=id,username,region_code,view_count"
USER_PATH = "/v2/research/user/info/?fields=display_name,follower_count"


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoPerson:
    """Someone to be in the demonstration; the keys are there for members of a project."""

    email: str
    roles: list[str]
    project: str | None
    client_key: str | None
    client_secret: str | None
    api_key: str | None
    token: str


def run(*, port: int, simulator_port: int, data_dir: Path | None, as_json: bool) -> None:
    """Serve the demonstration until SIGINT or SIGTERM. Raises NotReady when a part does not start."""
    if told := left_unheeded(os.environ):
        print(told, file=sys.stderr, flush=True)  # noqa: T201
    home = (data_dir or Path("data") / "demo").absolute()
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    gateway, simulator = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{simulator_port}"
    environ = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    environ |= {"BURSAR_DATA_DIR": str(home), "BURSAR_PUBLIC_URL": gateway, "BURSAR_SHUTDOWN_GRACE_S": "0"}
    credentials = ["--client-key", _CLIENT_KEY, "--client-secret", _CLIENT_SECRET]
    with _stopped_by_signals(), contextlib.ExitStack() as children:
        platform = _child(
            children, environ, "app.simulator.serve", "simulator", "--port", str(simulator_port), *credentials
        )
        server = _child(children, environ, "app.web.serve", "serve", "--port", str(port))
        _go(platform)
        people = asyncio.run(_people(home, environ, simulator))
        _go(server)
        _await_ready(platform, f"{simulator}/_sim/stats")
        _await_ready(server, f"{gateway}/readyz")
        _make_traffic(gateway, people)
        description = {
            "gateway": gateway,
            "console": f"{gateway}/console/",
            "simulator": simulator,
            "people": [asdict(person) for person in people],
        }
        _write_private(home / "demo.json", json.dumps(description))
        print(json.dumps(description) if as_json else _told(gateway, simulator, home, people), flush=True)  # noqa: T201
        _await_end(platform, server)


def left_unheeded(environ: Mapping[str, str]) -> str:
    """What to say of settings in the environment, since the demonstration has its own; empty where there are none."""
    names = sorted(name for name in environ if name.startswith(PREFIX))
    return f"The demonstration has settings of its own and leaves {', '.join(names)} out." if names else ""


async def _people(home: Path, environ: Mapping[str, str], simulator: str) -> list[DemoPerson]:
    """Everybody, with working keys: those of the last time where there was one."""
    settings = load_settings(environ)
    actor = local_operator(os.getuid())
    await initialise(settings, actor, email="it@example.edu")
    _write_private(home / "state.yaml", yaml.safe_dump(_state(simulator), sort_keys=False))
    _write_private(home / "terms.md", _TERMS)
    _write_private(home / "evidence.txt", "Signed on paper, for practice.\n")
    _write_private(home / "simulator-secret", _CLIENT_SECRET)
    async with open_administration(settings) as office:
        await apply_state(office.registry, office.mint, actor, read_state_file(home / "state.yaml"))
        known = _known(home)
        return [known.get(email) or await _person(office, actor, email) for email, *_ in _PEOPLE]


async def _person(office: Administration, actor: Actor, email: str) -> DemoPerson:
    role, project = next((role, project) for address, _, role, project in _PEOPLE if address == email)
    token = await issue_token(office.registry, office.mint, actor, email=email)
    key = None
    if project is not None:
        key = await issue_key(office.registry, office.mint, actor, project=project, email=email)
    return DemoPerson(
        email=email,
        roles=[role],
        project=project,
        client_key=key.client_key if key else None,
        client_secret=key.client_secret if key else None,
        api_key=key.api_key if key else None,
        token=token.token,
    )


def _known(home: Path) -> dict[str, DemoPerson]:
    """Who was in the last demonstration in this directory."""
    try:
        people = json.loads((home / "demo.json").read_text())["people"]
        return {person["email"]: DemoPerson(**person) for person in people}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _state(simulator: str) -> dict[str, Any]:
    approval = {"from": "2026-01-01", "until": "2030-12-31"}
    accepted = {"version": "practice", "on": "2026-01-02", "evidence_file": "evidence.txt"}
    projects = sorted({project for *_, project in _PEOPLE if project is not None})
    members = {name: [email for email, _, _, project in _PEOPLE if project == name] for name in projects}
    return {
        "credentials": [
            {
                "name": "practice",
                "base_url": simulator,
                "client_key": _CLIENT_KEY,
                "client_secret_file": "simulator-secret",
                "limits": {
                    "requests/day": 1000,
                    "records/day": 100_000,
                    "follower_calls/day": 20_000,
                    "follower_records/day": 2_000_000,
                },
            }
        ],
        "terms": [
            {
                "version": "practice",
                "title": "Terms for practice",
                "text_file": "terms.md",
                "in_force_from": "2026-01-01",
            }
        ],
        "people": [
            {
                "email": email,
                "name": name,
                "roles": [role],
                "accepted": [] if project is None or email == _WITHOUT_TERMS else [accepted],
            }
            for email, name, role, project in _PEOPLE
        ],
        "projects": [
            {
                "name": name,
                "credential": "practice",
                "approval": {"reference": f"R-2026-{number:03}", **approval},
                "lead": members[name][0],
                "members": members[name],
                "limits": {"requests/day": 300, "records/day": 30_000},
                "member_limits": {"requests/day": 100},
            }
            for number, name in enumerate(projects, start=1)
        ],
    }


@contextlib.contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """Turn SIGTERM into the end of the demonstration, as SIGINT is one already."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    with contextlib.suppress(KeyboardInterrupt):
        yield


def _child(
    children: contextlib.ExitStack, environ: Mapping[str, str], module: str, *arguments: str
) -> "subprocess.Popen[bytes]":
    child = subprocess.Popen(  # noqa: S603 - this very program
        [*_BURSAR, module, *arguments], env=dict(environ), stdin=subprocess.PIPE
    )
    children.callback(_end, child)
    return child


def _go(child: "subprocess.Popen[bytes]") -> None:
    if child.stdin is not None:
        with contextlib.suppress(BrokenPipeError):
            child.stdin.write(b"\n")
            child.stdin.close()


def _end(child: "subprocess.Popen[bytes]") -> None:
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(timeout=40)
        except subprocess.TimeoutExpired:
            child.kill()


def _await_ready(child: "subprocess.Popen[bytes]", url: str) -> None:
    deadline = time.monotonic() + _READY_WITHIN_S
    while time.monotonic() < deadline and child.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5):  # noqa: S310 - loopback
            return
        time.sleep(0.05)
    raise NotReady(f"{url} does not answer. Is the port taken? Try --port and --simulator-port.")


def _await_end(*children: "subprocess.Popen[bytes]") -> None:
    while all(child.poll() is None for child in children):
        time.sleep(0.2)
    raise NotReady("A part of the demonstration has ended; its last lines stand above.")


def _make_traffic(gateway: str, people: list[DemoPerson]) -> None:
    """Some calls of different people: fetched, answered from what is held, and refused."""
    question = video_question(20)
    for person in people:
        if person.api_key is None:
            continue
        for path, body in (
            (VIDEO_PATH, question),
            (VIDEO_PATH, question),
            (USER_PATH, {"username": "sim_user_1"}),
            (VIDEO_PATH, {**question, "max_count": 1000}),
        ):
            _post(f"{gateway}{path}", person.api_key, body)


def video_question(max_count: int) -> dict[str, Any]:
    """A question that has an answer in the simulator's data."""
    condition = {"field_name": "region_code", "operation": "EQ", "field_values": ["US"]}
    return {
        "query": {"and": [condition]},
        "start_date": "20261001",
        "end_date": "20261007",
        "max_count": max_count,
    }


def _post(url: str, key: str, body: Mapping[str, Any]) -> None:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)  # noqa: S310 - loopback
    with contextlib.suppress(urllib.error.HTTPError), urllib.request.urlopen(request, timeout=30):  # noqa: S310
        pass


def _write_private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_text(text)


def _told(gateway: str, simulator: str, home: Path, people: list[DemoPerson]) -> str:
    ada = people[0]
    question = json.dumps(video_question(20))
    keys = [
        f"  {person.email:18} {person.roles[0]:11} {person.project or '':10} {person.api_key or person.token}"
        for person in people
    ]
    return "\n".join(
        (
            f"Gateway    {gateway}    (API: {gateway}/docs, health: {gateway}/readyz)",
            f"Console    {gateway}/console/    (sign in with a token: of administration and compliance below, or as",
            f"           {ada.email} with {ada.token})",
            f"Simulator  {simulator}    (what it counted: {simulator}/_sim/stats)",
            "",
            "People, and their API key (members of a project) or token for /api/v1:",
            *keys,
            f"  {_WITHOUT_TERMS} has not accepted the terms, and is told so. All of it is in {home}/demo.json",
            "",
            "curl:",
            f"  curl -si -X POST '{gateway}{VIDEO_PATH}' \\",
            f"    -H 'Authorization: Bearer {ada.api_key}' -d '{question}'",
            "",
            "Python:",
            "  import requests",
            f"  answer = requests.post('{gateway}{USER_PATH}',",
            f"      headers={{'Authorization': 'Bearer {ada.api_key}'}}, json={{'username': 'sim_user_1'}})",
            "  print(answer.json()['data'], answer.headers['Bursar-Cost'])",
            "",
            "R:",
            f"  httr2::request('{gateway}{USER_PATH}') |>",
            f"    httr2::req_auth_bearer_token('{ada.api_key}') |>",
            "    httr2::req_body_json(list(username = 'sim_user_1')) |> httr2::req_perform() |>",
            "    httr2::resp_body_json()",
            "",
            "What was spent:",
            f"  BURSAR_DATA_DIR={home} ./dev bursar usage",
            "",
            "Ctrl-C ends all.",
        )
    )
