"""Private servers for tests: started on free ports, never shared, gone at the end."""
