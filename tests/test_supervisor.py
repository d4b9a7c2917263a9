"""Children are restarted, stop in order, and no caller is refused meanwhile."""

import argparse
import asyncio
import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from time import monotonic

import pytest

from proxy.commands.serve import usable_configuration
from proxy.serving.child import BACKOFF_S, RESTART_S, StartError
from proxy.serving.listening import BindError, bind
from proxy.serving.supervisor import Supervisor
from proxy.settings.config import Config, Listen
from support.patience import PATIENCE_S

ROOT = Path(__file__).parents[1]
# A child that keeps the contract: it answers each connection with what it is, and notes what
# happens to it.  `mood` makes it misbehave.
CHILD = """
import argparse, json, os, select, signal, socket, sys, threading
p = argparse.ArgumentParser()
p.add_argument("kind"); p.add_argument("mood"); p.add_argument("log")
for name in ("--fd", "--console-fd", "--slot", "--ready-fd"):
    p.add_argument(name, type=lambda text: int(text.split(",")[0]))
a = p.parse_args()
def note(what):
    with open(a.log, "a") as f:
        f.write(json.dumps([a.kind, a.slot, os.getpid(), what]) + "\\n")
if a.mood == "dies" or (a.mood == "dies later" and os.path.exists(a.log + ".dead")):
    sys.exit(9)
config = json.loads(sys.stdin.readline())
note("relays=%d" % config["relays"])
terms = 0
def on_term(*_):
    global terms
    terms += 1
    note("term")
    if a.mood != "slow" or terms > 1:
        note("bye"); os._exit(0)
signal.signal(signal.SIGTERM, on_term)
signal.signal(signal.SIGUSR1, lambda *_: note("unready"))
def hold_term(how):  # so that an accepted caller gets an answer
    signal.pthread_sigmask(how, {signal.SIGTERM})
def eof():
    sys.stdin.read(); note("eof"); os._exit(0)
hold_term(signal.SIG_BLOCK)  # for the thread, which inherits it
threading.Thread(target=eof, daemon=True).start()
hold_term(signal.SIG_UNBLOCK)
s = socket.socket(fileno=a.fd if a.fd is not None else a.console_fd)
s.setblocking(False)
os.write(a.ready_fd, b"1")
while True:
    select.select([s], [], [], 0.2)  # a signal that came just before it would not wake it
    hold_term(signal.SIG_BLOCK)
    try:
        c, _ = s.accept()
        c.sendall(json.dumps([a.kind, a.slot, os.getpid()]).encode()); c.close()
    except BlockingIOError:
        pass  # another relay was faster
    hold_term(signal.SIG_UNBLOCK)
"""


class World:
    """A supervisor of pretend children, and what they report."""

    def __init__(self, tmp_path: Path, relays: int = 1, mood: str = "good") -> None:
        self.log = tmp_path / "log"
        self.log.touch()
        self.config = Config(data=tmp_path, relays=relays, drain_timeout_s=20)
        self.proxy = bind(Listen(port=0), "proxy")
        self.console = bind(Listen(port=0), "console")
        self.port = self.proxy.port
        self.console_port = self.console.port
        command = (sys.executable, "-c", CHILD)
        self.supervisor = Supervisor(
            self.config,
            self.proxy,
            self.console,
            reload=lambda: self.config,
            relay=(*command, "relay", mood, str(self.log)),
            meter=(*command, "meter", "good", str(self.log)),
        )

    def ask(self, port: int) -> tuple[str, int | None, int]:
        """(kind, slot, pid) of who answers."""
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as connection:
            kind, slot, pid = json.loads(connection.makefile("rb").read())
        return kind, slot, pid

    async def relay(self) -> int:
        """Pid of a relay that answers."""
        return (await asyncio.to_thread(self.ask, self.port))[2]

    def said(self) -> list[tuple[str, str]]:
        """(kind, what) in the order of happening."""
        lines = map(json.loads, self.log.read_text().splitlines())
        return [(kind, what) for kind, _, _, what in lines]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.Task[bool]]:
        """While everything serves; stopped at the end unless it was."""
        started = asyncio.Event()
        task = asyncio.create_task(self.supervisor.run(started.set))
        await asyncio.wait_for(started.wait(), PATIENCE_S)
        try:
            yield task
        finally:
            self.supervisor.stop()
            await asyncio.wait_for(task, PATIENCE_S)


