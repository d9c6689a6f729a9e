"""The console: Bursar for people in a browser, on the same use-cases as the API and the command line.

A *page* is one method and path with the acts that open it; a *door* finds out who is at it before it
answers; a *turn* is one request by somebody who is signed in, a *visit* one by anybody. Pages are
rendered here, whole: no script is needed for any of them, and nothing comes from anywhere else.
"""
