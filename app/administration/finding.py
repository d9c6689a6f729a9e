"""Objects of the directory by the names that people use for them, those that were retired left out."""

from app.administration.state import Credential, Person, Project, State
from app.errors import NotFound


def find_credential(state: State, name: str) -> Credential:
    """The credential of that name. Raises NotFound."""
    found = next((each for each in state.credentials if each.name == name and each.retired_us is None), None)
    if found is None:
        raise NotFound(f"There is no credential {name}; `bursar credential list` shows all.")
    return found


def find_project(state: State, name: str) -> Project:
    """The project of that name. Raises NotFound."""
    project = state.project(name)
    if project is None:
        raise NotFound(f"There is no project {name}; `bursar project list` shows all.")
    return project


def find_person(state: State, email: str) -> Person:
    """The person of that address. Raises NotFound."""
    person = state.person(email)
    if person is None:
        raise NotFound(f"There is no person {email}; `bursar person list` shows all.")
    return person
