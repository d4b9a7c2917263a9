"""The proxy that a run goes through: that of the running `serve`, else one of its own.

A proxy of its own serves from the configured data directory on free ports while the run lasts, so
its calls and results are in the same store as everything else.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from types import MappingProxyType

import msgspec

from exporters.evaluation import Evaluation
from proxy.commands import upstreams
from proxy.commands.console_client import ask, request
from proxy.commands.serve import prepared
from proxy.serving.child import StartError
from proxy.serving.instance import alive, find
from proxy.settings.config import Config, ConsoleListen, Listen

PATH = "/api/evaluations"
WRITE_TIMEOUT_S = 120.0
CAUGHT_UP_S = 30.0  # for the rows of the last calls
STORE_S = 60.0  # for a store that has just been started
POLL_S = 0.3


def running(config: Config) -> str:
    """The URL of the proxy that serves from this data directory; "" if none does."""
    instance = find(config.data)
    return instance.proxy_url if instance and alive(instance.pid) else ""


def with_upstreams(config: Config) -> Config:
    """Providers at the addresses that the base-URL variables of SDKs name, as `run` reads them."""
    configured = {p.name: p.base_url for p in config.providers.values()}
    found = upstreams.read(os.environ, configured)
    providers = dict(config.providers)
    for name, base_url in found.base_urls.items():
        providers[name] = replace(providers[name], base_url=base_url)
    return replace(config, providers=MappingProxyType(providers))


@asynccontextmanager
async def proxied(config: Config) -> AsyncIterator[str]:
    """The URL of a proxy, for as long as the block lasts.

    Raises StartError, TakenError, BindError and OSError if one of its own does not start.
    """
    if url := running(config):
        yield url
        return
    own = replace(
        config, proxy=Listen(port=0, token=config.proxy.token), console=ConsoleListen(port=0)
    )
    with prepared(own) as (supervisor, instance):
        started = asyncio.Event()
        serving = asyncio.create_task(supervisor.run(started.set, signals=False))
        waiting = asyncio.create_task(started.wait())
        try:
            await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            if serving.done():
                serving.result()
                raise StartError("it stopped while it was starting")
            await _store_opened(own)
            yield instance.proxy_url
        finally:
            supervisor.stop()
            await serving


async def _store_opened(config: Config) -> None:
    """Wait until the store can be read: on a busy machine a chDB directory opens after the proxy.

    Who needs it meets the error if it takes longer than `STORE_S`.
    """
    with suppress(TimeoutError):
        async with asyncio.timeout(STORE_S):
            while True:
                with suppress(OSError):
                    await asyncio.to_thread(ask, config, PATH, {})
                    return
                await asyncio.sleep(POLL_S)


async def write(config: Config, evaluation: Evaluation) -> None:
    """Store runs and results by the running console.  Raises OSError if it cannot."""
    await asyncio.to_thread(_write, config, msgspec.json.encode(evaluation))


def _write(config: Config, body: bytes) -> None:
    with request(config, PATH, method="POST", timeout_s=WRITE_TIMEOUT_S, data=body) as answer:
        if answer is None:
            raise OSError("no console is running")
        answer.read()


async def calls(config: Config, run_id: str) -> int:
    """How many calls of a run are in the store.  Raises OSError."""
    found = await asyncio.to_thread(ask, config, f"{PATH}/{run_id}", {})
    return sum(int(each["calls"]) for each in found["calls"]) if found else 0


async def caught_up(config: Config, run_id: str, count: int) -> bool:
    """Whether so many calls of the run have reached the store, after a while at most."""
    with suppress(TimeoutError):
        async with asyncio.timeout(CAUGHT_UP_S):
            while await calls(config, run_id) < count:
                await asyncio.sleep(POLL_S)
            return True
    return False
