"""Keeps the relays and the meter running, on listening sockets that stay open.

The caller comes first: this process owns the listening sockets, so nobody is refused while another
process dies or is replaced.  Relays stop before the meter, so every call they finish is metered.
"""

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from time import monotonic

from pricing import TariffError
from proxy.journal import in_flight
from proxy.serving.child import Child, StartError, module
from proxy.serving.late_meter import LateMeter
from proxy.serving.listening import Listening
from proxy.settings import sources
from proxy.settings.config import Config
from proxy.settings.places import Places

START_S = 60.0  # for a start: loading the embedded engine takes ten seconds from a cold disk
FLUSH_S = 30.0  # for the meter to write what it has
MARGIN_S = 5.0  # beyond drain_timeout_s, after which a relay exits by itself
SAME_SIGNAL_S = 0.5  # `timeout` and others signal a process, then its group: count that as one

RELAY = (*module("proxy.serving.start"), "proxy.serving.relay_process")
METER = (*module("proxy.serving.start"), "proxy.serving.meter_process")

log = logging.getLogger(__name__)


class Supervisor:
    """Runs `config.relays` relays and one meter until SIGTERM or SIGINT.

    SIGHUP replaces them one by one, with the configuration that `reload` returns; if it raises
    SettingsError, TariffError or OSError, nothing is replaced.  Children inherit `lock`, so the
    data directory is free again only when the last of them is gone.  With `late_meter`, there is no
    meter before the first call, and none at all without one.
    """

    def __init__(
        self,
        config: Config,
        proxy: Listening,
        console: Listening,
        *,
        lock: int | None = None,
        reload: Callable[[], Config] | None = None,
        late_meter: bool = False,
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
        self._retired: dict[int, asyncio.Task[bool]] = {}  # replaced, still draining
        self._meter: Child | None = None
        self._late_meter = late_meter
        self._late: LateMeter | None = None
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()
        self._lame_duck_s = config.lame_duck_s
        self._stop_asked = 0.0  # when `stop` was first called
        self._replacing: asyncio.Task[None] | None = None
        self._reload_asked = False
        self._terminal = _has_terminal()

    async def run(
        self, started: Callable[[], None] = lambda: None, *, signals: bool = True
    ) -> bool:
        """Start all, call `started` once everything serves, and stop in order when asked to.

        False: a child had to be killed.  Raises StartError.  Takes at most lame_duck_s +
        drain_timeout_s + FLUSH_S + the margins after the first signal.  With `signals` false
        only `stop` stops it.
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

    @property
    def metered(self) -> bool:
        """Whether a meter was ever started."""
        return self._meter is not None

    @contextmanager
    def _signals(self) -> Iterator[None]:
        handlers = {signal.SIGTERM: self.stop, signal.SIGINT: self.interrupt}
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

    def interrupt(self) -> None:
        """Begin to stop because somebody at a terminal wants it: nobody is served for longer."""
        if not self._stop.is_set():
            self._lame_duck_s = 0.0
            if calls := in_flight.counted(Places(self.config.data).calls):
                log.warning(
                    "Waiting for %d %s in flight, for up to %g s. Press Ctrl-C again to cut off "
                    "what is left.", calls, "call" if calls == 1 else "calls",
                    self.config.drain_timeout_s,
                )  # fmt: skip
        self.stop()

    def stop(self) -> None:
        """Begin to stop; when called a second time, hurry."""
        if not self._stop.is_set():
            for child in (*self._relays.values(), self._meter):
                if child is not None:
                    child.announce_end()
            self._stop.set()
            self._stop_asked = monotonic()
        elif monotonic() - self._stop_asked > SAME_SIGNAL_S and not self._hurry.is_set():
            log.warning("Second signal: cutting off calls in flight.")
            self._hurry.set()

    async def _start(self) -> None:
        """Start all at once: relays need not wait for the engine to load.  Raises StartError."""
        if self._late_meter:
            self._late = LateMeter(self.config.data, self._start_meter)
        else:
            self._meter = self._start_meter()
        for slot in range(self.config.relays):
            self._relays[slot] = self._start_relay(slot)
        children = [*self._relays.values(), *filter(None, [self._meter])]
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
            log.warning("Not all processes serve after %.0f s; continuing anyway.", START_S)

    def _start_meter(self, *, insist: bool = False) -> Child:
        command = (*self._meter_command, "--console-fd", _named(self._console))
        return self._child("The meter", command, self._console, insist)

    def _start_relay(self, slot: int, *, insist: bool = False) -> Child:
        """`slot` names its journal: no two relays that run at the same time share one."""
        command = (*self._relay_command, "--fd", _named(self._proxy), "--slot", str(slot))
        return self._child(f"Relay {slot}", command, self._proxy, insist)

    def _child(self, name: str, command: Sequence[str], served: Listening, insist: bool) -> Child:
        fds = (*served.filenos, *self._lock)
        return Child(name, command, fds, sources.dump(self.config), insist=insist)

    def _on_hangup(self) -> None:
        """Replace all processes; but stop if SIGHUP means that the terminal was closed."""
        if self._terminal and not _has_terminal():
            self.stop()
            return
        self._reload_asked = True
        if self._replacing is None or self._replacing.done():
            self._replacing = asyncio.create_task(self._replace())

    async def _replace(self) -> None:
        """Replace all, and once more if another SIGHUP came meanwhile."""
        while self._reload_asked and not self._stop.is_set():
            self._reload_asked = False
            try:
                await self._replace_all()
            except TimeoutError:
                log.error("Not all processes serve again after %.0f s; still retrying.", START_S)

    async def _replace_all(self) -> None:
        """Replace relays one by one, then the meter; nobody is refused meanwhile."""
        try:
            read = await asyncio.to_thread(self._reload)  # it may read many tariffs
        except (sources.SettingsError, TariffError, OSError) as error:
            log.error("Reload failed; keeping the previous configuration:\n%s", error)
            return
        kept = self.config  # the directory and the sockets are in use and cannot change
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
        """Whether a new relay took over; if it fails to start, the old one stays."""
        if len(self._relays) <= self.config.relays:
            slot = self._free_slot()
            new = self._start_relay(slot)
            try:
                await asyncio.wait_for(new.serving(), START_S)
            except (StartError, TimeoutError) as error:
                why = str(error) or f"no response after {START_S:.0f} s"
                log.error("Keeping the old relay: its replacement failed to start: %s.", why)
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
        """Stop the relays, then the meter, which sees how calls end.  False: one was killed."""
        with suppress(TimeoutError):  # new callers are served until balancers have noticed
            await asyncio.wait_for(self._hurry.wait(), self._lame_duck_s)
        self._proxy.close()  # from here on they are refused, and can go elsewhere
        if self._replacing is not None:
            self._replacing.cancel()
            with suppress(asyncio.CancelledError):
                await self._replacing
        draining = [relay.stop(self._drain_s, self._hurry) for relay in self._relays.values()]
        clean = await asyncio.gather(*draining, *self._retired.values())
        if self._late is not None:
            clean.append(await self._late.serves(START_S, self._hurry))
            self._meter = self._late.child
        if self._meter is not None:
            clean.append(await self._meter.stop(FLUSH_S, self._hurry))
        self._console.close()
        return all(clean)


def _named(listening: Listening) -> str:
    """Its descriptors, as a child's command line has them."""
    return ",".join(map(str, listening.filenos))


def _has_terminal() -> bool:
    """Whether this process has a terminal that is still open."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True
