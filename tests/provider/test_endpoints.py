"""The table of endpoints agrees with itself and answers by path."""

import pytest

from app.provider.endpoints import ENDPOINTS, CursorKind, Endpoint, endpoint_for_path
from app.provider.questions import CONDITION_FIELDS, EXACT_FIELDS
from app.provider.regions import REGION_CODES


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
    assert row.fields or not row.needs_fields
    assert 1 <= row.page_default <= row.page_max == 100
    assert row.is_paged == (row.cursor is not CursorKind.NONE) == (row.list_key is not None)
    assert row.is_paged or not row.has_search_id
    assert not row.body_keys & {"cursor", "max_count", "search_id", "fields"}


def test_documented_numbers_hold() -> None:
    video, user, comment = (ENDPOINTS[name] for name in ("video/query", "user/info", "video/comment/list"))
    assert (video.page_default, comment.page_default) == (20, 10)
    assert (len(video.fields), len(user.fields), len(comment.fields)) == (24, 9, 7)
    assert (video.read_timeout_s, user.read_timeout_s, comment.read_timeout_s) == (250.0, 60.0, 60.0)
    assert len(REGION_CODES) == 245
    assert len(CONDITION_FIELDS) == 11
    assert set(CONDITION_FIELDS) > EXACT_FIELDS
