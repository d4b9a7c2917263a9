"""`/livez` and `/readyz`, for balancers and orchestrators: the same on both ports, without a token.

Ready means: not about to stop.  It does not depend on the store or a collector: while those are
away, calls are relayed and recorded all the same.  `/api/health` has the rest.
"""

LIVE, READY = "/livez", "/readyz"
PROBES = frozenset((LIVE, READY))


def answer(path: str, *, stopping: bool) -> tuple[int, dict[str, str]]:
    """The status and the document for one of `PROBES`."""
    works = path == LIVE or not stopping
    return (200, {"status": "ok"}) if works else (503, {"status": "stopping"})
