"""What the platform's terms allow.

A *rule* is one clause that can be checked, as a frozen type with the clause, its source and its date.
The *engine* asks every rule about one call, or about one held page; the first that objects and is enforced
decides, and nothing is allowed that the last rule has not positively allowed. A rule in mode *warn* or
*shadow* objects without refusing. A *value* is a number on which the sources disagree or that may change,
with a safe default. An *obligation* is one of R1 to R35, with what becomes of it here. Rules take the time;
they never ask it.
"""
