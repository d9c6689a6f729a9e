"""Clients that know no other address than the platform's, changed in nothing, on a campus that leads them here.

Each script runs twice, byte for byte the same: where the platform's name leads to the platform, and where the
campus's DNS and certificate lead it to Bursar. See `tests.servers.campus` for the two machines.
"""

import json
import sys
from collections.abc import Iterator

import pytest

from tests.conftest import require
from tests.servers import front
from tests.servers.bursar import CLIENT_KEY, CLIENT_SECRET
from tests.servers.campus import Campus, Machine
from tests.servers.programs import find_program

OFFICIAL_WRAPPER = """
import json, os
from tiktok_research_api import Criteria, Query, QueryUserInfoRequest, QueryVideoRequest, TikTokResearchAPI

api = TikTokResearchAPI(os.environ["TIKTOK_CLIENT_KEY"], os.environ["TIKTOK_CLIENT_SECRET"], qps=1000)
tags = Criteria(operation="EQ", field_name="hashtag_name", field_values=["election"])
request = QueryVideoRequest(Query(and_criteria=[tags]), "20260901", "20260930", 100)
videos, *_ = api.query_videos(request, fetch_all_pages=True)
profile = api.query_user_info(QueryUserInfoRequest(videos[0]["username"]))
print(json.dumps([videos, profile]))
"""


@pytest.fixture(scope="module")
def campus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Campus]:
    require(Campus.is_possible(), "nginx, or the right to make namespaces,")
    with Campus(tmp_path_factory.mktemp("campus")) as opened:
        yield opened


def environ(campus: Campus, on: Machine) -> dict[str, str]:
    """The caller's own key, and the authorities of their machine for clients that bring a list of their own."""
    if on is Machine.RESEARCHER:
        key, secret = campus.key["client_key"], campus.key["client_secret"]
        bundle = campus.home / "bundle.researcher"
    else:
        key, secret, bundle = CLIENT_KEY, CLIENT_SECRET, campus.home / "public-authority.pem"
    trusted = dict.fromkeys(("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE"), str(bundle))
    return {"TIKTOK_CLIENT_KEY": key, "TIKTOK_CLIENT_SECRET": secret, **trusted}


@pytest.mark.parametrize("script", [OFFICIAL_WRAPPER], ids=["TikTokResearchApi"])
def test_an_unchanged_client_gets_through_bursar_what_the_platform_gives(campus: Campus, script: str) -> None:
    command = (sys.executable, "-c", script)
    direct = campus.run(*command, on=Machine.GATEWAY, environ=environ(campus, Machine.GATEWAY)).json()
    spent = campus.upstream()["requests"]
    through = campus.run(*command, on=Machine.RESEARCHER, environ=environ(campus, Machine.RESEARCHER)).json()
    assert through == direct
    assert len(through[0]) > 100
    assert campus.upstream()["requests"] > spent
    asked = [entry for entry in campus.log() if entry["type"] == "outcome"]
    assert len(asked) == campus.upstream()["requests"] - spent


def test_curl_trusts_the_campus_because_its_machine_does(campus: Campus) -> None:
    require(find_program("curl") is not None, "curl")
    form = {
        "client_key": campus.key["client_key"],
        "client_secret": campus.key["client_secret"],
        "grant_type": "client_credentials",
    }
    fields = [part for name, value in form.items() for part in ("-d", f"{name}={value}")]
    url = f"https://{front.PLATFORM}/v2/oauth/token/"
    assert campus.run("curl", "-sS", url, *fields, on=Machine.RESEARCHER).json()["expires_in"] > 0
    with pytest.raises(RuntimeError, match="certificate"):
        campus.run("curl", "-sS", url, *fields, on=Machine.GATEWAY)


def test_the_gateway_calls_the_platform_by_the_name_that_leads_researchers_to_it(campus: Campus) -> None:
    assert campus.bursar("credential", "verify") == {
        "credentials": [{"name": "main", "holds": True, "why": None}]
    }


def curl(
    campus: Campus, *options: str, path: str = "/v2/research/video/query/?fields=id"
) -> tuple[int, str, str]:
    """Status, headers and body of a call as curl makes it on a researcher's machine."""
    require(find_program("curl") is not None, "curl")
    said = campus.run(
        *("curl", "-sS", "-i", "-X", "POST", "-H", f"Authorization: Bearer {campus.key['api_key']}"),
        *(*options, f"https://{front.PLATFORM}{path}"),
        on=Machine.RESEARCHER,
        environ=environ(campus, Machine.RESEARCHER),
    ).output
    headers, _, body = said.replace("\r", "").rpartition("\n\n")
    return int(headers.split()[1]), headers.lower(), body


def tag_of_newest_call(campus: Campus) -> str:
    entry = next(each for each in campus.log() if each.get("http", {}).get("route", "").startswith("/v2/"))
    tag: str = entry["src"]["ip_tag"]
    return tag


def test_the_log_knows_callers_apart_by_their_own_address_which_they_cannot_choose(campus: Campus) -> None:
    tags = []
    for options in (
        ["--interface", "127.0.0.1"],
        ["--interface", "127.0.0.9"],
        ["--interface", "127.0.0.9", "-H", "X-Forwarded-For: 127.0.0.1"],
        ["--interface", "127.0.0.9", "-H", "Forwarded: for=127.0.0.1"],
    ):
        assert curl(campus, *options, "-d", "{}")[0] == 400
        tags.append(tag_of_newest_call(campus))
    assert tags[0] != tags[1] == tags[2] == tags[3]


def test_answers_are_compressed_for_those_who_ask_and_tokens_never(campus: Campus) -> None:
    question = {
        "query": {"and": [{"field_name": "region_code", "operation": "EQ", "field_values": ["US"]}]},
        "start_date": "20261001",
        "end_date": "20261007",
        "max_count": 100,
    }
    body = ["-d", json.dumps(question)]
    plain = curl(campus, *body)
    asked = curl(campus, "--compressed", *body)
    assert "content-encoding" not in plain[1]
    assert "content-encoding: gzip" in asked[1]
    assert json.loads(asked[2])["data"] == json.loads(plain[2])["data"]


def test_a_body_that_is_too_large_is_refused_by_bursar_with_an_entry(campus: Campus) -> None:
    large = campus.home / "large"
    large.write_bytes(b" " * 1_000_000)
    status, headers, body = curl(campus, "--data-binary", f"@{large}")
    assert (status, json.loads(body)["error"]["code"]) == (413, "invalid_params")
    assert len(json.loads(body)["error"]["log_id"]) == 32
    large.write_bytes(b" " * 5_000_000)
    status, headers, body = curl(campus, "--data-binary", f"@{large}")
    assert (status, json.loads(body)["error"]["code"]) == (413, "invalid_params")
    assert "content-type: application/json" in headers


def test_headers_that_are_too_large_are_refused_in_the_platforms_shape(campus: Campus) -> None:
    status, headers, body = curl(campus, "-H", f"X-Long: {'x' * 40_000}", "-d", "{}")
    assert (status, json.loads(body)["error"]["code"]) == (400, "invalid_params")
    assert "content-type: application/json" in headers


def test_the_front_servers_own_log_links_to_bursars_and_repeats_no_question(campus: Campus) -> None:
    curl(campus, "-d", "{}", path="/v2/research/user/info/?fields=display_name&username=canary")
    line = (campus.home / "front.log").read_text().splitlines()[-1]
    assert '"POST /v2/research/user/info/" 400' in line
    assert "origin=\\x22bursar\\x22;index=" in line
    assert "canary" not in line
