"""Masks a caller's credential where a provider repeats it, as in an error message.  No I/O.

The mask is as long as the credential, so that framing and lengths stay correct.
"""

MASK = b"*"
MASKED_BYTES_MIN = 8  # a shorter text is not a key, and may be any word of an error


class Mask:
    """Masks `secret` in a stream of bytes, however the stream is cut."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """The next bytes, masked; holds back an end that may be the start of the secret."""
        data = masked(self._held + data, self._secret)
        size = _overlap(data, self._secret)
        self._held = data[len(data) - size :]
        return data[: len(data) - size]

    def close(self) -> bytes:
        """The bytes held back, which turned out not to be the secret."""
        held, self._held = self._held, b""
        return held


def masked(data: bytes, secret: bytes) -> bytes:
    """`data` with each `secret` masked."""
    if len(secret) < MASKED_BYTES_MIN:
        return data
    return data.replace(secret, MASK * len(secret))


def _overlap(data: bytes, secret: bytes) -> int:
    """How many of the last bytes of `data` may be the start of `secret`."""
    if len(secret) < MASKED_BYTES_MIN:
        return 0
    for size in range(min(len(data), len(secret) - 1), 0, -1):
        if data.endswith(secret[:size]):
            return size
    return 0
