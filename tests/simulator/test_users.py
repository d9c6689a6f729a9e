import pytest

from app.simulator.users import USER_FIELDS
from tests.simulator.caller import Caller, message

FIELDS = ",".join(sorted(USER_FIELDS))


def test_a_profile_stands_directly_in_data_without_the_username(caller: Caller) -> None:
    answer = caller.call("user/info", {"username": "sim_user_1"}, fields=FIELDS)
    data = answer.json()["data"]
    assert set(data) - {"bio_url"} == USER_FIELDS - {"bio_url"}
    assert data["display_name"] == "Sim 1"


def test_some_profiles_lack_the_bio_url(caller: Caller) -> None:
    answers = [
        caller.call("user/info", {"username": f"sim_user_{n}"}, fields="bio_url") for n in range(14, 37)
    ]
    assert {len(answer.json()["data"]) for answer in answers} == {0, 1}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nobody", "is invalid: cannot find the user"),
        ("sim_user_0", "is invalid: cannot find the user"),
        ("sim_user_13", "is private"),
        ("sim_user_37", "API cannot return this user's information"),
    ],
)
def test_unknown_private_and_minor_users_are_refused_in_the_platforms_words(
    caller: Caller, name: str, said: str
) -> None:
    assert said in message(caller.call("user/info", {"username": name}, fields=FIELDS))
    assert caller.stats()["endpoints"]["user/info"] == {"requests": 1, "records": 0}


def test_a_profile_is_one_record(caller: Caller) -> None:
    caller.call("user/info", {"username": "sim_user_1"}, fields=FIELDS)
    assert caller.stats()["endpoints"]["user/info"] == {"requests": 1, "records": 1}


@pytest.mark.parametrize("body", [{}, {"username": ""}, {"username": 5}])
def test_a_username_is_required(caller: Caller, body: dict[str, object]) -> None:
    assert "username" in message(caller.call("user/info", body, fields=FIELDS))


def test_a_field_of_another_endpoint_is_unknown_here(caller: Caller) -> None:
    assert "username" in message(caller.call("user/info", {"username": "sim_user_1"}, fields="username"))
