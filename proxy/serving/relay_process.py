"""The relay as a process: `python -m proxy.serving.relay_process --fd N --slot K --ready-fd M`.

The configuration comes as one line of JSON on standard input; the end of the input means that the
supervisor is gone.  The listening sockets are inherited and may be shared with other relays.  On
SIGTERM, or at the end of the input, calls in flight may finish within `Config.drain_timeout_s`; a
second SIGTERM cuts them off.
"""

import argparse
import asyncio
import logging
import sys
from functools import partial

import uvloop

from proxy.door.door import GatewayDoor
from proxy.gate.gate import REFRESH_S, Gate
from proxy.gate.keeper import Keeper
from proxy.journal.in_flight import InFlight
from proxy.journal.journal import Journal
from proxy.metering.book import tariff_book
from proxy.network import server_tls
from proxy.relay.acceptor import Acceptor
from proxy.relay.lag import LoopLag
from proxy.relay.relay import Relay
from proxy.serving import instance, process
from proxy.settings.config import Config
from proxy.settings.places import Places

log = logging.getLogger(__name__)


async def serve(config: Config, fds: str, slot: int, ready_fd: int) -> None:
    """Serve until asked to stop, then let calls finish.  Raises OSError if it cannot start."""
    stop, hurry = process.signals()
    journal = Journal(Places(config.data).calls, f"relay{slot}", config.journal)
    lag, crowd = LoopLag(journal), InFlight(Places(config.data).calls, journal)
    gate = Gate(Places(config.data), lambda: journal.writer, config.budgets)
    keeper = Keeper(gate, config.key_names, partial(tariff_book, config))
    try:
        stale = partial(journal.counters.add, "stale_connections")
        relay = Relay(config, journal, stale, keeper, instance.name(config.data))
        relay.in_flight = crowd.count
        relay.door = GatewayDoor(config, relay, partial(tariff_book, config))
        refreshing = asyncio.create_task(refresh(keeper))
        process.on_lame_duck(relay.turn_unready)
        callers = relay.callers()
        connect = partial(relay.connection, callers)
        acceptor = Acceptor(process.inherited(fds), connect, server_tls(config.proxy))
        process.tell_ready(ready_fd)
        await stop.wait()
        await acceptor.stop()
        await relay.finish(callers, config.drain_timeout_s, hurry)
        refreshing.cancel()
    finally:
        gate.close()
        lag.stop()
        crowd.stop()
        journal.close()


async def refresh(keeper: Keeper) -> None:
    """Bring changed budgets into force."""
    while True:
        await asyncio.sleep(REFRESH_S)
        try:
            keeper.refresh()
        except Exception:
            log.exception("Cannot take up changed budgets; still retrying.")


def main() -> None:
    """Entry point of the process.  Exits with 1 and logs the reason if it cannot serve."""
    parser = argparse.ArgumentParser(prog="taximeter relay")
    parser.add_argument("--fd", required=True, help="the listening sockets, with commas between")
    parser.add_argument("--slot", type=int, default=0, help="a number for its journal")
    parser.add_argument("--ready-fd", type=int, default=-1, help="gets a byte once it serves")
    arguments = parser.parse_args()
    process.begin()
    process.keep_freed_memory()
    try:
        config = process.configuration()
        uvloop.run(serve(config, arguments.fd, arguments.slot, arguments.ready_fd))
    except (OSError, ValueError) as error:
        log.error("Cannot start the relay: %s.", error)
        sys.exit(1)


if __name__ == "__main__":
    main()
