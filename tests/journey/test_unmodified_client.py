"""Clients that know no other address than the platform's, changed in nothing, on a campus that leads them here.

Each script runs twice, byte for byte the same: where the platform's name leads to the platform, and where the
campus's DNS and certificate lead it to Bursar. See `tests.servers.campus` for the two machines.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.conftest import require
from tests.servers import front
from tests.servers.bursar import CLIENT_KEY, CLIENT_SECRET
from tests.servers.campus import SYSTEM_BUNDLE, Campus, Machine
from tests.servers.programs import find_program

_OFFICIAL_WRAPPER = """
import json, os
from tiktok_research_api import Criteria, Query, QueryUserInfoRequest, QueryVideoRequest, TikTokResearchAPI

api = TikTokResearchAPI(os.environ["TIKTOK_CLIENT_KEY"], os.environ["TIKTOK_CLIENT_SECRET"], qps=1000)
tags = Criteria(operation="EQ", field_name="hashtag_name", field_values=["election"])
request = QueryVideoRequest(Query(and_criteria=[tags]), "20260901", "20260930", 100)
videos, *_ = api.query_videos(request, fetch_all_pages=True)
profile = api.query_user_info(QueryUserInfoRequest(videos[0]["username"]))
print(json.dumps([videos, profile]))
"""
_RESEARCHTIKPY = """
import json, os, warnings
warnings.simplefilter("ignore")
import researchtikpy as rtk

token = rtk.get_access_token(os.environ["TIKTOK_CLIENT_KEY"], os.environ["TIKTOK_CLIENT_SECRET"])["access_token"]
videos = rtk.get_videos_hashtag(["election"], token, "20260901", "20260930", total_max_count=1000)
profile = rtk.get_users_info([videos["username"][0]], token, verbose=False)
print(json.dumps([json.loads(each.to_json(orient="records")) for each in (videos, profile)]))
"""
_HTTR2 = """
library(httr2)
ask <- function(path) request(paste0("https://open.tiktokapis.com", path))
token <- ask("/v2/oauth/token/") |>
  req_body_form(client_key = Sys.getenv("TIKTOK_CLIENT_KEY"), client_secret = Sys.getenv("TIKTOK_CLIENT_SECRET"),
                grant_type = "client_credentials") |>
  req_perform() |> resp_body_json()
page <- function(body) {
  ask("/v2/research/video/query/?fields=id,username,view_count") |>
    req_auth_bearer_token(token$access_token) |>
    req_body_json(body, digits = 22) |> req_perform() |> resp_body_json(bigint_as_char = TRUE)
}
body <- list(query = list(and = list(list(field_name = "hashtag_name", operation = "EQ",
                                          field_values = list("election")))),
             start_date = "20260901", end_date = "20260930", max_count = 100)
videos <- list()
repeat {
  data <- page(body)$data
  videos <- c(videos, data$videos)
  if (!data$has_more) break
  body$cursor <- data$cursor
  body$search_id <- data$search_id
}
cat(jsonlite::toJSON(list(videos, length(videos)), auto_unbox = TRUE, digits = 22))
"""
_OF_ONES_OWN = """
import asyncio, json, os
import aiohttp, httpx

URL = "https://open.tiktokapis.com"
tags = {"field_name": "hashtag_name", "operation": "EQ", "field_values": ["election"]}
question = {"query": {"and": [tags]}, "start_date": "20260901", "end_date": "20260930", "max_count": 100}
form = {"client_key": os.environ["TIKTOK_CLIENT_KEY"], "client_secret": os.environ["TIKTOK_CLIENT_SECRET"]}
token = httpx.post(f"{URL}/v2/oauth/token/", data={**form, "grant_type": "client_credentials"}).json()
headers = {"Authorization": "Bearer " + token["access_token"]}

