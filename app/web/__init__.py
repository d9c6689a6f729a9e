"""Everything that speaks HTTP to clients and people.

`research` answers the platform's own paths in the platform's own words; `api` is Bursar's own under
`/api/v1`; `health` says whether this process can serve; `errors` is the one table from an error's code to
an HTTP status; `factory` puts them together, and `serve` runs them.
"""
