"""What all the APIs of embeddings can be asked, and what they answer.

Vectors pass as they are; those of two models mean nothing to each other.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from proxy.gateway.translation.neutral import Setting


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Texts, each to become a vector.  `settings`: dimensions (how many numbers), purpose (a word
    of `embeddings_asks`), truncate (what becomes of a text that is too long)."""

    texts: Sequence[str]
    texts_field: str  # that has them
    purpose_field: str  # that could say what they are for
    settings: dict[str, Setting] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Vectors:
    """`tokens` is None where nobody states them."""

    vectors: Sequence[Sequence[float]]
    tokens: int | None
