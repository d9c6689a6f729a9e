"""Clients that other people wrote, as they come, against the simulator and against Bursar in front of it.

A *client* is one of them; an *act* is one of its functions, and asks one endpoint; an *errand* says about whom
or what; a *run* is an act done on one *side* (direct, or through Bursar) with everything that crossed the wire.
"""
