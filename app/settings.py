"""Everything that an operator may set, from `BURSAR_*` variables or from the YAML file in `BURSAR_CONFIG`.

A variable goes before the file. Unknown names are refused, since a misspelt setting that is ignored is
found out too late; so are secrets that are still the placeholder of some example.
"""

import difflib
import hashlib
import ipaddress
import json
import os
import re
import sys
from collections.abc import Iterable, Mapping
from math import ceil
from pathlib import Path
from typing import Annotated, Final, Literal, Self
from urllib.parse import parse_qsl, urlsplit

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from app.errors import BadSetting

PREFIX: Final = "BURSAR_"
CONFIG_NAME: Final = "BURSAR_CONFIG"

# What Kubernetes sets in every container of a namespace with a service called bursar or bursar-<something>:
# https://kubernetes.io/docs/concepts/services-networking/service/ (environment variables), 2026-11.
_SERVICE_LINK: Final = re.compile(
    r"BURSAR_(?:[A-Z0-9_]+_)?(?:SERVICE_HOST|SERVICE_PORT(?:_[A-Z0-9_]+)?"
    r"|PORT_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)"
)
_SERVICE_ADDRESS: Final = re.compile(r"(?:tcp|udp|sctp)://\S+")
REUSE_STEPS: Final = frozenset({"full-pages", "wide-fields", "containment", "records"})
"""What can be left out of reuse."""
ROLES: Final = frozenset({"researcher", "lead", "quota_admin", "admin", "compliance"})
"""Roles that groups may stand for; a test holds them to those that there are."""
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_ADDRESS: Final = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,255}")
_PLACEHOLDER: Final = re.compile(
    r"(?:change[-_ ]?(?:me|it|this)|replace[-_ ]?me|your[-_ ].*|<.*>|\$\{.*|x{3,}|\*+|\.{3}|todo|tbd|example"
    r"|placeholder|password|passwd|secret|insert.*here)\d*!?",
    re.IGNORECASE,
)


def is_placeholder(secret: str) -> bool:
    """Whether this stands where a secret belongs, such as `changeme` or `<your secret>`."""
    return _PLACEHOLDER.fullmatch(secret.strip()) is not None


