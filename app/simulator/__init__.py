"""A stand-in for the TikTok Research API, for tests and practice; it shares no code with the gateway.

Glossary. The *platform* is the whole stand-in: data, clock, tokens, quota, searches, faults. A *client* is
a key and a secret with scopes, one to an approved project. The *data set* is made from a seed: videos in
columns, whose *position* (0 is the highest id) names them inside this package; the details of a record are
computed from its id when somebody asks. An *author* has videos, the *audience* has none; both are *accounts*
with lists of what they like and whom they follow. A *search* is a frozen list of positions under a
`search_id`; a *hole* is a place in it whose video has vanished since. A *validation task* is a file of ids
handed in to learn which still exist. The *ads library* is the part behind the second scope. A *family* is a
set of endpoints under one daily quota. A *fault* is a misbehaviour ordered through the control endpoints
under `/_sim/`; a *knob* is one that the real platform was seen to have, on with `--realistic`.

Control endpoints, for loopback peers alone: `GET /_sim/stats` (what was counted), `journal` (every call),
`accounts` (who and what there is to ask about, by kind: `likes_public`, `private`, `playlists`, ...) and
`knobs`; `POST /_sim/knobs` `{name: value}` turns some, `faults` orders `{endpoint, status, code, message,
html, with_body, cut_body, delay_s, next | probability}` (`DELETE` clears them), `clock` `{shift_s}`, `delete`
`{videos, comments, users}`, and `reset` brings back the start, knobs included.
"""