async def search(videos):
    async with aiohttp.ClientSession(headers=headers) as session:
        while True:
            async with session.post(f"{URL}/v2/research/video/query/?fields=id,username", json=question) as answer:
                data = (await answer.json())["data"]
            videos += data["videos"]
            if not data["has_more"]:
                return videos
            question.update(cursor=data["cursor"], search_id=data["search_id"])

videos = asyncio.run(search([]))
handle = {"username": videos[0]["username"]}
profile = httpx.post(f"{URL}/v2/research/user/info/?fields=bio_url", headers=headers, json=handle).json()
print(json.dumps([videos, profile["data"]]))
"""
_R = ("Rscript", "--vanilla", "-e")
CLIENTS = {
    "TikTokResearchApi": (sys.executable, "-c", _OFFICIAL_WRAPPER),
    "researchtikpy": (sys.executable, "-c", _RESEARCHTIKPY),
    "httpx and aiohttp": (sys.executable, "-c", _OF_ONES_OWN),
    "httr2": (*_R, _HTTR2),
}


@pytest.fixture(scope="module")
def campus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Campus]:
    require(Campus.is_possible(), "nginx, the system's list of authorities or the right to make namespaces")
    with Campus(tmp_path_factory.mktemp("campus")) as opened:
        yield opened


def has_httr2() -> bool:
    """Whether R is here with the packages of the script."""
    command = [*_R, "library(httr2); library(jsonlite)"]
    found = find_program("Rscript")
    return found is not None and subprocess.run(command, capture_output=True, check=False).returncode == 0


def environ(key: str, secret: str) -> dict[str, str]:
    """The caller's own key; and Python's clients shall trust whom the machine trusts."""
    bundle = str(SYSTEM_BUNDLE)
    trusted = {"REQUESTS_CA_BUNDLE": bundle, "SSL_CERT_FILE": bundle}
    return {"TIKTOK_CLIENT_KEY": key, "TIKTOK_CLIENT_SECRET": secret, **trusted}


@pytest.mark.parametrize("client", CLIENTS)
def test_an_unchanged_client_gets_through_bursar_what_the_platform_gives(campus: Campus, client: str) -> None:
    require(client != "httr2" or has_httr2(), "R with httr2 and jsonlite")
    command = CLIENTS[client]
    direct = campus.run(*command, on=Machine.ELSEWHERE, environ=environ(CLIENT_KEY, CLIENT_SECRET)).json()
    before, earlier = campus.upstream()["requests"], {entry["id"] for entry in campus.log()}
    own = environ(campus.key["client_key"], campus.key["client_secret"])
    through = campus.run(*command, on=Machine.CAMPUS, environ=own).json()
    assert through == direct
    assert len(through[0]) > 100
    logged = [entry for entry in campus.log() if entry["id"] not in earlier]
    assert [each["type"] for each in logged].count("outcome") == campus.upstream()["requests"] - before
    answered = [each for each in logged if each["type"] in {"outcome", "decision"} and "op" in each]
    assert len(answered) > len(through[0]) // 100
    assert [each["type"] for each in logged if each.get("op") == "oauth/token"] == ["auth"]


def test_curl_trusts_the_campus_because_its_machine_does(campus: Campus) -> None:
    require(find_program("curl") is not None, "curl")
    form = {
        "client_key": campus.key["client_key"],
        "client_secret": campus.key["client_secret"],
        "grant_type": "client_credentials",
    }
    fields = [part for name, value in form.items() for part in ("-d", f"{name}={value}")]
    url = f"https://{front.PLATFORM}/v2/oauth/token/"
    assert campus.run("curl", "-sS", url, *fields, on=Machine.CAMPUS).json()["expires_in"] > 0
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
        on=Machine.CAMPUS,
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
    # nginx spells the quotes of a header as \\x22; the origin is the log's own name.
    assert re.search(r"origin=\\x22[^ \\]+/bursar/[0-9a-f]{8}\\x22;index=\d+", line), line
    assert "canary" not in line
