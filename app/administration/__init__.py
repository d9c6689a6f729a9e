"""What people who run Bursar do, as use-cases that the command line, the REST API and the console share.

*State* is the whole directory as records; a *change* is one difference, as people are shown it and as
the log keeps it; a *plan* is changes together with the records that make them true, carried out in one
transaction by the *registry*. `desired` is what a state file asks for, and `difference` compares.
"""
