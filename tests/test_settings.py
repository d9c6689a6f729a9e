from pathlib import Path
from typing import get_args

import pytest

from app.administration.desired import ReuseStep
from app.cache.shelf import Step
from app.errors import BadSetting
from app.identity.roles import Role
from app.settings import REUSE_STEPS, ROLES, Settings, file_with_password, is_placeholder, load_settings


def config_file(directory: Path, text: str) -> Path:
    path = directory / "bursar.yaml"
    path.write_text(text)
    return path


def test_without_any_setting_everything_lives_in_the_data_directory() -> None:
    settings = load_settings({})
    data = Path.cwd() / "data"
    assert settings.data_dir == data
    assert settings.database_url == f"sqlite+aiosqlite:///{data}/bursar.db"
    assert settings.owner_database_url == settings.database_url
    assert settings.master_key_path == data / "master.key"
    assert settings.lease_margin_s == 30
    assert settings.upstream_video_query_timeout_s == 250
    assert settings.redis_url is None


def test_variables_are_read_in_their_types() -> None:
    settings = load_settings(
        {
            "BURSAR_DATA_DIR": "/srv/bursar",
            "BURSAR_REFUSAL_DELAY": "false",
            "BURSAR_CLOCK_OFFSET_S": "-86400",
            "BURSAR_REDIS_URL": "",
            "BURSAR_PUBLIC_URL": "https://bursar.example.edu/",
            "BURSAR_MASTER_KEY_FILE": "/run/secrets/master.key",
        }
    )
    assert settings.database_url == "sqlite+aiosqlite:////srv/bursar/bursar.db"
    assert settings.refusal_delay is False
    assert settings.clock_offset_s == -86400
    assert settings.redis_url is None
    assert settings.public_url == "https://bursar.example.edu"
    assert settings.master_key_path == Path("/run/secrets/master.key")


def test_a_variable_goes_before_the_file(tmp_path: Path) -> None:
    path = config_file(tmp_path, "page_ttl_s: 60\nsearch_ttl_s: 120\n")
    settings = load_settings({"BURSAR_CONFIG": str(path), "BURSAR_PAGE_TTL_S": "90"})
    assert (settings.page_ttl_s, settings.search_ttl_s) == (90, 120)


def test_an_unknown_variable_is_refused_with_the_nearest_known_one() -> None:
    with pytest.raises(
        BadSetting, match=r"BURSAR_DATABSE_URL is no setting; did you mean BURSAR_DATABASE_URL\?"
    ):
        load_settings({"BURSAR_DATABSE_URL": "sqlite+aiosqlite:///x.db"})


def test_a_variable_in_lower_case_is_refused_rather_than_ignored() -> None:
    with pytest.raises(BadSetting, match=r"did you mean BURSAR_REDIS_URL\?"):
        load_settings({"BURSAR_redis_url": "redis://127.0.0.1"})


def test_an_unknown_name_in_the_file_is_refused_with_the_nearest_known_one(tmp_path: Path) -> None:
    path = config_file(tmp_path, "page_tll_s: 60\n")
    with pytest.raises(BadSetting, match=r"page_tll_s in .* is no setting; did you mean page_ttl_s\?"):
        load_settings({"BURSAR_CONFIG": str(path)})


@pytest.mark.parametrize("text", ["a: [", "- just\n- a list", "text"])
def test_a_file_of_another_form_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(BadSetting, match="BURSAR_CONFIG"):
        load_settings({"BURSAR_CONFIG": str(config_file(tmp_path, text))})


def test_a_file_that_is_not_there_is_refused() -> None:
    with pytest.raises(BadSetting, match="cannot be read"):
        load_settings({"BURSAR_CONFIG": "/nonexistent/bursar.yaml"})


def test_an_empty_file_sets_nothing(tmp_path: Path) -> None:
    settings = load_settings({"BURSAR_CONFIG": str(config_file(tmp_path, ""))})
    assert settings == load_settings({})


def test_what_kubernetes_injects_for_a_service_called_bursar_is_ignored() -> None:
    injected = {
        "BURSAR_SERVICE_HOST": "10.0.0.11",
        "BURSAR_SERVICE_PORT": "8080",
        "BURSAR_SERVICE_PORT_HTTP": "8080",
        "BURSAR_PORT": "tcp://10.0.0.11:8080",
        "BURSAR_PORT_8080_TCP": "tcp://10.0.0.11:8080",
        "BURSAR_PORT_8080_TCP_PROTO": "tcp",
        "BURSAR_PORT_8080_TCP_PORT": "8080",
        "BURSAR_PORT_8080_TCP_ADDR": "10.0.0.11",
        "BURSAR_REDIS_SERVICE_HOST": "10.0.0.12",
        "BURSAR_REDIS_PORT": "tcp://10.0.0.12:6379",
    }
    assert load_settings(injected) == load_settings({})


