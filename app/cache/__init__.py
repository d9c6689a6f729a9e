"""Answering from what is held.

A *page* is the `data` of one answer of the platform under its *key*: the digest of the whole canonical
request in its scope of sharing. A *flight* is one fetch that several identical callers share. Decisions
here are pure; where pages are kept is an adapter's business.
"""
