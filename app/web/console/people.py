"""People: found, added one by one or as a list, changed, given a password code, ended."""

import datetime as dt
from typing import Final

from starlette.responses import Response

from app.administration.conditional import version_of
from app.administration.drafting import person_as_it_is
from app.administration.ending import retire, what_ends
from app.administration.joining import link_identity, unlink_identities
from app.administration.keys import shown_keys
from app.administration.lists import people_in
from app.administration.passwords import PasswordCode, issue_password_code
from app.administration.state import Person, State
from app.administration.tokens import end_token, shown_tokens
from app.administration.wishes import changed_person, had_before, listed_people, new_person, the_person
from app.errors import NotFound
from app.identity.roles import Act, Role
from app.web.console.cookies import PATH
from app.web.console.doors import Page, Turn
from app.web.console.previewing import counted, save, save_listed, shown
from app.web.console.projects import ALL, DIRECTORY

_KEYS: Final = frozenset({Act.MANAGE_KEYS})
_LIST: Final = f"{PATH}/people"
_MOST_SHOWN: Final = 500
ROLES: Final = {
    Role.RESEARCHER: "calls the research API in projects",
    Role.LEAD: "leads projects and asks for more for them",
    Role.QUOTA_ADMIN: "sets limits, grants and refuses requests for more",
    Role.ADMIN: "does everything here but reading the log",
    Role.COMPLIANCE: "reads, verifies and exports the log; changes no limit",
}


async def show_people(turn: Turn) -> Response:
    """People by address, with roles, projects and whether they may call."""
    state = await turn.desk.registry.state()
    sought = turn.asked("q").strip().lower()
    today = state.now.date()
    places = state.projects_by_person()
    found = [
        {
            "person": each,
            "projects": sorted(places.get(each.id, [])),
            "may_call": state.terms_of(each.id).may_call(today),
            "freeze": state.freeze_of(each.id),
        }
        for each in sorted(state.people, key=lambda one: one.email)
        if each.retired_us is None
        and sought in " ".join((each.email, each.name, *each.roles, *places.get(each.id, []))).lower()
    ]
    return turn.render("people.html", found=found[:_MOST_SHOWN], count=len(found), sought=turn.asked("q"))


async def show_person(turn: Turn) -> Response:
    """One person: roles, projects, keys, acceptances."""
    return await _person_page(turn, None)


async def change_person(turn: Turn) -> Response:
    """Another name or other roles."""
    _, person = await _person(turn)
    changes = {
        "name": turn.given.text("name", "The name", most=100),
        "roles": list(turn.given.many("role")),
    }
    return await save(
        turn,
        changed_person(person.id, changes),
        title=f"Change {person.email}",
        back=f"{_LIST}/{person.id}",
        filled=lambda state: person_as_it_is(the_person(state, person.id)),
    )


async def show_new_person(turn: Turn) -> Response:
    """The forms for one person and for many."""
    return turn.render("person_form.html", roles=ROLES)


async def add_person(turn: Turn) -> Response:
    """One more person."""
    email = turn.given.text("email", "The address").lower()
    is_back = bool(turn.given.get("returning"))
    content = {
        "email": email,
        "name": turn.given.text("name", "The name", most=100),
        "roles": list(turn.given.many("role")),
        "returning": is_back,
    }
    before = had_before(await turn.desk.registry.state(), email)
    warnings = () if before is None else (_of_whom(before, is_back=is_back),)
    return await save(turn, new_person(content), title=f"Add {email}", back=_LIST, warnings=warnings)


def _of_whom(before: Person, *, is_back: bool) -> str:
    """What to know before somebody is added under an address that was another's, or theirs."""
    until = dt.datetime.fromtimestamp((before.retired_us or 0) / 1_000_000, dt.UTC).date()
    if is_back:
        return (
            f"They come back as {before.name}, who had this address until {until}, with what they accepted."
        )
    return (
        f"{before.name} had this address until {until}. Whoever is added now is somebody else; if they are the same "
        "person, go back and say so."
    )


async def import_people(turn: Turn) -> Response:
    """Many people from a list; those who are there already are changed to what it says."""
    people = people_in(turn.given.text("csv", "The list", most=200_000))
    title = f"Add or change {counted(len(people.contents), 'person', 'people')}"
    return await save_listed(turn, people, listed_people, title=title, back=_LIST)


async def offer_code(turn: Turn) -> Response:
    """A code with which they set their own password, on this page alone."""
    _, person = await _person(turn)
    made = await issue_password_code(turn.desk.registry, turn.who.actor, email=person.email)
    return await _person_page(turn, made)