def test_a_port_that_somebody_meant_as_a_setting_is_refused() -> None:
    with pytest.raises(BadSetting, match="BURSAR_PORT is no setting"):
        load_settings({"BURSAR_PORT": "9090"})


@pytest.mark.parametrize(
    "variable", ["BURSAR_DATABASE_URL", "BURSAR_MIGRATION_DATABASE_URL", "BURSAR_REDIS_URL"]
)
@pytest.mark.parametrize(
    "password", ["changeme", "CHANGE-ME", "<password>", "xxxx", "secret1", "your-password"]
)
def test_a_placeholder_for_a_password_is_refused(variable: str, password: str) -> None:
    with pytest.raises(BadSetting, match="placeholder") as refused:
        load_settings({variable: f"postgresql://bursar:{password}@db/bursar"})
    assert variable in refused.value.message
    assert password not in refused.value.message


@pytest.mark.parametrize("secret", ["hT4v-9s,kQ", "correct horse", "x", "passwordless-9f3b"])
def test_a_real_secret_is_no_placeholder(secret: str) -> None:
    assert not is_placeholder(secret)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("BURSAR_PAGE_TTL_S", "soon"),
        ("BURSAR_PAGE_TTL_S", "2592001"),
        ("BURSAR_LEASE_MARGIN_S", "0"),
        ("BURSAR_UPSTREAM_READ_TIMEOUT_S", "-1"),
        ("BURSAR_LOG_FORMAT", "xml"),
        ("BURSAR_PUBLIC_URL", "bursar.example.edu"),
        ("BURSAR_MAX_HELD_MEMORY_BYTES", "1.5"),
    ],
)
def test_a_value_that_does_not_hold_names_its_setting(variable: str, value: str) -> None:
    with pytest.raises(BadSetting, match=variable):
        load_settings({variable: value})


def test_no_password_is_shown_by_repr_or_by_an_error() -> None:
    canary = "hT4v9skQcanary"
    url = f"postgresql+asyncpg://bursar:{canary}@db/bursar"
    settings = load_settings({"BURSAR_DATABASE_URL": url, "BURSAR_REDIS_URL": f"redis://:{canary}@cache"})
    assert canary not in repr(settings)
    assert canary not in str(settings)
    with pytest.raises(BadSetting) as refused:
        load_settings({"BURSAR_DATABASE_URL": url, "BURSAR_PAGE_TTL_S": canary})
    assert canary not in str(refused.value)


@pytest.mark.parametrize(
    ("line", "holds"),
    [
        ("public_url: https://bursar.example.edu", False),
        ("database_url: postgresql+asyncpg://app@db/bursar", False),
        ("database_url: postgresql+asyncpg://app:s0Xq@db/bursar", True),
        ("database_url: postgresql+asyncpg://db/bursar?user=app&password=s0Xq", True),
        ("redis_url: redis://:s0Xq@redis/0", True),
        ("heartbeat_s: 5", False),
    ],
)
def test_whether_a_password_stands_in_the_file_is_known(tmp_path: Path, line: str, *, holds: bool) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text(line)
    assert file_with_password({"BURSAR_CONFIG": str(file)}) == (file if holds else None)
    assert file_with_password({"BURSAR_REDIS_URL": "redis://:s0Xq@redis/0"}) is None


def test_every_setting_is_described() -> None:
    assert all(field.description for field in Settings.model_fields.values())


def test_front_servers_are_listed_by_address_or_network() -> None:
    settings = load_settings({"BURSAR_TRUSTED_PROXIES": " 127.0.0.1, ::1,10.0.0.0/24, 192.0.2.7/32"})
    assert settings.trusted_proxies == "127.0.0.1,::1,10.0.0.0/24,192.0.2.7"
    assert load_settings({}).trusted_proxies == ""


@pytest.mark.parametrize("value", ["*", "proxy.example.edu", "0.0.0.0/0", "::/0", "10.0.0.1/24", "unix:"])
def test_a_list_of_front_servers_that_would_believe_anybody_is_refused(value: str) -> None:
    with pytest.raises(BadSetting, match="BURSAR_TRUSTED_PROXIES"):
        load_settings({"BURSAR_TRUSTED_PROXIES": value})