class Settings(BaseSettings):
    """The settings of one process; made by `load_settings` alone, and never changed."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", validate_default=False)

    data_dir: Path = Field(
        default=Path("data"),
        description="Directory for the embedded database and the key files; mode 0700.",
    )
    database_url: str = Field(
        default="",
        repr=False,
        description="Where everything is kept: `sqlite+aiosqlite:///...` or `postgresql+asyncpg://...`. "
        "Default: `bursar.db` in the data directory.",
    )
    migration_database_url: str | None = Field(
        default=None,
        repr=False,
        description="The same database with the owner's role, for `bursar init` and `bursar migrate` alone.",
    )
    synchronous_commit: Literal["on", "remote_apply"] = Field(
        default="on",
        description="How PostgreSQL commits: `on`, or `remote_apply` to wait for a standby as well, without which a "
        "failover can lose entries. The server must have one in `synchronous_standby_names` then.",
    )
    redis_url: str | None = Field(
        default=None,
        repr=False,
        description="Redis or Valkey, `redis://...`; without it short limits are counted in the process, "
        "which allows one worker.",
    )
    upstream_proxy: str | None = Field(
        default=None,
        repr=False,
        description="Proxy for calls to the platform, `http://...`; no other proxy variable is honoured.",
    )
    upstream_ca_file: Path | None = Field(
        default=None,
        description="PEM file of authorities for the platform's certificate instead of certifi's.",
    )
    upstream_connect_timeout_s: Annotated[float, Field(gt=0, le=60)] = Field(
        default=3.0, description="Seconds to wait for a connection to the platform."
    )
    upstream_read_timeout_s: Annotated[float, Field(gt=0, le=3600)] = Field(
        default=60.0, description="Seconds to wait for an answer of the platform."
    )
    upstream_video_query_timeout_s: Annotated[float, Field(gt=0, le=3600)] = Field(
        default=250.0,
        description="Seconds to wait for an answer to a video query, which the platform cuts off after about "
        "four minutes and charges all the same.",
    )
    upstream_calls_per_second: Annotated[float, Field(ge=0, le=1_000)] | None = Field(
        default=None,
        description="Calls a second sent to the platform with one credential; more wait in line. Default: 5, and "
        "no bound for a stand-in on this machine. 0: no line, and no pause when the platform asks for one.",
    )
    upstream_longest_wait_s: Annotated[float, Field(ge=0, le=60)] = Field(
        default=5.0,
        description="Seconds that a call may wait in that line; when it would be longer, it is turned down with "
        "429 `rate_limit_exceeded`, and nothing is spent.",
    )
    lease_margin_s: Annotated[float, Field(ge=1, le=3600)] = Field(
        default=30.0,
        description="Seconds that a reservation outlives the read timeout; then its owner counts as dead.",
    )
    clock_offset_s: float = Field(
        default=0.0,
        description="Seconds added to the clock, for tests; refused unless every credential's host is loopback.",
    )
    master_key_file: Path | None = Field(
        default=None,
        description="File of the master key, mode 0400. Default: `master.key` in the data directory.",
    )
    public_url: str = Field(
        default="http://127.0.0.1:8080",
        description="How people reach Bursar, for links in messages and in the console.",
    )
    trusted_proxies: str = Field(
        default="",
        description="Addresses or networks of the front servers, separated by commas, whose `X-Forwarded-For` "
        "and `X-Forwarded-Proto` are believed; nobody else's are.",
    )
    webhook_url: str | None = Field(
        default=None,
        repr=False,
        description="Where notices are posted, signed (Standard Webhooks): `https://...`, or http on loopback.",
    )
    webhook_secret_file: Path | None = Field(
        default=None,
        description="File of the secret that notices to the webhook are signed with: `whsec_...`, mode 0400.",
    )
    smtp_url: str | None = Field(
        default=None,
        repr=False,
        description="Server for notices by mail: `smtps://user@host`, or `smtp://user@host:587` with STARTTLS, "
        "which `?starttls=no` does without, and loopback too.",
    )
    smtp_password_file: Path | None = Field(
        default=None, description="File of the password of the user in `BURSAR_SMTP_URL`, mode 0400."
    )
    mail_from: str | None = Field(default=None, description="Address that notices by mail come from.")
    anchor_dir: Path | None = Field(
        default=None,
        description="Directory outside, best on another machine or write-once, in which signed checkpoints of the log "
        "are left, one a file. At start the log is compared with them.",
    )
    anchor_interval_s: Annotated[float, Field(ge=1, le=86_400)] = Field(
        default=900.0,
        description="Seconds between two checkpoints that are left there, and sent by webhook.",
    )
    notice_ca_file: Path | None = Field(
        default=None,
        description="PEM file of authorities for the webhook's and the mail server's certificates instead of "
        "the system's.",
    )
    oidc_issuer: str | None = Field(
        default=None,
        description="Identity provider of the institution (OpenID Connect), `https://...`, as it calls itself; people "
        "then sign in to the console there.",
    )
    oidc_client_id: str | None = Field(default=None, description="What the provider calls Bursar.")
    oidc_client_secret_file: Path | None = Field(
        default=None,
        description="File of the secret that the provider gave Bursar, mode 0400; none for a public client.",
    )
    oidc_ca_file: Path | None = Field(
        default=None,
        description="PEM file of authorities for the provider's certificate instead of the system's.",
    )
    oidc_scope: str = Field(default="openid email", description="Scopes asked for, with blanks between.")
    oidc_join_by_email: bool = Field(
        default=True,
        description="Whether a first sign-in joins the person here who has the address that the provider says is "
        "verified; otherwise an administrator links each account.",
    )
    oidc_roles_claim: str | None = Field(
        default=None,
        description="Claim of the ID token that lists somebody's groups, such as `groups` or `realm_access.roles`.",
    )
    oidc_roles: str = Field(
        default="",
        description="Roles that groups stand for, `group=role` with commas between: given and taken at each sign-in. "
        "Other roles stay as they were given by hand.",
    )
    log_format: Literal["console", "json"] = Field(
        default="console", description="Form of the log lines on standard error."
    )
    traces_url: str | None = Field(
        default=None,
        repr=False,
        description="Where OpenTelemetry spans of each request's steps are sent, OTLP over HTTP: "
        "`http://collector:4318/v1/traces`. Needs the packages of requirements-traces.lock.",
    )
    traces_share: Annotated[float, Field(ge=0, le=1)] = Field(
        default=1.0, description="Share of the requests whose spans are sent."
    )
    refusal_delay: bool = Field(
        default=True,
        description="Whether refusals that repeat are answered late, so that a looping script does no harm.",
    )
    shutdown_grace_s: Annotated[float, Field(ge=0, le=60)] = Field(
        default=3.0,
        description="Seconds after SIGTERM for which requests are still taken, on connections that then close, while "
        "`/readyz` says no: time for a front server to turn elsewhere.",
    )
    heartbeat_s: Annotated[int, Field(ge=1, le=3_600)] = Field(
        default=10,
        description="Seconds after which the deployment writes a heartbeat into the log, so that a quiet time can "
        "be told from a missing one.",
    )
    disk_warn_percent: Annotated[int, Field(ge=1, le=100)] = Field(
        default=80,
        description="Percent of the embedded database's disk in use from which on `bursar doctor`, the metrics and a "
        "log line warn.",
    )
    disk_refuse_percent: Annotated[int, Field(ge=1, le=100)] = Field(
        default=95, description="Percent in use from which on nothing new is sent to the platform."
    )
    rejects_per_second: Annotated[int, Field(ge=0, le=100_000)] = Field(
        default=10,
        description="Refused requests of unknown senders a second, from one address, that each have an entry of their "
        "own in the log; more share one that counts them. 0: each has its own, however many come.",
    )
    failed_sign_ins_per_minute: Annotated[int, Field(ge=0, le=100_000)] = Field(
        default=10,
        description="Failed attempts a minute, from one address with one key, after which further ones are turned "
        "down with 429 unseen, for longer each time. 0: no bound.",
    )
    two_person_control: bool = Field(
        default=False,
        description="Whether raising a credential's limit or roster waits until a second administrator confirms "
        "it (`bursar proposal`).",
    )
    page_ttl_s: Annotated[int, Field(ge=0, le=2_592_000)] = Field(
        default=86_400,
        description="Seconds for which a held answer is served again; never longer than the terms' interval "
        "for refreshing data, 15 days unless another is stated (`docs/rules.md`).",
    )
    moving_page_ttl_s: Annotated[int, Field(ge=0, le=2_592_000)] = Field(
        default=21_600,
        description="The same for what moves: profiles, and questions whose last day was less than three days ago when "
        "they were asked. The shorter of the two counts; a project may have times of its own.",
    )
    search_ttl_s: Annotated[int, Field(ge=60, le=1_296_000)] = Field(
        default=86_400,
        description="Seconds after the last page of a search for which the platform is asked to go on with it; "
        "then it is begun anew where somebody goes on.",
    )
    reuse_without: str = Field(
        default="",
        description="Steps of reuse to leave out, with commas between: `full-pages` (fetch whole pages and cut what "
        "is asked for out of them), `wide-fields` (fetch approved fields that have come before, too), "
        "`containment` (answer a search out of a wider one that is held in full), `records` (answer a look-up of "
        "videos by their ids out of the records of any search). A project may leave out more.",
    )
    max_held_memory_bytes: Annotated[int, Field(ge=0)] = Field(
        default=64 * 1024 * 1024, description="Bytes of held answers that each process keeps at hand."
    )
    max_held_database_bytes: Annotated[int, Field(ge=0)] = Field(
        default=2 * 1024 * 1024 * 1024,
        description="Bytes that held answers may take in the database, about. Above it those go that are past their time, "
        "then the oldest, but none of the last hour. 0: no bound.",
    )

    @classmethod
    def settings_customise_sources(  # noqa: D102 - pydantic-settings' own hook
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        # load_settings alone reads the environment, so that unknown names cannot slip by.
        return (init_settings,)

    @field_validator(
        "migration_database_url",
        "redis_url",
        "upstream_proxy",
        "upstream_ca_file",
        "upstream_calls_per_second",
        "webhook_url",
        "webhook_secret_file",
        "smtp_url",
        "smtp_password_file",
        "mail_from",
        "notice_ca_file",
        "anchor_dir",
        "traces_url",
        "oidc_issuer",
        "oidc_client_id",
        "oidc_client_secret_file",
        "oidc_ca_file",
        "oidc_roles_claim",
        mode="before",
    )
    @classmethod
    def _empty_is_none(cls, value: object) -> object:
        return None if value == "" else value

    @field_validator("database_url", "migration_database_url", "redis_url", "upstream_proxy")
    @classmethod
    def _no_placeholder(cls, value: str | None) -> str | None:
        try:
            password = urlsplit(value or "").password
        except ValueError as error:
            raise ValueError("is not a URL") from error
        if password is not None and is_placeholder(password):
            raise ValueError("still has a placeholder for its password; put the real one there")
        return value

    @field_validator("public_url")
    @classmethod
    def _is_web_address(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("must be an http or https address, such as https://bursar.example.edu")
        return value.rstrip("/")

    @field_validator("webhook_url")
    @classmethod
    def _is_safe_to_post_to(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            parts = urlsplit(value)
            is_named = bool(parts.hostname) and (parts.port or 1) > 0
        except ValueError as error:
            raise ValueError("is not a URL") from error
        is_safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
        if not is_named or not is_safe or parts.username is not None or parts.fragment:
            raise ValueError("must be an https address, or http on loopback, without a user or a fragment")
        return value

    @field_validator("traces_url")
    @classmethod
    def _is_where_spans_go(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            parts = urlsplit(value)
            is_named = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
        except ValueError as error:
            raise ValueError("is not a URL") from error
        if not is_named or parts.username is not None or parts.query or parts.fragment:
            raise ValueError(
                "must be an http or https address without a user, such as http://collector:4318/v1/traces"
            )
        return value

    @field_validator("oidc_issuer")
    @classmethod
    def _is_an_issuer(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        is_safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
        if not is_safe or not parts.hostname or parts.username is not None or parts.query or parts.fragment:
            raise ValueError(
                "must be an https address, or http on loopback, without a user, query or fragment"
            )
        return value

    @field_validator("oidc_scope")
    @classmethod
    def _asks_who_it_is(cls, value: str) -> str:
        if "openid" not in value.split():
            raise ValueError("must contain openid")
        return " ".join(value.split())

    @field_validator("oidc_roles")
    @classmethod
    def _give_roles(cls, value: str) -> str:
        for each in filter(None, (one.strip() for one in value.split(","))):
            group, _, role = each.rpartition("=")
            if not group.strip() or role.strip() not in ROLES:
                raise ValueError(f"must list group=role, with roles among {', '.join(sorted(ROLES))}")
        return value

    @field_validator("mail_from")
    @classmethod
    def _is_address(cls, value: str | None) -> str | None:
        if value is not None and _ADDRESS.fullmatch(value) is None:
            raise ValueError("must be an e-mail address, such as bursar@example.edu")
        return value

    @field_validator("reuse_without")
    @classmethod
    def _are_steps(cls, value: str) -> str:
        steps = {each.strip() for each in value.split(",")} - {""}
        if not steps <= REUSE_STEPS:
            raise ValueError(f"must list steps of reuse: {', '.join(sorted(REUSE_STEPS))}")
        return ",".join(sorted(steps))

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, value: str) -> str:
        try:
            networks = [ipaddress.ip_network(each.strip()) for each in value.split(",") if each.strip()]
        except ValueError as error:
            raise ValueError(
                "must list addresses or networks, such as 127.0.0.1,10.0.0.0/24 (no names, and no *)"
            ) from error
        if any(each.prefixlen == 0 for each in networks):
            raise ValueError("would believe everybody; list the front servers alone")
        return ",".join(str(each.network_address if each.num_addresses == 1 else each) for each in networks)

    @model_validator(mode="after")
    def _channels_are_whole(self) -> Self:
        if (self.webhook_url is None) != (self.webhook_secret_file is None):
            raise ValueError("a webhook needs both BURSAR_WEBHOOK_URL and BURSAR_WEBHOOK_SECRET_FILE")
        if (self.smtp_url is None) != (self.mail_from is None):
            raise ValueError("mail needs both BURSAR_SMTP_URL and BURSAR_MAIL_FROM")
        return self

    @model_validator(mode="after")
    def _sign_in_is_whole(self) -> Self:
        if (self.oidc_issuer is None) != (self.oidc_client_id is None):
            raise ValueError("sign-in needs both BURSAR_OIDC_ISSUER and BURSAR_OIDC_CLIENT_ID")
        if self.role_of_group and self.oidc_roles_claim is None:
            raise ValueError("BURSAR_OIDC_ROLES needs BURSAR_OIDC_ROLES_CLAIM, which says where groups are")
        return self

    @model_validator(mode="after")
    def _in_data_dir(self) -> Self:
        # The model is frozen for everybody else.
        data_dir = self.data_dir.expanduser().absolute()
        derived: dict[str, object] = {"data_dir": data_dir}
        if not self.database_url:
            derived["database_url"] = f"sqlite+aiosqlite:///{data_dir / 'bursar.db'}"
        if self.master_key_file is None:
            derived["master_key_file"] = data_dir / "master.key"
        self.__dict__.update(derived)
        return self

    @property
    def digest(self) -> str:
        """SHA-256 of every setting, in hex: alike on all replicas that are set alike. No secret goes into it.

        Of an address that may hold a password only what stands behind it does.
        """
        plain = {
            name: _without_secret(value) if not field.repr and isinstance(value, str) else str(value)
            for name, field in type(self).model_fields.items()
            if (value := getattr(self, name)) is not None
        }
        return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()

    @property
    def fetches_full_pages(self) -> bool:
        """Whether whole pages are fetched and cut; what is not held at all cannot be."""
        return self.page_ttl_s > 0 and "full-pages" not in self.reuse_without.split(",")

    @property
    def role_of_group(self) -> Mapping[str, str]:
        """Which role each of the provider's groups stands for."""
        pairs = (each.rpartition("=") for each in self.oidc_roles.split(",") if each.strip())
        return {group.strip(): role.strip() for group, _, role in pairs}

    @property
    def master_key_path(self) -> Path:
        """The file of the master key, with the default filled in."""
        return self.master_key_file or self.data_dir / "master.key"

    @property
    def seal_key_path(self) -> Path:
        """The file of the key that wraps those of sealed questions; it is replaced when one is destroyed."""
        return self.data_dir / "seal.key"

    @property
    def log_key_path(self) -> Path:
        """The file of the key that signs checkpoints of the log."""
        return self.data_dir / "log.key"

    @property
    def longest_lease_s(self) -> int:
        """For how long a call may be under way before it counts as lost, at most."""
        reading_s = max(self.upstream_read_timeout_s, self.upstream_video_query_timeout_s)
        return ceil(reading_s + self.lease_margin_s + self.upstream_longest_wait_s)

    @property
    def owner_database_url(self) -> str:
        """The database as `init` and `migrate` open it."""
        return self.migration_database_url or self.database_url


