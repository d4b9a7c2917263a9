"""How a caller tells the stand-in what to do: `x-standin-*` headers, or a suffix of the model.

`x-standin-status: 429` and the model `gpt-5.4@status=429` mean the same; the suffix is for clients
that cannot set headers, and is taken off before the model is echoed.
"""

from collections.abc import Mapping

import msgspec

PREFIX = "x-standin-"


class Steering(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"
):
    """What to do with one call.  None leaves the choice to the seed of the request."""

    status: int = 200  # 400 and above: answer with the dialect's error
    times: int = 0  # fail only the first so many requests with this body; 0: all of them
    retry_after_s: float | None = None
    error_after: int | None = None  # output tokens before an error event inside the stream
    cut_after: int | None = None  # output tokens before the connection is closed, unfinished
    reset: bool = False  # a cut is a TCP reset and may lose bytes under way, not a close
    head_s: float = 0.0  # before the status line
    first_token_s: float = 0.0
    tokens_per_s: float = 0.0  # 0: as fast as the socket takes them
    slow_share: float = 0.0  # probability, drawn from the seed, that all times are multiplied
    slow_factor: float = 10.0
    input_tokens: int | None = None  # total, cached ones included
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0  # five minutes, where the dialect says
    cache_write_1h_tokens: int = 0
    output_tokens: int | None = None  # total, reasoning included
    reasoning_tokens: int | None = None
    service_tier: str = ""  # the one served; "": the one asked for
    encoding: str = ""  # gzip | br | zstd | deflate | accept (the best of Accept-Encoding)
    chunk_bytes: int = 0  # cut what is written into pieces of this size; 0: one write an event


def read(headers: Mapping[str, str], model: str) -> tuple[str, Steering]:
    """The model without its suffix, and what headers (lower-case names) and suffix ask for.

    Raises ValueError for a name or a value that is not understood.
    """
    asked = {n[len(PREFIX) :]: value for n, value in headers.items() if n.startswith(PREFIX)}
    name, at, suffix = model.partition("@")
    if at and "=" in suffix:  # Vertex dates its models with an @
        model = name
        asked |= {
            key: value for key, _, value in (pair.partition("=") for pair in suffix.split(","))
        }
    return model, msgspec.convert(asked, Steering, strict=False) if asked else DEFAULT


DEFAULT = Steering()
