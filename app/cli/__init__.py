"""The commands: one of three doors to the same use-cases, beside the REST API and the console.

Each command imports what it needs when it runs, so that `--help` answers at once. Exit codes: 0 done, 1 the
thing asked about does not hold, 2 wrong usage, 3 not reachable or not ready.
"""

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import typer

from app.cli import (
    asking,
    audit,
    audit_about,
    audit_export,
    audit_search,
    audit_upkeep,
    caching,
    directory,
    estimating,
    freezing,
    keys,
    members,
    projects,
    proposals,
    quota,
    rotating,
    rules,
    running,
    setting_up,
    terms,
)
from app.cli.speaking import printable
from app.errors import BursarError, Misconfigured, Unavailable

app = typer.Typer(
    name="bursar",
    help="A gateway that shares one TikTok Research API credential among approved researchers.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
running.register(app)
setting_up.register(app)
quota.register(app)
estimating.register(app)
audit_export.register(audit.audits)
audit_about.register(audit.audits)
audit_search.register(audit.audits)
audit_upkeep.register(audit.audits)
for name, group in (
    ("credential", directory.credentials),
    ("person", directory.people),
    ("project", projects.projects),
    ("member", members.members),
    ("key", keys.keys),
    ("token", keys.tokens),
    ("limit", quota.limits),
    ("terms", terms.terms),
    ("rule", rules.rules),
    ("request", asking.requests),
    ("proposal", proposals.proposals),
    ("freeze", freezing.freezes),
    ("unfreeze", freezing.unfreezes),
    ("cache", caching.caches),
    ("audit", audit.audits),
    ("master-key", rotating.master_keys),
    ("seal-key", rotating.seal_keys),
    ("log-key", rotating.log_keys),
):
    app.add_typer(group, name=name)


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run one command and end with its exit code; what went wrong is one line on standard error."""
    # Whatever a command writes is for its user alone.
    os.umask(0o077)
    try:
        app(args=None if argv is None else list(argv), prog_name="bursar")
    except BursarError as error:
        sys.stderr.write(f"bursar: {printable(error.message)}\n")
        sys.exit(exit_code(error))
    except BrokenPipeError:
        # The reader, such as `head`, has seen enough; the interpreter must not try to flush again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        # A file that the caller named; anything else is a mistake of ours, and shown whole.
        if error.filename is None:
            raise
        sys.stderr.write(f"bursar: {printable(os.fsdecode(error.filename))}: {error.strerror}\n")
        sys.exit(3)
    sys.exit(0)


def exit_code(error: BursarError) -> int:
    """The exit code of a command that ended with this error."""
    match error:
        case Misconfigured():
            return error.exit_code
        case Unavailable():
            return 3
        case _:
            return 2
