"""What each client does: scripts that run in environments of their own and import nothing of ours.

Each is called with a base URL, finds its settings in the environment, and prints what its SDK
returned as one JSON value; what changes from call to call by itself is left out.  mypy is told not
to look for the SDKs that only those environments have.
"""
