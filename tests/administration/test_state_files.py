from collections.abc import Callable
from pathlib import Path

import pytest

from app.administration.desired import parse_state_file
from app.administration.wanted import read_state_file
from app.errors import InvalidParams
from tests.administration.conftest import Office
from tests.administration.scene import CANARY, Scene

PROJECT = (
    "projects:\n- {name: e, credential: m, approval: {reference: R, from: 2026-01-01, until: 2027-01-01}"
)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("peple: []", "peple: this key is not known"),
        ("people: [{email: ada, name: Ada}]", r"people\[0\] \(ada\).email: 'ada' is not an e-mail address"),
        (
            "people: [{email: ada@example.edu, name: Ada, rolls: []}]",
            r"people\[0\] \(ada@example.edu\).rolls: this key is not known",
        ),
        (
            "people: [{email: ada@example.edu, name: Ada, roles: [king]}]",
            r"roles\[0\]: input should be 'researcher'",
        ),
        (
            "people: [{email: Ada@example.edu, name: A}, {email: ada@EXAMPLE.edu, name: B}]",
            "people: ada@example.edu stands there twice",
        ),
        ("projects: [{name: e}]", r"projects\[0\] \(e\).credential: field required"),
        (PROJECT + ", limits: {request/day: 3}}", r"projects\[0\] \(e\).limits: 'request/day' is no limit"),
        (PROJECT + ", limits: {requests/day: many}}", "limits: requests/day must be a whole number"),
        (PROJECT + ", limits: {requests/day: true}}", "limits: requests/day must be a whole number"),
        (PROJECT + ", limits: {requests/day: -1}}", "limits: requests/day must be a whole number"),
        (
            PROJECT + ", lead: ada@example.edu}",
            r"projects\[0\] \(e\): the lead, ada@example.edu, must be one of",
        ),
        (PROJECT + ", members: [a@b.c, A@b.c]}", "members of project e: a@b.c stands there twice"),
        (PROJECT + ", allow: {endpoints: [video/qery]}}", "allow.endpoints: video/qery is no endpoint"),
        (PROJECT + ", allow: {fields: {user/info: [shoe_size]}}}", "shoe_size is no field of user/info"),
        (PROJECT + ", allow: {conditions: {country: [US]}}}", "country is no condition"),
        (
            PROJECT + ", allow: {dates: {from: 2026-02-01, until: 2026-01-31}}}",
            "allow.dates: until lies before from",
        ),
        (
            PROJECT + ", allow: {max_span_days: 31}}",
            "allow.max_span_days: input should be less than or equal to 30",
        ),
        ("rules: {roster: warn}", "rules: roster is no rule; rules are .*approval-in-force/1"),
        ("rules: {date-span/2: warn}", "rules: date-span/2 is no rule"),
        ("rules: {date-span/1: off}", "rules.date-span/1: input should be 'enforce', 'warn' or 'shadow'"),
        ("rules: {date-span/1: warn, date-span: shadow}", "rules: date-span/1 stands there twice"),
        (
            "values: {pi: []}",
            "values: pi is no value that can be stated; such values are refresh_interval_days",
        ),
        (
            "values: {roster_people: [{from: 2026-01-01, value: 20, source: FAQ}]}",
            "values: roster_people is no value that can be stated",
        ),
        (
            "values: {refresh_interval_days: [{from: 2026-01-01, value: 0, source: x}]}",
            "greater than or equal to 1",
        ),
        ("values: {refresh_interval_days: [{from: 2026-01-01, value: 7}]}", "source: field required"),
        (PROJECT + ", cache_scope: world}", r"projects\[0\] \(e\).cache_scope"),
        (
            "projects: [{name: e, credential: m, approval: {reference: R, from: 2027-01-01, until: 2026-01-01}}]",
            r"projects\[0\] \(e\).approval: until lies before from",
        ),
        (
            "credentials: [{name: m, base_url: 'http://open.tiktokapis.com', client_key: k, client_secret_file: f}]",
            r"credentials\[0\] \(m\).base_url: must be https",
        ),
        (
            "credentials: [{name: m, base_url: 'https://h/path', client_key: k, client_secret_file: f}]",
            r"credentials\[0\] \(m\).base_url: must be scheme and host alone",
        ),
        (
            "credentials: [{name: m, client_key: k}]",
            r"credentials\[0\] \(m\): give either client_secret_file or",
        ),
        (
            "credentials: [{name: m, client_key: k, client_secret_file: f, roster_limit: 11}]",
            r"credentials\[0\] \(m\): a roster_limit above 10 needs permission",
        ),
        ("people:\n- {email: a@b.c, name: A, name: B}", "line 2, column 27: .*written twice"),
        ("people: [", "line 1, column 10: this is no YAML"),
        ("- a\n- b", "sections credentials, terms, people, projects, rules and values"),
        ("terms: [{version: 2024.1, title: T, text_file: f, in_force_from: 2024-01-01}]", "put it in quotes"),
    ],
)
def test_a_mistake_is_refused_and_its_place_named(text: str, place: str) -> None:
    with pytest.raises(InvalidParams, match=place):
        parse_state_file(text)


