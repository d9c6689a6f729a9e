"""The platform as facts: what may be asked, how it is spelled, what came back and what it cost.

An *endpoint* is one row of the table in `endpoints.py`. A request as a client spells it becomes a
*research query* in canonical form (`normalise.py`; the spelling of single values is in `spelling.py`, the
rules of each body in `questions.py`). Bursar sends it through the *platform* port (`platform.py`) and gets a
*reply*, which is either a *success* with *records* and a place to go on from, or a *failure* of one *kind*
(`answers.py`). A *charge* is what the platform counts for the call, in requests and records (`charge.py`).
Everything here is pure: no clock, no network, no randomness.
"""
