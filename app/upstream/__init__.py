"""What leaves this machine: calls to the platform, and notices to the institution.

The adapter to the platform is the only place that holds a credential in the clear.

`http` sends one call and reads one answer; `tokens` keeps the platform's access token, refreshed by
one flight at a time. Clients name an operation, never a URL, so there is no address to be tricked into.

`webhook` and `mail` carry notices to the institution's own servers.
"""
