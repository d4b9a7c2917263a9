"""Runs code that a model wrote: in bubblewrap, as an ordinary user, or not at all.

The code sees /usr (read only), an empty /tmp and /work with its own files; no network, no
environment, no other process.  Limits hold for each process (CPU, memory, file size), for their
number, for all output and for the time on the clock, after which the whole group is killed.
Nothing here runs code in any other way: without bubblewrap it raises `NoSandbox`.
"""

import os
import selectors
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from typing import IO, Any

NOBODY = 65534  # the code's user if we are root: Debian's `nobody`
PATH = "/usr/local/bin:/usr/bin:/bin"
READ_BYTES = 65_536
KILL_WAIT_S = 5.0


class NoSandbox(Exception):
    """Code cannot be run here; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one run may use."""

    wall_s: float = 10.0
    cpu_s: int = 10  # of each process
    memory_bytes: int = 1024 * 1024 * 1024  # of each process: its writable private memory
    file_bytes: int = 16 * 1024 * 1024
    disk_bytes: int = 64 * 1024 * 1024  # of all files together, in each of /tmp and /work
    processes: int = 64
    output_bytes: int = 65_536  # standard output and error together


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """How a run ended: its exit code, or None and `why` if we stopped it."""

    code: int | None
    out: str
    err: str
    why: str = ""

    @property
    def ok(self) -> bool:
        return self.code == 0


@cache
def missing() -> str:
    """Why code cannot be run on this machine; "" if it can."""
    if shutil.which("bwrap", path=PATH) is None:
        return "bubblewrap is not installed (apt-get install bubblewrap)"
    try:
        tried = run({}, ("true",))
    except OSError as error:
        return f"bubblewrap does not start: {error.strerror}"
    return "" if tried.ok else f"bubblewrap does not work here: {tried.err.strip()[:200]}"


def require() -> None:
    """Raise NoSandbox if code cannot be run on this machine."""
    if reason := missing():
        raise NoSandbox(reason)


@cache
def has(tool: str) -> bool:
    """Whether a tool is there inside the sandbox."""
    found = shutil.which(tool, path=PATH)
    return found is not None and os.path.realpath(found).startswith("/usr/")


def run(files: Mapping[str, str], argv: Sequence[str], limits: Limits = Limits()) -> Finished:
    """Run `argv` in /work, which holds `files`.  Raises OSError if bubblewrap does not start."""
    with ExitStack() as stack:
        fds = {name: _memory_file(stack, text) for name, text in files.items()}
        command = [*_bubblewrap(fds, limits), *_limited(limits), *argv]
        process = stack.enter_context(
            subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=tuple(fds.values()),
                start_new_session=True,
                **_ordinary_user(),
            )
        )
        try:
            return _watched(process, limits)
        finally:
            _kill(process)


def _memory_file(stack: ExitStack, text: str) -> int:
    """A file without a name that bubblewrap copies into /work."""
    fd = os.memfd_create("sandbox")
    stack.callback(os.close, fd)
    data = memoryview(text.encode("utf-8", "replace"))
    while data:
        data = data[os.write(fd, data) :]
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def _bubblewrap(fds: Mapping[str, int], limits: Limits) -> Iterator[str]:
    yield from ("bwrap", "--unshare-all", "--die-with-parent", "--new-session")
    yield from ("--clearenv", "--cap-drop", "ALL", "--hostname", "sandbox")
    yield from ("--ro-bind", "/usr", "/usr")
    for name in ("bin", "sbin", "lib", "lib64"):  # links into /usr on every merged-usr system
        if os.path.islink(f"/{name}"):
            yield from ("--symlink", f"usr/{name}", f"/{name}")
        elif os.path.isdir(f"/{name}"):
            yield from ("--ro-bind", f"/{name}", f"/{name}")
    yield from ("--proc", "/proc", "--dev", "/dev")
    for place in ("/tmp", "/work"):
        yield from ("--size", str(limits.disk_bytes), "--tmpfs", place)
    for name, fd in fds.items():
        yield from ("--file", str(fd), f"/work/{name}")
    for name, value in (("PATH", PATH), ("HOME", "/work"), ("LANG", "C.UTF-8")):
        yield from ("--setenv", name, value)
    yield from ("--chdir", "/work", "--")


def _limited(limits: Limits) -> Iterator[str]:
    """Set inside, where the number of processes counts those of the sandbox alone.

    Memory is limited as data, not as address space: V8 reserves gigabytes that it never touches.
    """
    yield "prlimit"
    yield f"--cpu={limits.cpu_s}"
    yield f"--data={limits.memory_bytes}"
    yield f"--fsize={limits.file_bytes}"
    yield f"--nproc={limits.processes}"
    yield from ("--nofile=256", "--core=0", "--")


def _ordinary_user() -> dict[str, Any]:
    if os.geteuid() != 0:
        return {}
    return {"user": NOBODY, "group": NOBODY, "extra_groups": []}


def _watched(process: subprocess.Popen[bytes], limits: Limits) -> Finished:
    """Read until the end, the time limit or the output limit."""
    deadline = time.monotonic() + limits.wall_s
    read: dict[str, bytearray] = {"out": bytearray(), "err": bytearray()}
    why = ""
    with selectors.DefaultSelector() as selector:
        for name, pipe in (("out", process.stdout), ("err", process.stderr)):
            selector.register(_open(pipe), selectors.EVENT_READ, name)
        while selector.get_map() and not why:
            left = deadline - time.monotonic()
            if left <= 0:
                why = f"stopped after {limits.wall_s:g} s"
                break
            for key, _ in selector.select(left):
                piece = os.read(key.fd, READ_BYTES)
                if not piece:
                    selector.unregister(key.fileobj)
                read[key.data] += piece
            if sum(map(len, read.values())) > limits.output_bytes:
                why = f"stopped after {limits.output_bytes:,} bytes of output"
    code = None
    if not why:
        try:
            code = process.wait(max(deadline - time.monotonic(), 0.1))
        except subprocess.TimeoutExpired:  # it closed its output and went on
            why = f"stopped after {limits.wall_s:g} s"
    out, err = (bytes(read[n][: limits.output_bytes]).decode("utf-8", "replace") for n in read)
    return Finished(code=code, out=out, err=err, why=why)


def _open(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None
    return pipe


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End the group.  With the first process of the sandbox, the kernel ends all others in it."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(KILL_WAIT_S)
