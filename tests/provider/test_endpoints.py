"""The table of endpoints agrees with itself, with the platform's documents, and answers by path."""

import pytest

from app.provider.endpoint import AnswerForm, BodyForm, CursorKind, Endpoint, QuotaFamily, TaskUse
from app.provider.endpoints import ADS_SCOPE, ENDPOINTS, endpoint_for_path
from app.provider.questions import CONDITION_FIELDS, EXACT_FIELDS
from app.provider.regions import REGION_CODES

# Path, list key, cursor, default and largest page, number of fields, counters: the overview of the platform's
# documents (section 2.0 of the facts), written down a second time.
DOCUMENTED = """
video/query                     videos              index        20  100  24  main
video/comment/list              comments            index        10  100   7  main
user/info                       -                   none          -    -   9  main
user/liked_videos               user_liked_videos   time         20  100  21  main
user/pinned_videos              pinned_videos_list  none          -    -  21  main
user/reposted_videos            reposted_videos     index        20  100  21  main
user/followers                  user_followers      time         20  100   0  graph
user/following                  user_following      time         20  100   0  graph
playlist/info                   playlist_video_ids  index        20  100   0  main
tts/shop                        shop_data           none         10   10   6  main
tts/product                     product_data        page_number  10   10  13  main
tts/review                      review_data         page_number  10   10   6  main
validation_task/create          -                   none          -    -   0  main
validation_task_status/get      -                   none          -    -   0  main
validation_task/download        -                   none          -    -   0  main
adlib/ad/query                  ads                 search_id    10   50  13  ads
adlib/ad/detail                 -                   none          -    -  23  ads
adlib/ad/report                 -                   none          -    -   1  ads
adlib/advertiser/query          advertisers         none         10   50   3  ads
adlib/commercial_content/query  commercial_contents search_id    10   50   7  ads
"""


def _row(endpoint: Endpoint) -> list[str]:
    paging = endpoint.paging
    sizes = ["-", "-"] if paging is None else [str(paging.default), str(paging.most)]
    cursor = endpoint.cursor.value.replace(" ", "_")
    list_key = endpoint.list_key or "-"
    return [endpoint.name, list_key, cursor, *sizes, str(len(endpoint.fields)), endpoint.family.value]


def test_the_table_is_the_documented_one() -> None:
    assert [_row(row) for row in ENDPOINTS.values()] == [
        line.split() for line in DOCUMENTED.strip().splitlines()
    ]
    assert len(ENDPOINTS) == 20


@pytest.mark.parametrize("name", ENDPOINTS)
def test_a_path_is_known_with_and_without_its_trailing_slash(name: str) -> None:
    endpoint = ENDPOINTS[name]
    assert endpoint.path == f"/v2/research/{name}/"
    assert endpoint_for_path(endpoint.path) is endpoint
    assert endpoint_for_path(endpoint.path.rstrip("/")) is endpoint


@pytest.mark.parametrize(
    "path", ["", "/", "/v2/research/video/query//", "/V2/research/video/query/", "/v2/research/"]
)
def test_no_other_path_is_known(path: str) -> None:
    assert endpoint_for_path(path) is None


@pytest.mark.parametrize("row", ENDPOINTS.values(), ids=ENDPOINTS)
def test_a_row_is_consistent(row: Endpoint) -> None:
    if row.paging is not None:
        assert 1 <= row.paging.default <= row.paging.most <= 100
        assert row.list_key is not None
        assert not row.body_keys & {row.paging.size_key, row.paging.cursor_key}
    assert not row.body_keys & {"cursor", "max_count", "search_id", "fields"}
    assert (row.cursor is CursorKind.TOKEN) <= row.has_search_id
    assert (row.scope == ADS_SCOPE) == (row.family is QuotaFamily.ADS) == row.name.startswith("adlib/")
    assert (row.task is TaskUse.BEGINS) == (row.sends is BodyForm.UPLOAD)
    assert (row.answers is AnswerForm.FILE) <= (not row.may_be_held)
    assert row.list_key is None or row.counts_records
    assert row.sends is BodyForm.UPLOAD or all(key.example is not None for key in row.keys if key.is_required)
    assert row.read_timeout_s == (250.0 if row.name == "video/query" else 60.0)


def test_documented_numbers_hold() -> None:
    assert len(REGION_CODES) == 245
    assert len(CONDITION_FIELDS) == 11
    assert set(CONDITION_FIELDS) > EXACT_FIELDS
