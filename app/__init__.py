"""Bursar: a gateway in front of a platform's research API."""

RELEASE = "0.1.0"
"""The version of this program, as pyproject.toml names it."""
