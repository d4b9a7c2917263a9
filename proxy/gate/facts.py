"""What scopes may name, as far as a call says it before it is made.  No I/O."""

from collections.abc import Mapping

from pricing.budget import ANY, COLUMN_TAGS, TAG, Budget, Key
from proxy.clients import client, name_of
from proxy.exchange import Begun

MODEL = "model"


def facts(begun: Begun, key_names: Mapping[str, str], *, clients: bool) -> dict[str, str]:
    """Dimension or `tag.NAME` → value.  `clients`: whether anybody asks which program called."""
    found = {"provider": begun.provider, "key": key_names.get(begun.key_id, begun.key_id)}
    for tag, value in begun.tags.items():
        dimension = COLUMN_TAGS.get(tag)
        if dimension is None:
            found[TAG + tag] = value
        elif dimension and (tag != "user" or "user-id" not in begun.tags):  # as in rows
            found[dimension] = value
    if clients:
        headers = {name.lower(): value for name, value in begun.headers}
        found["client"] = name_of(client(headers))
    return found


def matched(budget: Budget, known: Mapping[str, str]) -> Key | None:
    """The key under which a budget counts the call; None: it does not.

    A model that is not known yet is taken for the one that the budget is about.
    """
    if not budget.scope:
        return ()
    wanted = budget.scope.get(MODEL)
    if wanted is None or MODEL in known:
        return budget.matches(known)
    return budget.matches({**known, MODEL: "" if wanted == ANY else wanted})
