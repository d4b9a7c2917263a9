"""`python -m evaluation.standin` runs the stand-in and prints its address as one line of JSON."""

import argparse
import asyncio
import signal
from collections.abc import Mapping

import msgspec

from evaluation.standin.server import serving
from evaluation.standin.skill import Skill, skill
from evaluation.standin.steering import Steering, parse
from evaluation.suites import reader
from proxy.commands.numbers import port


async def _serve(wanted: int, known: Skill | None, steering: Mapping[str, str]) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with serving(wanted, skill=known, steering=steering) as (_, listening):
        about = {"port": listening, "url": f"http://127.0.0.1:{listening}"}
        print(msgspec.json.encode(about).decode(), flush=True)
        await stop.wait()


def main() -> None:
    """Serve until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(prog="evaluation.standin", description=__doc__)
    parser.add_argument(
        "--port", type=port, default=0, help="port, 0 for any free one (default: 0)"
    )
    parser.add_argument("--suite", metavar="SUITE", help="answer the cases of this suite")
    help = "how often models answer them right, such as gpt-5.4-mini=0.8,claude-haiku-4-5=0.6"
    parser.add_argument("--quality", default="", metavar="NAMES", help=help)
    help = "what to do with calls that do not say it, such as first-token-s=0.5,crowd=8"
    parser.add_argument("--steer", default="", metavar="NAMES", help=help)
    options = parser.parse_args()
    steering = parse(options.steer) if options.steer else {}
    try:
        msgspec.convert(steering, Steering, strict=False)
    except msgspec.ValidationError as error:
        parser.error(f"--steer: {error}")
    known = None
    if options.suite:
        pairs = (pair.partition("=") for pair in options.quality.split(",") if pair)
        quality = {model: float(share) for model, _, share in pairs}
        known = skill(reader.read(options.suite).cases, quality)
    asyncio.run(_serve(options.port, known, steering))


if __name__ == "__main__":
    main()
