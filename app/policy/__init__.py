"""What the platform's terms allow.

A *rule* is one clause that can be checked, as a frozen type with the clause, its source and its date.
The *engine* asks every rule about one call; the first that refuses decides, and nothing is allowed that
the last rule, `EndpointApproved`, has not positively allowed. Rules take the time; they never ask it.
"""