def test_norway_and_on_are_words_and_not_booleans() -> None:
    file = parse_state_file(
        PROJECT + ", allow: {conditions: {region_code: [NO, US], music_id: [7612345678901]}}}"
    )
    assert file.projects is not None
    conditions = file.projects[0].allow.as_stored()["conditions"]
    assert conditions == {"region_code": ["NO", "US"], "music_id": ["7612345678901"]}


def test_loopback_may_be_plain_http() -> None:
    for host in ("http://127.0.0.1:8081", "http://[::1]:8081", "http://localhost:8081/"):
        text = f"credentials: [{{name: m, base_url: '{host}', client_key: k, client_secret_file: f}}]"
        file = parse_state_file(text)
        assert file.credentials is not None
        assert file.credentials[0].base_url == host.rstrip("/")


@pytest.mark.parametrize(
    ("spoil", "place"),
    [
        (
            lambda at: (at / "secrets" / "tiktok").unlink(),
            r"credentials \(main\).client_secret_file: the file secrets",
        ),
        (
            lambda at: (at / "secrets" / "tiktok").write_text(" \n"),
            "client_secret_file: this is empty or a placeh",
        ),
        (
            lambda at: (at / "secrets" / "tiktok").write_text("changeme"),
            "client_secret_file: this is empty or a pl",
        ),
        (
            lambda at: (at / "secrets" / "tiktok").write_text("a\nb"),
            "client_secret_file: a secret is one line",
        ),
        (
            lambda at: (at / "secrets" / "tiktok").write_bytes(b"\xff\xfe"),
            "client_secret_file: this file is not UTF-8",
        ),
        (
            lambda at: (at / "terms-2024-10.md").unlink(),
            r"terms \(2024-10\).text_file: the file terms-2024-10.md",
        ),
        (
            lambda at: (at / "terms-2024-10.md").write_text(""),
            r"terms \(2024-10\).text_file: this file is empty",
        ),
        (
            lambda at: (at / "ada.pdf").unlink(),
            r"people \(ada@example.edu\).accepted \(2024-10\).evidence_file: the file ada.pdf",
        ),
        (lambda at: (at / "bursar.yaml").unlink(), "cannot be read"),
    ],
)
def test_a_file_that_is_pointed_at_and_not_there_is_named(
    scene: Scene, spoil: Callable[[Path], object], place: str
) -> None:
    spoil(scene.directory)
    with pytest.raises(InvalidParams, match=place) as refused:
        read_state_file(scene.path, {})
    assert CANARY not in refused.value.message


def test_a_variable_that_is_not_set_is_named(scene: Scene) -> None:
    scene.edit("client_secret_file: secrets/tiktok", "client_secret_env: NOBODY_SET_THIS")
    with pytest.raises(InvalidParams, match="client_secret_env: the variable NOBODY_SET_THIS is not set"):
        read_state_file(scene.path, {})


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        (
            "members: [ada@",
            "members: [bob@example.edu, ada@",
            r"projects \(elections\).members \(bob@example.edu\)",
        ),
        (
            "credential: main\n",
            "credential: mian\n",
            r"projects \(elections\).credential: there is no credential mian",
        ),
        (
            'accepted: [{version: "2024-10"',
            'accepted: [{version: "2023"',
            r"accepted \(2023\): there are no terms",
        ),
        ("on: 2026-02-01", "on: 2099-02-01", r"accepted \(2024-10\).on: 2099-02-01 has not come yet"),
    ],
)
async def test_what_points_at_nothing_is_refused_and_nothing_changes(
    office: Office, old: str, new: str, place: str
) -> None:
    office.scene.edit(old, new)
    with pytest.raises(InvalidParams, match=place):
        await office.apply()
    assert (await office.registry.state()).credentials == ()


def test_a_secret_in_the_clear_is_not_shown_by_repr(scene: Scene) -> None:
    wanted = read_state_file(scene.path, {})
    assert CANARY not in repr(wanted)
    assert wanted.credentials is not None
    assert wanted.credentials[0].client_secret == CANARY