def _holds_password(value: object) -> bool:
    """Whether it is an address with a password, as a user's or in its query."""
    if not isinstance(value, str):
        return False
    try:
        parts = urlsplit(value)
        return parts.password is not None or any(name == "password" for name, _ in parse_qsl(parts.query))
    except ValueError:
        return False


def _without_secret(url: str) -> str:
    """Scheme, host, port and path: neither a user's password nor what a query may carry."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """The settings in `environ` (this process's by default) and in the file that it names.

    Raises BadSetting on an unknown name (with the nearest known one), a value that does not hold, or a
    placeholder where a secret belongs; no message repeats a value that may be secret.
    """
    environ = os.environ if environ is None else environ
    values = _from_file(environ.get(CONFIG_NAME, ""))
    values |= _from_environ(environ)
    try:
        return Settings(**values)  # type: ignore[arg-type]
    except ValidationError as error:
        raise BadSetting(_explain(error)) from None


def file_with_password(environ: Mapping[str, str] | None = None) -> Path | None:
    """The file that `environ` names (this process's by default), if a password stands in it. Raises BadSetting."""
    path = (os.environ if environ is None else environ).get(CONFIG_NAME, "")
    return Path(path) if any(_holds_password(each) for each in _from_file(path).values()) else None


def _from_environ(environ: Mapping[str, str]) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, value in environ.items():
        if not name.startswith(PREFIX) or name == CONFIG_NAME or _is_of_kubernetes(name, value):
            continue
        field = name.removeprefix(PREFIX).lower()
        if field not in Settings.model_fields or name != name.upper():
            known = [PREFIX + each.upper() for each in Settings.model_fields]
            raise BadSetting(f"{name} is no setting{_nearest(name.upper(), known)}")
        found[field] = value
    return found


def _is_of_kubernetes(name: str, value: str) -> bool:
    if name.endswith("_PORT") and _SERVICE_ADDRESS.fullmatch(value):
        return True
    return _SERVICE_LINK.fullmatch(name) is not None


def _from_file(path: str) -> dict[str, object]:
    if not path:
        return {}
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise BadSetting(f"The file in {CONFIG_NAME}, {path}, cannot be read: {error}.") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = "" if mark is None else f" at line {mark.line + 1}"
        raise BadSetting(f"The file in {CONFIG_NAME}, {path}, is no YAML{where}.") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise BadSetting(f"The file in {CONFIG_NAME}, {path}, must hold `name: value` lines.")
    for name in content:
        if name not in Settings.model_fields:
            raise BadSetting(f"{name} in {path} is no setting{_nearest(str(name), Settings.model_fields)}")
    return content


def _nearest(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.0)
    return f"; did you mean {close[0]}?" if close else "."


def _explain(error: ValidationError) -> str:
    first = error.errors(include_input=False, include_url=False)[0]
    name = PREFIX + str(first["loc"][0]).upper() if first["loc"] else "A setting"
    said = first["msg"].removeprefix("Value error, ")
    return f"{name}: {said[0].lower()}{said[1:]}."


def settings_table() -> str:
    """Every setting with its default, as a Markdown table for the README."""
    rows = ["| setting | default | |", "| --- | --- | --- |"]
    for name, field in Settings.model_fields.items():
        default = field.default
        shown = (
            ""
            if default in {None, ""}
            else f"`{str(default).lower() if isinstance(default, bool) else default}`"
        )
        rows.append(f"| `{PREFIX}{name.upper()}` | {shown} | {field.description} |")
    return "\n".join(rows)


if __name__ == "__main__":
    sys.stdout.write(settings_table() + "\n")
