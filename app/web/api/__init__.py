"""Bursar's own API under `/api/v1`: what people and programs may see and do outside the research paths.

`access` is the one table of who may ask what; a route that it does not name cannot be added. `guard` finds
out who asks before anything else is read; `sight` is what somebody may see of the directory; `paging` cuts
lists. The routes themselves stand in `me`, `directory`, `limits`, `rules`, `keys`, `freezes`, `asking`, `log` and
`receipts`,
and call the use-cases that the command line calls.
"""

from app.web.api.mounting import add_api

__all__ = ["add_api"]
