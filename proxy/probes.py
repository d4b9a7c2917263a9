"""`/livez` and `/readyz`, for balancers and orchestrators: the same on both ports, without a token.

Ready means: not about to stop.  It does not depend on the store or a collector: while those are
away, calls are relayed and recorded all the same.  `/api/health` has the rest.  Readiness also says
which instance answers: who starts one and waits for it must not take another one for it.
"""

LIVE, READY = "/livez", "/readyz"
PROBES = frozenset((LIVE, READY))


def answer(path: str, *, stopping: bool, instance: str = "") -> tuple[int, dict[str, str]]:
    """The status and the document for one of `PROBES`; `instance` is that of `serve.json`."""
    if path == LIVE:
        return 200, {"status": "ok"}
    status, word = (503, "stopping") if stopping else (200, "ok")
    return status, {"status": word, "instance": instance}
