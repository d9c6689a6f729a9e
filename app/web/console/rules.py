"""Terms and rules: versions and who has not accepted, what each rule says and how strict it is."""

import datetime as dt
from collections import Counter
from typing import Final

from starlette.responses import Response

from app.administration.conditional import Conditional
from app.administration.drafting import terms_wanted, waiting_for
from app.administration.ending import retire
from app.administration.policy import plan_of_mode, require_mode, shown_rules, shown_values
from app.administration.ruling import set_mode
from app.administration.state import State
from app.identity.roles import Act
from app.policy.engine import Mode
from app.policy.rules import ALWAYS_ENFORCED
from app.web.console.cookies import PATH
from app.web.console.doors import Page, Turn
from app.web.console.previewing import is_saving, preview, save, shown
from app.web.console.projects import ALL, DIRECTORY

_HERE: Final = f"{PATH}/rules"
MODES: Final = {
    Mode.ENFORCE: "refuses the call",
    Mode.WARN: "lets it go on, and says so",
    Mode.SHADOW: "lets it go on, and notes it in the log",
}


async def show_rules(turn: Turn) -> Response:
    """Versions of the terms with acceptances, and every rule."""
    state = await turn.desk.registry.state()
    today = state.now.date()
    current = state.terms_at(today)
    versions = [
        {
            "terms": each,
            "is_current": each == current,
            "accepted": sum(one.version == each.version for one in state.acceptances),
        }
        for each in sorted(state.terms, key=lambda one: one.in_force_from, reverse=True)
        if each.retired_us is None
    ]
    midnight = dt.datetime.combine(today, dt.time(), dt.UTC)
    since_us = int(midnight.timestamp()) * 1_000_000
    day = await turn.desk.installation.database.read(
        lambda conn: turn.desk.days.read(conn, since_us=since_us)
    )
    hits: Counter[str] = Counter()
    for (rule, _), count in day.refused.items():
        hits[rule.partition("/")[0]] += count
    return turn.render(
        "rules.html",
        hits=hits,
        is_capped=day.is_capped,
        versions=versions,
        current=current,
        waiting=[] if current is None else waiting_for(state, current),
        rules=shown_rules(state),
        values=shown_values(state),
        modes=MODES,
        always=ALWAYS_ENFORCED,
        today=today,
    )


async def add_terms(turn: Turn) -> Response:
    """A new version of the terms, which everybody then has to accept from its first day on."""
    given = turn.given
    version = given.text("version", "The version", most=64)
    content = {
        "version": version,
        "title": given.text("title", "The title"),
        "source": given.get("source").strip() or None,
        "in_force_from": given.day("in_force_from", "The first day"),
        "grace_days": given.number("grace_days", "Days of grace") if given.get("grace_days").strip() else 0,
    }
    wanted = terms_wanted(content, given.text("text", "The text", most=200_000))
    return await save(turn, wanted, title=f"Add terms {version}", back=_HERE)


async def retire_terms(turn: Turn) -> Response:
    """Withdraw a version, which nobody can accept any more."""
    version = turn.given.text("version", "The version", most=64)
    await retire(turn.desk.registry, turn.who.actor, kind="terms", object_id=version)
    turn.desk.forget()
    return turn.go(_HERE, "retired")


async def change_mode(turn: Turn) -> Response:
    """Another mode for a rule, from the next call on; looked at first."""
    rule = turn.given.text("rule", "The rule", most=64)
    mode = turn.given.text("mode", "The mode", most=16)

    def check(state: State) -> None:
        if "was" in turn.given.fields:
            require_mode(state, rule=rule, seen=turn.given.get("was"))

    if not is_saving(turn):
        state = await turn.desk.registry.state()
        check(state)
        changes = plan_of_mode(state, rule=rule, mode=mode).changes
        is_weaker = bool(changes) and mode != Mode.ENFORCE
        warnings = [f"A call that does not keep to it is not refused any more: {rule} {MODES[Mode(mode)]}."]
        if turn.desk.registry.needs_second_person:
            warnings.append("A weaker mode waits until a second administrator has confirmed it.")
        return preview(
            turn,
            back=_HERE,
            title=f"Set {rule} to {mode}",
            changes=shown(changes),
            warnings=warnings if is_weaker else (),
        )
    done = await set_mode(Conditional(turn.desk.registry, check), turn.who.actor, rule=rule, mode=mode)
    turn.desk.forget()
    if done.waiting:
        return turn.go(_HERE, "waiting")
    return turn.go(_HERE, "saved" if done else "unchanged")


PAGES: Final = (
    Page(method="GET", path="/rules", answer=show_rules, acts=ALL),
    Page(
        method="POST",
        path="/rules",
        answer=change_mode,
        acts=frozenset({Act.MANAGE_RULES}),
        back=show_rules,
        guarded="change how strictly a rule is kept",
    ),
    Page(
        method="POST",
        path="/terms",
        answer=add_terms,
        acts=DIRECTORY,
        back=show_rules,
        guarded="add a version of the terms",
    ),
    Page(
        method="POST",
        path="/terms/end",
        answer=retire_terms,
        acts=DIRECTORY,
        back=show_rules,
        guarded="withdraw a version of the terms",
    ),
)
