"""A credential that a provider repeats in its error is not kept: it is masked in what is noted.

No I/O.  The mask has the length of what it covers, so that framing and lengths stay right.
"""

MASK = b"*"
MASKED_BYTES_MIN = 8  # what is shorter is no key, and may be any word of an error


class Mask:
    """Masks `secret` in a stream of bytes, however it is cut.  The last bytes may be held back."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """What of the stream is certain by now."""
        data = masked(self._held + data, self._secret)
        size = _beginning(data, self._secret)
        self._held = data[len(data) - size :]
        return data[: len(data) - size]

    def close(self) -> bytes:
        """What was held back: it was no secret after all."""
        held, self._held = self._held, b""
        return held


def masked(data: bytes, secret: bytes) -> bytes:
    """`data` without `secret`."""
    if len(secret) < MASKED_BYTES_MIN:
        return data
    return data.replace(secret, MASK * len(secret))


def _beginning(data: bytes, secret: bytes) -> int:
    """How many of the last bytes of `data` may be the beginning of `secret`."""
    if len(secret) < MASKED_BYTES_MIN:
        return 0
    for size in range(min(len(data), len(secret) - 1), 0, -1):
        if data.endswith(secret[:size]):
            return size
    return 0