async def eventually(check: Callable[[], Awaitable[bool]], within_s: float = PATIENCE_S) -> float:
    """Seconds until `check` holds."""
    began = monotonic()
    while not await check():
        assert monotonic() - began < within_s
        await asyncio.sleep(0.02)
    return monotonic() - began


async def test_children_serve_and_get_the_configuration(tmp_path: Path) -> None:
    """Relays share one port, the meter has the other, and each reads the whole Config."""
    world = World(tmp_path, relays=2)
    async with world.running():
        assert (await asyncio.to_thread(world.ask, world.console_port))[0] == "meter"
        assert (await asyncio.to_thread(world.ask, world.port))[0] == "relay"
    assert world.said().count(("relay", "relays=2")) == 2
    assert world.said().count(("meter", "relays=2")) == 1


def pauses(text: str) -> list[float]:
    """Seconds before each restart by the log."""
    return [float(told) for told in re.findall(r"restarting in ([\d.]+) s", text)]


async def test_a_dead_relay_is_back_at_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A caller that connects meanwhile waits and is served; nobody is refused."""
    world = World(tmp_path)
    async with world.running():
        first = await world.relay()
        os.kill(first, signal.SIGKILL)
        await asyncio.sleep(0.05)  # the signal takes effect a moment later
        assert await world.relay() != first
    assert "Relay 0 was killed by SIGKILL" in caplog.text
    assert pauses(caplog.text) == [RESTART_S]


async def test_a_relay_that_is_killed_again_and_again_is_back_each_time(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A process that had served is restarted quickly each time: its callers are waiting."""
    world = World(tmp_path)
    async with world.running():
        for _ in range(4):
            os.kill(await world.relay(), signal.SIGKILL)
            await asyncio.sleep(0.05)
            await world.relay()
    assert len(pauses(caplog.text)) == 4
    assert max(pauses(caplog.text)) <= BACKOFF_S


async def test_a_dead_meter_is_back_and_relays_do_not_notice(tmp_path: Path) -> None:
    """Either side may die without the other."""
    world = World(tmp_path)
    async with world.running():
        relay = await world.relay()
        meter = (await asyncio.to_thread(world.ask, world.console_port))[2]
        os.kill(meter, signal.SIGKILL)
        await asyncio.sleep(0.05)
        assert (await asyncio.to_thread(world.ask, world.console_port))[2] != meter
        assert await world.relay() == relay


