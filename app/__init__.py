"""Bursar: a gateway in front of a platform's research API."""
