"""`python -m evaluation.standin` runs the stand-in and prints its address as one line of JSON."""

import argparse
import asyncio
import signal

import msgspec

from evaluation.standin.server import serving
from proxy.commands.numbers import port


async def _serve(wanted: int) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with serving(wanted) as (_, listening):
        about = {"port": listening, "url": f"http://127.0.0.1:{listening}"}
        print(msgspec.json.encode(about).decode(), flush=True)
        await stop.wait()


def main() -> None:
    """Serve until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(prog="evaluation.standin", description=__doc__)
    parser.add_argument(
        "--port", type=port, default=0, help="port, 0 for any free one (default: 0)"
    )
    asyncio.run(_serve(parser.parse_args().port))


if __name__ == "__main__":
    main()