@pytest.mark.thorough
async def test_one_that_dies_at_once_is_tried_less_often(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The pause doubles, and the log says why and for how long."""
    world = World(tmp_path, mood="dies later")
    async with world.running():
        (tmp_path / "log.dead").touch()
        os.kill(await world.relay(), signal.SIGKILL)

        async def third() -> bool:
            return "restarting in 2.0 s" in caplog.text

        await eventually(third)
        assert "restarting in 0.5 s" in caplog.text
        assert "Relay 0 exited with code 9" in caplog.text
        world.supervisor.stop()  # does not wait for the pause to end


async def test_relays_stop_before_the_meter(tmp_path: Path) -> None:
    """So the meter sees the end of every call."""
    world = World(tmp_path, relays=2)
    async with world.running() as task:
        os.kill(os.getpid(), signal.SIGTERM)
        assert await asyncio.wait_for(task, PATIENCE_S) is True
    ends = [kind for kind, what in world.said() if what in ("term", "bye")]
    assert ends == ["relay"] * 4 + ["meter"] * 2


async def test_a_second_signal_hurries(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A draining relay gets a second signal, well before its drain timeout."""
    world = World(tmp_path, mood="slow")
    async with world.running() as task:
        os.kill(os.getpid(), signal.SIGINT)

        async def told() -> bool:
            return ("relay", "term") in world.said()

        await eventually(told)
        os.kill(os.getpid(), signal.SIGINT)  # at once, as from a process group: the same wish
        await asyncio.sleep(0.6)
        assert not task.done()
        began = monotonic()
        os.kill(os.getpid(), signal.SIGINT)
        assert await asyncio.wait_for(task, PATIENCE_S) is True
        assert monotonic() - began < 5
    assert "Second signal: cutting off calls in flight." in caplog.text
    assert world.said().count(("relay", "term")) == 2


async def test_one_that_does_not_end_is_killed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopping takes a limited time, and the result says that it was not clean."""
    monkeypatch.setattr("proxy.serving.supervisor.MARGIN_S", 0.0)
    world = World(tmp_path, mood="slow")
    world.supervisor.config = replace(world.config, drain_timeout_s=0.2)
    async with world.running() as task:
        world.supervisor.stop()
        assert await asyncio.wait_for(task, PATIENCE_S) is False
    assert "Relay 0 did not exit in time; killing it." in caplog.text


async def test_sighup_replaces_everything_and_refuses_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """New relays take over one by one with the new configuration, while callers keep coming."""
    caplog.set_level(logging.INFO)
    world = World(tmp_path, relays=2)
    async with world.running():
        before = {await world.relay() for _ in range(20)}
        world.config = replace(world.config, relays=3, proxy=Listen(port=1))
        os.kill(os.getpid(), signal.SIGHUP)
        answered: set[int] = set()

        async def replaced() -> bool:
            answered.add(await world.relay())  # raises if the connection is refused
            return "Everything was replaced." in caplog.text

        await eventually(replaced)
        after = {await world.relay() for _ in range(40)}
        assert not before & after
        assert world.supervisor.config.proxy.port == 4000  # a socket is not changed under callers
        assert (await asyncio.to_thread(world.ask, world.console_port))[0] == "meter"
    assert world.said().count(("relay", "relays=3")) == 3
    assert world.said().count(("meter", "relays=3")) == 1


async def test_sighup_during_a_replacement_is_not_forgotten(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A configuration changed while processes are being replaced takes effect as well."""
    caplog.set_level(logging.INFO)
    world = World(tmp_path)
    async with world.running():
        os.kill(os.getpid(), signal.SIGHUP)
        await asyncio.sleep(0.02)  # the replacement has begun
        world.config = replace(world.config, relays=2)
        os.kill(os.getpid(), signal.SIGHUP)

        async def twice() -> bool:
            return caplog.text.count("Everything was replaced.") == 2

        await eventually(twice)
    assert ("relay", "relays=2") in world.said()


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("colour = 1", "colour"),
        ("[metering]\ntariffs = '{tmp}'", "own.toml:1: unknown key 'colour'"),
        (
            "[console]\ntls_cert = '{tmp}/own.toml'\ntls_key = '{tmp}/own.toml'",
            "console.tls_cert: cannot load it",
        ),
    ],
)
async def test_sighup_with_mistakes_changes_nothing(
    text: str, mistake: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A mistake in the configuration or in a file that it names: nothing is replaced."""
    world = World(tmp_path)
    config = tmp_path / "taximeter.toml"
    config.write_text(text.format(tmp=tmp_path))
    (tmp_path / "own.toml").write_text("colour = 1")
    arguments = argparse.Namespace(config=str(config))
    world.supervisor._reload = lambda: usable_configuration(arguments)
    async with world.running():
        relay = await world.relay()
        os.kill(os.getpid(), signal.SIGHUP)

        async def told() -> bool:
            return "Reload failed; keeping the previous configuration" in caplog.text

        await eventually(told)
        assert mistake in caplog.text
        assert await world.relay() == relay
    assert world.said().count(("meter", "relays=1")) == 1


async def test_an_ignored_sighup_stays_ignored(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Under nohup a closing terminal replaces and stops nothing; SIGTERM still stops it."""
    caplog.set_level(logging.INFO)
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    world = World(tmp_path)
    try:
        async with world.running() as task:
            relay = await world.relay()
            os.kill(os.getpid(), signal.SIGHUP)
            await asyncio.sleep(0.1)
            assert world.supervisor._replacing is None
            assert await world.relay() == relay
            assert not task.done()
            os.kill(os.getpid(), signal.SIGTERM)
            assert await asyncio.wait_for(task, PATIENCE_S) is True
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
    assert "replaced" not in caplog.text


def test_children_of_tests_heed_sighup() -> None:
    """Started under nohup, the suite still starts processes with the signal at its default."""
    said = (
        "import signal, subprocess, sys; from support import hangup; hangup.reset_in_children();"
        "ask = 'import signal; print(signal.getsignal(signal.SIGHUP).name)';"
        "subprocess.run([sys.executable, '-c', ask], check=True)"
    )
    ran = subprocess.run(
        ["sh", "-c", "trap '' HUP; exec \"$@\"", "sh", sys.executable, "-c", said],
        env={**os.environ, "PYTHONPATH": str(ROOT / "tests")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout == "SIG_DFL\n"


async def test_a_new_relay_that_cannot_serve_leaves_the_old_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A broken update does not take the service down."""
    world = World(tmp_path, mood="dies later")
    async with world.running():
        relay = await world.relay()
        (tmp_path / "log.dead").touch()
        os.kill(os.getpid(), signal.SIGHUP)

        async def told() -> bool:
            return "Keeping the old relay: its replacement failed to start" in caplog.text

        await eventually(told)
        assert await world.relay() == relay


async def test_failing_at_the_first_start_is_an_error(tmp_path: Path) -> None:
    """The person who starts it gets the reason, and nothing is left running."""
    world = World(tmp_path, mood="dies")
    with pytest.raises(StartError, match=r"Relay 0 exited with code 9 .* before it could"):
        await asyncio.wait_for(world.supervisor.run(), PATIENCE_S)
    assert world.said() in ([], [("meter", "relays=1"), ("meter", "term"), ("meter", "bye")])


async def test_children_notice_that_the_supervisor_is_gone(tmp_path: Path) -> None:
    """After kill -9 their standard input ends."""
    driver = (
        "import asyncio, sys\nfrom pathlib import Path\nfrom test_supervisor import World\n"
        "world = World(Path(sys.argv[1]))\n"
        "asyncio.run(world.supervisor.run(lambda: print('up', flush=True)))\n"
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", driver, str(tmp_path)),
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "tests")))},
    )
    assert process.stdout is not None
    assert await asyncio.wait_for(process.stdout.readline(), PATIENCE_S) == b"up\n"
    process.kill()
    await process.wait()

    async def both_gone() -> bool:
        lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
        return {line[0] for line in lines if line[3] == "eof"} == {"relay", "meter"}

    await eventually(both_gone)


def test_a_taken_port_is_explained() -> None:
    """The message names the address and says what to do."""
    with bind(Listen(port=0), "proxy") as taken:
        port = taken.port
        with pytest.raises(BindError, match=rf"Cannot listen on 127\.0\.0\.1:{port}: .*in use"):
            bind(Listen(port=port), "proxy")
        with pytest.raises(BindError, match=r"--console-port N"):
            bind(Listen(port=port), "console")


@pytest.mark.parametrize("host", ["192.0.2.1", "nowhere.invalid", "2001:db8::1"])
def test_an_address_of_another_machine_is_explained(host: str) -> None:
    """Another port would not help."""
    with pytest.raises(BindError, match=r"Is proxy\.host an address of this machine\?") as told:
        bind(Listen(host=host, port=4000), "proxy")
    assert "another port" not in str(told.value)


def test_a_port_is_free_again_at_once() -> None:
    """A restart does not wait for the last connections' TIME_WAIT."""
    with bind(Listen(port=0), "proxy") as first:
        port = first.port
        with socket.create_connection(("127.0.0.1", port)) as caller:
            accepted, _ = first.sockets[0].accept()
            accepted.close()
            with suppress(OSError):
                caller.recv(1)
    bind(Listen(port=port), "proxy").close()
