"""Every rule of the stand-in, as its callers see it."""
