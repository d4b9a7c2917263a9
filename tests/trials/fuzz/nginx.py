"""`python -m trials.fuzz.nginx`: the same bytes through nginx and through us.

Exchanges made from seeds, cut anywhere, pass both proxies in front of the same provider.  What the
provider was sent and what the caller got is compared, and each difference must be one that
`reasons.EXPLAINED` lists.  A finding names its seed: `--only SEED` shows what happened.
"""

import argparse
import asyncio
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from support.relay_bench import bench
from trials.bench import contenders
from trials.bench.launching import Missing, Upstream
from trials.fuzz.reasons import Passed, explained
from trials.fuzz.streams import Exchange, Read, exchange, joined, read

EXCHANGES = 1000
SILENCE_S = 0.2  # after which the provider answers a request that has no end
ANSWER_S = 3.0
PIECE_S = 0.001


class Provider:
    """Answers with the exchange at hand, and keeps what it was sent."""

    def __init__(self) -> None:
        self.exchange: Exchange | None = None
        self.seen = b""
        self.open = 0  # connections

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        try:
            await self._answer(reader, writer)
        finally:
            self.open -= 1

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        now = self.exchange
        assert now is not None
        with suppress(TimeoutError, ConnectionError):
            while not ((found := self.sent()) and found.whole):
                async with asyncio.timeout(SILENCE_S):
                    if not (data := await reader.read(65_536)):
                        break
                self.seen += data
        if self.seen:
            await _send(writer, now.response)

    async def closed(self) -> None:
        """Wait until it has closed what it answered: a proxy that looks before use will see it."""
        while self.open:
            await asyncio.sleep(PIECE_S)
        await asyncio.sleep(PIECE_S)

    def sent(self) -> Read | None:
        return read(self.seen, bodyless=False, ended=False)


async def _send(writer: asyncio.StreamWriter, pieces: Sequence[bytes]) -> None:
    with suppress(ConnectionError):
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(PIECE_S)


async def through(port: int, provider: Provider, one: Exchange) -> Passed:
    """Send the exchange through the proxy at `port`."""
    provider.exchange, provider.seen = one, b""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    sending, data, ended = asyncio.create_task(_send(writer, one.request)), b"", False
    with suppress(TimeoutError, ConnectionError):
        async with asyncio.timeout(ANSWER_S):
            while more := await reader.read(65_536):
                data += more
            ended = True
    sending.cancel()
    writer.close()
    await provider.closed()
    return Passed(provider.sent(), read(data, bodyless=one.head_only, ended=ended))


def differences(theirs: Passed, ours: Passed) -> Iterator[str]:
    """What is not the same, apart from what each proxy says itself."""
    if (theirs.sent is None) is not (ours.sent is None):
        yield "admitted"
        return
    if theirs.sent and ours.sent:
        for name in ("line", "fields", "body"):
            if getattr(theirs.sent, name) != getattr(ours.sent, name):
                yield f"sent {name}"
    if theirs.sent is None or (theirs.own and ours.own):
        return  # both refused, each in its own words
    if theirs.code != ours.code:
        yield "code"
        return
    if theirs.got and ours.got:
        if _fields(theirs.got) != _fields(ours.got):
            yield "got fields"
        if theirs.got.body != ours.got.body:
            yield "got body"
        if theirs.got.whole is not ours.got.whole:
            yield "got end"


def _fields(got: Read) -> list[tuple[bytes, bytes]]:
    """In order of their names: nginx puts those that it knows first, and has two of its own."""
    return sorted(pair for pair in got.fields if pair[0] not in (b"server", b"date"))


@contextmanager
def nginx(port: int, folder: Path) -> Iterator[int]:
    """nginx in front of the provider at `port`.  Raises Missing."""
    with contextmanager(contenders.nginx)(Upstream(port=port), folder) as started:
        yield started.port


async def compare(seeds: Sequence[int]) -> tuple[Counter[str], dict[int, list[str]]]:
    """How often each explained difference occurred, and the others by seed.  Raises Missing."""
    known, unknown = Counter[str](), dict[int, list[str]]()
    provider = Provider()
    with TemporaryDirectory(prefix="taximeter-nginx-") as name:
        (folder := Path(name) / "nginx").mkdir()
        async with bench(Path(name), provider.handle) as b:
            with nginx(b.upstream_port, folder) as port:
                for seed in seeds:
                    one = exchange(seed)
                    theirs = await through(port, provider, one)
                    ours = await through(b.port, provider, one)
                    for found in differences(theirs, ours):
                        if reason := explained(found, theirs, ours, one):
                            known[reason] += 1
                        else:
                            unknown.setdefault(seed, []).append(found)
                    if len(seeds) == 1:
                        _show(one, theirs, ours)
    return known, unknown


def _show(one: Exchange, theirs: Passed, ours: Passed) -> None:
    for title, value in (
        ("odd", sorted(one.odd)),
        ("request", joined(one.request)[:600]),
        ("response", joined(one.response)[:600]),
        *((f"{who} {name}", getattr(what, name)) for who, what in (("nginx", theirs), ("we", ours))
          for name in ("sent", "got")),
    ):  # fmt: skip
        sys.stdout.write(f"{title}: {str(value)[:1500]}\n")


def main() -> int:
    """Returns the exit code: 1 for a difference without an explanation."""
    parser = argparse.ArgumentParser(prog="python -m trials.fuzz.nginx", description=__doc__)
    parser.add_argument("--exchanges", type=int, default=EXCHANGES)
    parser.add_argument("--seed", type=int, default=1, help="of the first exchange")
    parser.add_argument("--only", type=int, help="show the exchange of this seed")
    options = parser.parse_args()
    seeds = range(options.seed, options.seed + options.exchanges)
    if options.only is not None:
        seeds = range(options.only, options.only + 1)
    try:
        known, unknown = asyncio.run(compare(seeds))
    except Missing as missing:
        sys.stderr.write(f"nginx: {missing}\n")
        return 1
    for name, count in known.most_common():
        sys.stdout.write(f"{count:6} × {name}\n")
    for seed, names in unknown.items():
        sys.stdout.write(f"not explained: seed {seed}: {', '.join(names)}\n")
    sys.stdout.write(f"{len(seeds)} exchanges, {len(unknown)} with unexplained differences\n")
    return 1 if unknown else 0


if __name__ == "__main__":
    sys.exit(main())
