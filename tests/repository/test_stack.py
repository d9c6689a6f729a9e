"""Promises about the files for several gateways: each is read by the program it is written for, and all agree."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.clock import SystemClock
from app.sealing import where_it_lies
from app.settings import load_settings
from app.storage.sharing import Sharing
from app.storage.short_windows import ProcessWindows
from app.storage.turns import ProcessTurns
from app.web.metrics import Metrics
from tests.conftest import require
from tests.repository.committed import ROOT, committed_modes, committed_texts
from tests.servers.programs import find_program

DEPLOY = ROOT / "deploy"
KUSTOMIZATIONS = ("deploy/kubernetes", "deploy/kubernetes/migrate")
_METRIC = re.compile(r"\b(?:bursar|process)_[a-z_]+\b")


def program(name: str) -> str:
    """Where the program stands; without it the test fails or is left out."""
    found = find_program(name)
    require(found is not None, name)
    return str(found)


def run(*command: str, cwd: Path = ROOT, **environ: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def documents(path: Path) -> list[Any]:
    return [each for each in yaml.safe_load_all(path.read_text()) if each]


def test_prometheus_accepts_its_configuration_and_rules() -> None:
    done = run(program("promtool"), "check", "config", "deploy/prometheus/prometheus.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "rules found" in done.stdout


def test_every_alert_fires_when_it_should_and_only_then() -> None:
    done = run(program("promtool"), "test", "rules", "deploy/prometheus/alerts.test.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    (groups,) = documents(DEPLOY / "prometheus/alerts.yml")
    (tests,) = documents(DEPLOY / "prometheus/alerts.test.yml")
    alerts = {rule["alert"] for group in groups["groups"] for rule in group["rules"]}
    fired = {
        each["alertname"] for test in tests["tests"] for each in test["alert_rule_test"] if each["exp_alerts"]
    }
    assert fired == alerts


def test_every_alert_leads_to_a_heading_of_the_runbook() -> None:
    (groups,) = documents(DEPLOY / "prometheus/alerts.yml")
    titles = re.findall(r"^## (.+)$", (ROOT / "docs/runbook.md").read_text(), re.MULTILINE)
    anchors = {f"docs/runbook.md#{title.lower().replace(' ', '-')}" for title in titles}
    led = {rule["annotations"]["runbook"] for group in groups["groups"] for rule in group["rules"]}
    assert led == anchors


def told_metrics() -> set[str]:
    """Every name that the program's own sources give to a metric, and the samples that it becomes."""
    sources = " ".join(path.read_text() for path in (ROOT / "app/web").glob("me*.py"))
    names = set(re.findall(r'"(bursar_[a-z_]+)"', sources))
    told = names | {f"{name}_{end}" for name in names for end in ("total", "bucket", "count", "sum")}
    metrics = Metrics()
    metrics.watch(
        Sharing(windows=ProcessWindows(clock=SystemClock()), turns=ProcessTurns(clock=SystemClock()))
    )
    rendered = metrics.render().decode()
    return told | set(re.findall(r"^# TYPE (\S+)", rendered, re.MULTILINE))


def test_every_metric_is_explained() -> None:
    sources = " ".join(path.read_text() for path in (ROOT / "app/web").glob("me*.py"))
    table = (DEPLOY / "README.md").read_text().partition("| metric | of | says |")[2].partition("\n\n")[0]
    explained = {name.removesuffix("_total") for name in re.findall(r"`(bursar_[a-z_]+)`", table)}
    assert explained == set(re.findall(r'"(bursar_[a-z_]+)"', sources))


def expressions() -> Iterator[tuple[str, str]]:
    """What the alerts and the dashboard ask Prometheus for."""
    (groups,) = documents(DEPLOY / "prometheus/alerts.yml")
    for group in groups["groups"]:
        for rule in group["rules"]:
            yield rule["alert"], rule["expr"]
    for panel in dashboard()["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]


def dashboard() -> Any:
    return json.loads((DEPLOY / "grafana/dashboards/bursar.json").read_text())


def test_every_metric_that_is_asked_for_is_one_that_bursar_tells() -> None:
    known = told_metrics()
    asked = {(where, name) for where, expression in expressions() for name in _METRIC.findall(expression)}
    assert len({name for _, name in asked}) > 15
    assert {pair for pair in asked if pair[1] not in known} == set()


def test_the_dashboard_works_with_any_data_source() -> None:
    board = dashboard()
    assert [each["name"] for each in board["templating"]["list"]] == ["datasource"]
    sources = [panel["datasource"] for panel in board["panels"]]
    sources += [target["datasource"] for panel in board["panels"] for target in panel["targets"]]
    assert {source["uid"] for source in sources} == {"${datasource}"}
    identifiers = [panel["id"] for panel in board["panels"]]
    assert len(set(identifiers)) == len(identifiers)


def test_every_expression_of_the_dashboard_is_one_that_prometheus_reads(tmp_path: Path) -> None:
    rules = [
        {"record": f"panel:{number}", "expr": expression}
        for number, (_, expression) in enumerate(expressions())
    ]
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "all", "rules": rules}]}))
    done = run(program("promtool"), "check", "rules", str(tmp_path / "rules.yml"))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["compose.yaml", "compose.embedded.yaml"])
