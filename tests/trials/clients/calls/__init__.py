"""The script of each client: it runs in an environment of its own and imports nothing of ours.

A script gets a base URL as its argument and its settings from the environment, and prints what its
SDK returned as one JSON value, without what differs in every call.  mypy skips the SDKs that only
those environments have.
"""
