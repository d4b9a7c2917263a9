"""Chooses a share of calls by their ids: a call is in or out, whenever it is read."""

from uuid import UUID


def sampled(call_id: str, share: float) -> bool:
    """Whether a call is in a sample of this share; depends on its id alone."""
    try:
        chance = UUID(call_id).int & 0xFFFF_FFFF
    except ValueError:
        return False
    return chance < share * 0x1_0000_0000
