"""The adapter to the platform over HTTP: the only place that holds a credential in the clear.

`http` sends one call and reads one answer; `tokens` keeps the platform's access token, refreshed by
one flight at a time. Clients name an operation, never a URL, so there is no address to be tricked into.
"""
