"""Where facts are kept.

`tables` are the rows; `engines` opens SQLite or PostgreSQL and owns the one *writer* through which every
change goes; `log` appends entries to the audit tree inside a writer's transaction; `books` is the
adapter of the gateway's port for reservations and entries; `directory` loads who may call; `registry`
is what administration changes; `pages` keeps held answers and searches.
"""
