"""What the program decides beside the clauses of the terms, under ids that entries carry like any rule's.

These have no mode: they say what a request, a key or a quota is, and cannot be switched off.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

PROGRAM_RULES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "identify/1": "Whoever calls shows a key or a token that Bursar issued and that still holds.",
        "oauth/1": "A request for a token is written as OAuth 2 has it.",
        "request/1": "A request is well formed, and within what the platform documents.",
        "search-id/1": "A search is continued by the project that began it, with the same question.",
        "task/1": "A batch task is asked about by the project that began it.",
        "quota/1": "Every limit of the call has room.",
        "platform-quota/1": "The platform has not called its day used up.",
        "pacing/1": "Calls leave no faster than the platform takes them.",
        "upstream/1": "The platform answered as it should.",
        "api/1": "A request outside the research paths was answered, or turned away, by its route.",
        "roles/1": "The roles of a person cover what they do.",
        "https/1": "People sign in over HTTPS, or on the machine itself.",
        "form-token/1": "A form of the console comes from a page of the same session.",
        "reauthentication/1": "What gives a way in, or takes a guard away, is done by whoever has just proved who they are.",
        "origin/1": "A form of the console was sent by a page of the console.",
        "sign-in-rate/1": "Whoever fails to sign in to the console waits longer each time.",
        "sign-in/1": "Whoever shows wrong keys from one address again and again waits longer each time.",
        "oidc-state/1": "An answer of the institution's sign-in goes to the browser that asked for it, once.",
        "oidc-code/1": "The provider redeems the code that came with the answer.",
        "oidc-signature/1": "The provider's token is signed by a key that discovery names.",
        "oidc-issuer/1": "The answer comes from the provider that the settings name.",
        "oidc-audience/1": "The provider's token was made for this installation.",
        "oidc-nonce/1": "The provider's token was made for this very sign-in.",
        "oidc-expired/1": "The provider's token was made just now and still holds.",
        "oidc-claims/1": "The provider's token is whole, and names somebody.",
        "oidc-auth-time/1": "Whoever is to prove anew who they are does so at the provider, just now.",
        "oidc-unknown/1": "Whom the provider vouches for is a person of the directory.",
        "identity-provider/1": "Groups that the institution keeps give and take the roles that they stand for.",
        "idempotency/1": "A request with an idempotency key is carried out once.",
        "one-account/1": "An account of the platform, a client key at a host, is one credential: its quota is counted once.",
        "if-match/1": "What is changed on condition is still what its editor has seen.",
        "only-if-cached/1": "A caller that takes only what is held is not answered from the platform.",
        "two-person/1": "What raises a credential's limit or roster, or weakens a rule, is confirmed by a second administrator.",
        "sight/1": "An object that may not be seen does not exist for whoever asks.",
        "own-request/1": "Nobody decides on their own request for more quota.",
        "local-operator/1": "Whoever runs commands on the machine that holds the master key administers it.",
        "duty/1": "The program does by itself what the terms ask of it.",
        "gone-upstream/1": "What the platform reports gone is held no longer, on any page of any project.",
        "held-room/1": "What is held takes no more of the database than it may: what is past its time goes first, then the oldest.",
        "state-file/1": "A state file says what can be.",
        "rule-mode/1": "An administrator chose not to enforce the rule that would have refused.",
        "default/1": "Nothing is allowed that no rule allows.",
    }
)
"""By id, what each decides."""