async def link_person(turn: Turn) -> Response:
    """Have an account of the institution's sign in as them."""
    _, person = await _person(turn)
    provider = turn.desk.installation.identity_provider
    if provider is None:
        raise NotFound("No institution's sign-in is set up here.")
    subject = turn.given.text("subject", "The name of the account", most=255)
    await link_identity(
        turn.desk.registry, turn.who.actor, email=person.email, issuer=provider.issuer, subject=subject
    )
    return turn.go(f"{_LIST}/{person.id}", "linked")


async def unlink_person(turn: Turn) -> Response:
    """Have the institution's account open nothing any more."""
    _, person = await _person(turn)
    await unlink_identities(turn.desk.registry, turn.who.actor, email=person.email)
    return turn.go(f"{_LIST}/{person.id}", "unlinked")


async def revoke_token(turn: Turn) -> Response:
    """End a token of theirs."""
    _, person = await _person(turn)
    await end_token(turn.desk.registry, turn.who.actor, token=turn.in_path("token"), person_id=person.id)
    turn.desk.forget()
    return turn.go(f"{_LIST}/{person.id}", "token-revoked")


async def retire_person(turn: Turn) -> Response:
    """End a person's part: keys, tokens, memberships."""
    await retire(turn.desk.registry, turn.who.actor, kind="person", object_id=turn.in_path("id"))
    turn.desk.forget()
    return turn.go(_LIST, "retired")


async def _person(turn: Turn) -> tuple[State, Person]:
    state = await turn.desk.registry.state()
    wanted = turn.in_path("id")
    found = next((each for each in state.people if each.id == wanted and each.retired_us is None), None)
    if found is None:
        raise NotFound("There is no such person, or they have been retired.")
    return state, found


async def _person_page(turn: Turn, code: PasswordCode | None) -> Response:
    state, person = await _person(turn)
    names = {each.id: each for each in state.projects if each.retired_us is None}
    places = [
        {"project": names[each.project_id], "from": each.from_day, "until": each.until_day}
        for each in state.memberships
        if each.person_id == person.id and each.retired_us is None and each.project_id in names
    ]
    password = state.password_of(person.id)
    return turn.render(
        "person.html",
        person=person,
        version=version_of(person_as_it_is(person)),
        places=places,
        keys=[
            each for each in shown_keys(state, turn.desk.mint, email=person.email) if each.status == "active"
        ],
        tokens=[each for each in shown_tokens(state, email=person.email) if each.status == "active"],
        accepted=[each for each in state.acceptances if each.person_id == person.id],
        pending=state.terms_of(person.id).pending(state.now.date()),
        identities=state.identities_of(person.id),
        has_password=password is not None and password.hash is not None,
        freeze=state.freeze_of(person.id),
        ends=shown(what_ends(state, "person", person.id)),
        roles=ROLES,
        code=code,
        code_url=f"{turn.desk.installation.settings.public_url}{PATH}/password",
    )


PAGES: Final = (
    Page(
        method="GET", path="/people", answer=show_people, acts=ALL, back=show_people, takes=frozenset({"q"})
    ),
    Page(method="GET", path="/people/{id}", answer=show_person, acts=ALL),
    Page(
        method="POST",
        path="/people/{id}",
        answer=change_person,
        acts=DIRECTORY,
        back=show_person,
        guarded="change somebody's name, address or roles",
    ),
    Page(
        method="POST",
        path="/people/{id}/code",
        answer=offer_code,
        acts=_KEYS,
        back=show_person,
        guarded="make a code with which somebody sets their password",
    ),
    Page(
        method="POST",
        path="/people/{id}/link",
        answer=link_person,
        acts=_KEYS,
        back=show_person,
        guarded="link an account of the institution",
    ),
    Page(method="POST", path="/people/{id}/unlink", answer=unlink_person, acts=_KEYS, back=show_person),
    Page(
        method="POST",
        path="/people/{id}/tokens/{token}/end",
        answer=revoke_token,
        acts=_KEYS,
        back=show_person,
    ),
    Page(method="POST", path="/people/{id}/end", answer=retire_person, acts=DIRECTORY, back=show_people),
    Page(method="GET", path="/new-person", answer=show_new_person, acts=DIRECTORY),
    Page(
        method="POST",
        path="/new-person",
        answer=add_person,
        acts=DIRECTORY,
        back=show_new_person,
        guarded="add a person",
    ),
    Page(
        method="POST",
        path="/new-people",
        answer=import_people,
        acts=DIRECTORY,
        back=show_new_person,
        guarded="add the people of a list",
    ),
)
