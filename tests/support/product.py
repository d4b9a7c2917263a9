"""The whole product in front of the stand-in provider, for tests that only make calls.

Tests share it, so each tells its rows by a tag of its own.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from evaluation.standin import processes
from support.roundtrip import Roundtrip, T, TaggedCall, make

PROVIDERS = (*processes.PROVIDERS, "bedrock", "cohere", "groq", "ollama")


@dataclass(frozen=True, slots=True)
class Product:
    """`upstream` is the URL of the stand-in, `served` the running product."""

    upstream: str
    served: processes.Serving

    def trip(self, call: TaggedCall[T], provider: str, feature: str) -> Roundtrip[T]:
        """The same call straight to the stand-in and through the product."""
        return make(
            call, upstream=self.upstream, served=self.served, provider=provider, feature=feature
        )


@contextmanager
def running(data: Path) -> Iterator[Product]:
    """A product that is gone when the block ends."""
    with processes.stand_in(data / "stand-in.log") as (upstream, _):
        upstreams = dict.fromkeys(PROVIDERS, upstream)
        with processes.serve(data, upstreams, settings=processes.FAST_ROWS) as served:
            yield Product(upstream, served)
