"""Revisions of the schema, each of which leaves rows that the release before it can still write."""
