"""The HTTP client, so that replacing it is one line: this is the only module that imports it by its own name."""

import httpx as httpx  # noqa: PLC0414 - an alias is how a module says that it hands a name on