HOOK = {"BURSAR_WEBHOOK_SECRET_FILE": "/run/secrets/webhook"}
MAIL = {"BURSAR_MAIL_FROM": "bursar@example.edu"}


@pytest.mark.parametrize(
    "url", ["https://chat.example.edu/hook?token=t", "http://127.0.0.1:9000/", "http://localhost/hook"]
)
def test_notices_are_posted_by_https_or_on_this_machine(url: str) -> None:
    settings = load_settings({**HOOK, "BURSAR_WEBHOOK_URL": url})
    assert settings.webhook_url == url
    assert url not in repr(settings)


@pytest.mark.parametrize(
    "url",
    [
        "http://chat.example.edu/hook",
        "ftp://chat.example.edu",
        "chat.example.edu/hook",
        "https://",
        "https://user:password@chat.example.edu/hook",
        "https://chat.example.edu/hook#part",
        "https://chat.example.edu:port/hook",
        "https://[::1/hook",
    ],
)
def test_an_address_that_notices_cannot_safely_go_to_is_refused(url: str) -> None:
    with pytest.raises(BadSetting, match="BURSAR_WEBHOOK_URL") as refused:
        load_settings({**HOOK, "BURSAR_WEBHOOK_URL": url})
    assert "password" not in refused.value.message


@pytest.mark.parametrize(
    "half",
    [
        {"BURSAR_WEBHOOK_URL": "https://chat.example.edu/hook"},
        HOOK,
        {"BURSAR_SMTP_URL": "smtps://mail.example.edu"},
        MAIL,
    ],
)
def test_half_a_channel_is_refused(half: dict[str, str]) -> None:
    with pytest.raises(BadSetting, match="needs both"):
        load_settings(half)


@pytest.mark.parametrize(
    "sender", ["bursar", "bursar@", "a b@example.edu", "a@example.edu\nBcc: b@example.edu"]
)
def test_mail_comes_from_an_address(sender: str) -> None:
    with pytest.raises(BadSetting, match="BURSAR_MAIL_FROM"):
        load_settings({"BURSAR_SMTP_URL": "smtps://mail.example.edu", "BURSAR_MAIL_FROM": sender})


def test_the_digest_tells_settings_apart_and_holds_no_secret() -> None:
    def digest(**settings: str) -> str:
        return load_settings({f"BURSAR_{name}": value for name, value in settings.items()}).digest

    url = "postgresql+asyncpg://bursar:{}@db.example.edu/bursar"
    assert digest() == digest()
    assert digest(PAGE_TTL_S="61") != digest(PAGE_TTL_S="60")
    assert digest(DATABASE_URL=url.format("one")) == digest(DATABASE_URL=url.format("two"))
    assert digest(DATABASE_URL=url.format("one")) != digest(DATABASE_URL=url.format("one") + "2")


_OIDC = {"BURSAR_OIDC_ISSUER": "https://id.example.edu/realms/u", "BURSAR_OIDC_CLIENT_ID": "bursar"}


def test_groups_stand_for_roles_that_there_are() -> None:
    assert set(Role) == ROLES
    groups = {"BURSAR_OIDC_ROLES_CLAIM": "groups", "BURSAR_OIDC_ROLES": " a=b=admin, office =compliance,"}
    assert load_settings(_OIDC | groups).role_of_group == {"a=b": "admin", "office": "compliance"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"BURSAR_OIDC_ISSUER": "http://id.example.edu"},
        {"BURSAR_OIDC_ISSUER": "https://user@id.example.edu"},
        {"BURSAR_OIDC_ISSUER": "https://id.example.edu/?x=1"},
        {"BURSAR_OIDC_CLIENT_ID": ""},
        {"BURSAR_OIDC_SCOPE": "email"},
        {"BURSAR_OIDC_ROLES": "office=compliance"},
        {"BURSAR_OIDC_ROLES_CLAIM": "groups", "BURSAR_OIDC_ROLES": "office=king"},
        {"BURSAR_OIDC_ROLES_CLAIM": "groups", "BURSAR_OIDC_ROLES": "=admin"},
    ],
    ids=str,
)
def test_a_provider_that_is_not_safe_or_not_whole_is_refused(wrong: dict[str, str]) -> None:
    load_settings(_OIDC)
    with pytest.raises(BadSetting):
        load_settings(_OIDC | wrong)


def test_a_project_may_leave_out_the_steps_of_reuse_that_there_are() -> None:
    assert frozenset(get_args(ReuseStep)) == REUSE_STEPS == {each.value for each in Step}
