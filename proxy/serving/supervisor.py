"""Keeps the relays and the meter running on sockets that never close.

Rule: the caller comes first.  The listening sockets belong to this process, so that a process that
dies or is replaced refuses nobody; relays stop before the meter, so that every call they finish is
metered.
"""

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from time import monotonic

from proxy.serving.child import Child, StartError, module
from proxy.settings import sources
from proxy.settings.config import Config, Listen

BACKLOG = 1024  # connections that wait while every relay is busy or being replaced
START_S = 60.0  # for the first start: a cold embedded engine takes ten seconds to load
FLUSH_S = 30.0  # for the meter to write what it knows
MARGIN_S = 5.0  # beyond drain_timeout_s, within which a relay ends by itself
SAME_SIGNAL_S = 0.5  # `timeout` and others signal a process and then its group: that is one wish

RELAY = module("proxy.serving.relay_process")
METER = module("proxy.serving.meter_process")

log = logging.getLogger(__name__)


class BindError(Exception):
    """An address cannot be served on; the text says what to do."""


def bind(listen: Listen, key: str) -> socket.socket:
    """A listening socket.  Raises BindError; `key` is the setting that it names, e.g. "proxy"."""
    where = f"{listen.host}:{listen.port}"
    try:
        family, _, _, _, address = socket.getaddrinfo(
            listen.host, listen.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        return socket.create_server(address[:2], family=family, backlog=BACKLOG)
    except PermissionError as error:
        raise BindError(f"{where}: ports below 1024 need a privilege; set {key}.port") from error
    except OSError as error:
        flag = "--port" if key == "proxy" else f"--{key}-port"
        raise BindError(
            f"{where} cannot be served on: {error.strerror}.\n"
            f"Is Taximeter running already?  Choose another port with {flag} N (0: any free one) "
            f"or {key}.port."
        ) from error


class Supervisor:
    """Runs `config.relays` relays and one meter until SIGTERM or SIGINT.

    SIGHUP replaces them one by one, with what `reload` returns; it may raise SettingsError, then
    everything stays as it was.  `lock` is inherited, so that the data directory is free again only
    when the last child is gone.
    """

    def __init__(
        self,
        config: Config,
        proxy: socket.socket,
        console: socket.socket,
        *,
        lock: int | None = None,
        reload: Callable[[], Config] | None = None,
        relay: Sequence[str] = RELAY,
        meter: Sequence[str] = METER,
    ) -> None:
        self.config = config
        self._reload = reload or (lambda: config)
        self._proxy = proxy
        self._console = console
        self._lock = () if lock is None else (lock,)
        self._relay_command = tuple(relay)
        self._meter_command = tuple(meter)
        self._relays: dict[int, Child] = {}  # by slot
        self._retired: dict[int, asyncio.Task[bool]] = {}  # replaced ones that still drain
        self._meter: Child | None = None
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()
        self._asked = 0.0  # when to stop
        self._replacing: asyncio.Task[None] | None = None
        self._asked_again = False
        self._terminal = _has_terminal()

    async def run(
        self, started: Callable[[], None] = lambda: None, *, signals: bool = True
    ) -> bool:
        """Start, call `started` once everything serves, stay, stop in order.

        False: a child had to be killed.  Raises StartError.  Ends at the latest
        drain_timeout_s + FLUSH_S + the margins after the first signal.  With `signals` false only
        `stop` stops it.
        """
        with self._signals() if signals else nullcontext():
            try:
                await self._start()
                if not self._stop.is_set():
                    started()
                await self._stop.wait()
            except BaseException:
                self._hurry.set()
                await self._end()
                raise
            return await self._end()

    @contextmanager
    def _signals(self) -> Iterator[None]:
        handlers = {signal.SIGTERM: self.stop, signal.SIGINT: self.stop}
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # it is, under nohup
            handlers[signal.SIGHUP] = self._on_hangup
        loop = asyncio.get_running_loop()
        for number, handler in handlers.items():
            loop.add_signal_handler(number, handler)
        try:
            yield
        finally:
            for number in handlers:
                loop.remove_signal_handler(number)

    def stop(self) -> None:
        """Begin to stop; asked a second time, hurry."""
        if not self._stop.is_set():
            self._stop.set()
            self._asked = monotonic()
        elif monotonic() - self._asked > SAME_SIGNAL_S and not self._hurry.is_set():
            log.warning("Hurrying: calls in flight are cut off.")
            self._hurry.set()

    async def _start(self) -> None:
        """All at once: relays need not wait for a cold engine.  Raises StartError."""
        self._meter = self._start_meter()
        for slot in range(self.config.relays):
            self._relays[slot] = self._start_relay(slot)
        children = [self._meter, *self._relays.values()]
        serving = asyncio.gather(*(child.serving() for child in children))
        stop = asyncio.create_task(self._stop.wait())
        done, _ = await asyncio.wait(
            (asyncio.ensure_future(serving), stop),
            timeout=START_S,
            return_when=asyncio.FIRST_COMPLETED,
        )
        stop.cancel()
        if serving in done:
            serving.result()
            return
        serving.cancel()
        with suppress(asyncio.CancelledError):
            await serving
        if not self._stop.is_set():
            log.warning("Not everything serves after %.0f s; going on.", START_S)

    def _start_meter(self, *, insist: bool = False) -> Child:
        command = (*self._meter_command, "--console-fd", str(self._console.fileno()))
        return self._child("The meter", command, self._console, insist)

    def _start_relay(self, slot: int, *, insist: bool = False) -> Child:
        """`slot` names its journal: no two relays that live at the same time share one."""
        fd = str(self._proxy.fileno())
        command = (*self._relay_command, "--fd", fd, "--slot", str(slot))
        return self._child(f"Relay {slot}", command, self._proxy, insist)

    def _child(
        self, name: str, command: Sequence[str], served: socket.socket, insist: bool
    ) -> Child:
        fds = (served.fileno(), *self._lock)
        return Child(name, command, fds, sources.dump(self.config), insist=insist)

    def _on_hangup(self) -> None:
        """SIGHUP asks for a replacement, unless it says that our terminal was closed."""
        if self._terminal and not _has_terminal():
            self.stop()
            return
        self._asked_again = True
        if self._replacing is None or self._replacing.done():
            self._replacing = asyncio.create_task(self._replace())

    async def _replace(self) -> None:
        """Once for all that asked before it began; asked meanwhile, once more."""
        while self._asked_again and not self._stop.is_set():
            self._asked_again = False
            try:
                await self._replace_all()
            except TimeoutError:
                log.error("Not everything serves again after %.0f s; it is kept trying.", START_S)

    async def _replace_all(self) -> None:
        """New relays take over one by one, then a new meter; nobody is refused meanwhile."""
        try:
            read = self._reload()
        except sources.SettingsError as error:
            log.error("The configuration is left as it was:\n%s", error)
            return
        kept = self.config  # what other processes know or hold is not changed under them
        self.config = replace(read, data=kept.data, proxy=kept.proxy, console=kept.console)
        for slot in sorted(self._relays):
            if self._stop.is_set() or not await self._replace_relay(slot):
                return
        while len(self._relays) < self.config.relays and not self._stop.is_set():
            slot = self._free_slot()
            self._relays[slot] = self._start_relay(slot, insist=True)
            await asyncio.wait_for(self._relays[slot].serving(), START_S)
        if self._meter is not None and not self._stop.is_set():
            await self._meter.stop(FLUSH_S, self._hurry)
            self._meter = self._start_meter(insist=True)
            await asyncio.wait_for(self._meter.serving(), START_S)
        log.info("Everything was replaced.")

    async def _replace_relay(self, old: int) -> bool:
        """Whether a new relay took over; if it cannot serve, the old one stays."""
        if len(self._relays) <= self.config.relays:
            slot = self._free_slot()
            new = self._start_relay(slot)
            try:
                await asyncio.wait_for(new.serving(), START_S)
            except (StartError, TimeoutError) as error:
                log.error("The old relay stays, a new one does not serve: %s.", error or "too slow")
                await new.stop(MARGIN_S, self._hurry)
                return False
            self._relays[slot] = new
        drain = self._relays.pop(old).stop(self._drain_s, self._hurry)
        self._retired[old] = asyncio.create_task(drain)
        self._retired[old].add_done_callback(lambda _: self._retired.pop(old, None))
        return True

    def _free_slot(self) -> int:
        slot = 0
        while slot in self._relays or slot in self._retired:
            slot += 1
        return slot

    @property
    def _drain_s(self) -> float:
        return self.config.drain_timeout_s + MARGIN_S

    async def _end(self) -> bool:
        """Relays first, so that the meter sees how their calls end.  False: one was killed."""
        self._proxy.close()  # new callers are refused at once and may go elsewhere
        if self._replacing is not None:
            self._replacing.cancel()
            with suppress(asyncio.CancelledError):
                await self._replacing
        draining = [relay.stop(self._drain_s, self._hurry) for relay in self._relays.values()]
        clean = await asyncio.gather(*draining, *self._retired.values())
        if self._meter is not None:
            clean.append(await self._meter.stop(FLUSH_S, self._hurry))
        self._console.close()
        return all(clean)


def _has_terminal() -> bool:
    """Whether this process has a terminal that is still there."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True