def test_compose_accepts_the_file(tmp_path: Path, name: str) -> None:
    content = yaml.safe_load((DEPLOY / name).read_text())
    # Debian's program is of 2021: the name of a project, and what to do without a directory, came later.
    content.pop("name")
    for service in content["services"].values():
        for volume in service.get("volumes", []):
            if isinstance(volume, dict):
                volume.pop("bind", None)
    (tmp_path / "compose.yaml").write_text(yaml.safe_dump(content))
    done = run(
        program("docker-compose"), "-f", str(tmp_path / "compose.yaml"), "config", "--quiet", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr


def stack() -> dict[str, Any]:
    services: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    return services


def test_the_lines_that_make_the_secrets_make_every_one_that_the_stack_reads(tmp_path: Path) -> None:
    readme = (DEPLOY / "README.md").read_text()
    lines = readme.partition("install -d -m 0711 /etc/bursar-secrets")[2].partition("\n")[2]
    lines = lines.partition("docker compose")[0].replace("/etc/bursar-secrets", str(tmp_path / "secrets"))
    lines = re.sub(r"^  chown .*$", "", lines, flags=re.MULTILINE)
    (tmp_path / "secrets").mkdir()
    (tmp_path / "client-secret.txt").write_text("of the platform")
    require(find_program("openssl") is not None, "openssl")
    done = run("sh", "-euc", lines, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    made = {each.name: each for each in (tmp_path / "secrets").iterdir()}
    read = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["secrets"].values()
    assert set(made) == {Path(each["file"]).name for each in read}
    assert {each.stat().st_mode & 0o777 for each in made.values()} == {0o400}
    for name in ("serve.yaml", "owner.yaml"):
        settings = load_settings({"BURSAR_CONFIG": str(made[name])})
        assert settings.database_url.startswith("postgresql+asyncpg://bursar_app:")
        assert (settings.migration_database_url is None) == (name == "serve.yaml")


def test_only_the_front_server_can_be_reached_from_elsewhere() -> None:
    published = {name: each["ports"] for name, each in stack().items() if "ports" in each}
    assert published == {"front": ["443:443"], "grafana": ["127.0.0.1:3000:3000"]}


def test_no_service_of_the_stack_has_rights_that_it_does_not_need() -> None:
    for name, service in stack().items():
        assert "no-new-privileges:true" in service["security_opt"], name
        assert "mem_limit" in service, name
        # PostgreSQL's image takes its directory over as root, then changes its account.
        if name != "postgres":
            assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"]), name


def test_no_password_stands_in_an_environment_or_a_command() -> None:
    for name, service in stack().items():
        said = json.dumps([service.get("environment", {}), service.get("command", [])])
        given = re.findall(r'"\w*(?:PASSWORD|SECRET|_URL)\w*"', said)
        assert [each for each in given if not each.endswith(('FILE"', 'PUBLIC_URL"'))] == [], name


def test_prometheus_and_the_front_server_know_every_gateway_of_the_stack() -> None:
    gateways = {f"{name}:8080" for name, each in stack().items() if name.startswith("bursar-")}
    assert len(gateways) > 1
    (scraped,) = documents(DEPLOY / "prometheus/prometheus.yml")
    assert set(scraped["scrape_configs"][0]["static_configs"][0]["targets"]) == gateways
    assert set(stack()["front"]["environment"]["REPLICAS"].split()) == gateways
    assert "{$REPLICAS:127.0.0.1:8080}" in (DEPLOY / "Caddyfile").read_text()


def test_the_front_servers_network_is_the_one_that_is_believed() -> None:
    whole = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    (range_of_front,) = whole["networks"]["front"]["ipam"]["config"]
    assert stack()["bursar-1"]["environment"]["BURSAR_TRUSTED_PROXIES"] == range_of_front["subnet"]


@pytest.mark.parametrize("directory", KUSTOMIZATIONS)
def test_kustomize_builds_what_the_folder_holds(directory: str) -> None:
    done = run(program("kubectl"), "kustomize", directory)
    assert done.returncode == 0, done.stderr
    built = [each for each in yaml.safe_load_all(done.stdout) if each]
    kinds = {each["kind"] for each in built}
    expected = {
        "deploy/kubernetes": {
            *("Namespace", "ServiceAccount", "ConfigMap", "Deployment", "Service"),
            *("PodDisruptionBudget", "HorizontalPodAutoscaler", "NetworkPolicy"),
        },
        "deploy/kubernetes/migrate": {"Job", "ConfigMap"},
    }
    assert kinds == expected[directory]
    assert {each["metadata"].get("namespace", "bursar") for each in built} == {"bursar"}


def test_the_job_before_a_release_is_told_the_address_that_names_the_log_as_gateways_are() -> None:
    told = []
    for directory in KUSTOMIZATIONS:
        built = list(yaml.safe_load_all(run(program("kubectl"), "kustomize", directory).stdout))
        (settings,) = (each for each in built if each["kind"] == "ConfigMap")
        (pod,) = (each["spec"]["template"]["spec"] for each in built if each["kind"] in {"Deployment", "Job"})
        (container,) = pod["containers"]
        assert container["envFrom"] == [{"configMapRef": {"name": settings["metadata"]["name"]}}]
        told.append(settings["data"])
    assert told[0] == told[1]
    assert told[0]["BURSAR_PUBLIC_URL"] == "https://bursar.example.edu"


def pods() -> Iterator[tuple[str, dict[str, Any]]]:
    for directory in KUSTOMIZATIONS:
        for path in sorted((ROOT / directory).glob("*.yaml")):
            for each in documents(path):
                if each["kind"] in {"Deployment", "Job"}:
                    yield each["kind"], each["spec"]["template"]["spec"]


def test_a_pod_has_no_right_that_it_does_not_need() -> None:
    assert {kind for kind, _ in pods()} == {"Deployment", "Job"}
    for _, pod in pods():
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == 10001
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in (*pod["initContainers"], *pod["containers"]):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert "memory" in container["resources"]["limits"]
        modes = [each["secret"]["defaultMode"] for each in pod["volumes"] if "secret" in each]
        assert modes == [0o400, 0o400]


def test_keys_that_a_secret_holds_come_to_where_bursar_reads_them(tmp_path: Path) -> None:
    for _, pod in pods():
        (copier,) = pod["initContainers"]
        shell, option, script = copier["command"]
        for kept in ("keys", "data"):
            (tmp_path / kept).mkdir(exist_ok=True)
        for name in ("master.key", "log.key", "seal.key", "seal.keys"):
            (tmp_path / "keys" / name).write_text(name)
        (tmp_path / "keys" / "..data").write_text("of Kubernetes")
        assert {"name": "keys", "mountPath": "/keys", "readOnly": True} in pod["containers"][0][
            "volumeMounts"
        ]
        here = re.sub(r"(?<=\s)/(keys|data)/", rf"{tmp_path}/\1/", script)
        for _ in range(2):  # a pod that starts again finds the files of the last time
            assert run(shell, option, here).returncode == 0
        found = {each.name: where_it_lies(each) for each in (tmp_path / "data").iterdir()}
        names = ("master.key", "log.key", "seal.key", "seal.keys")
        assert found == {name: tmp_path / "keys" / name for name in names}


def test_kubernetes_waits_longer_than_a_gateway_takes_to_leave() -> None:
    (pod,) = (pod for kind, pod in pods() if kind == "Deployment")
    given = {each["name"]: each.get("value") for each in pod["containers"][0]["env"]}
    assert pod["terminationGracePeriodSeconds"] >= float(given["BURSAR_SHUTDOWN_GRACE_S"]) + 35 + 10
    bursar = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["x-bursar"]
    grace_s = float(bursar["environment"]["BURSAR_SHUTDOWN_GRACE_S"])
    assert float(bursar["stop_grace_period"].removesuffix("s")) >= grace_s + 35 + 10


def test_the_probes_ask_paths_that_there_are() -> None:
    (pod,) = (pod for kind, pod in pods() if kind == "Deployment")
    (container,) = pod["containers"]
    assert container["livenessProbe"]["httpGet"]["path"] == "/livez"
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert container["ports"][0]["containerPort"] == 8080


def test_shellcheck_has_nothing_to_say_about_any_script() -> None:
    texts = committed_texts()
    scripts = [str(path) for path in committed_modes() if re.match(r"#!.*\b(?:ba)?sh\n", texts.get(path, ""))]
    assert {"dev", "deploy/backup.sh", "deploy/restore.sh", "deploy/postgres/roles.sh"} <= set(scripts)
    done = run(program("shellcheck"), *scripts)
    assert done.returncode == 0, done.stdout
