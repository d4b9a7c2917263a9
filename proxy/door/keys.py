"""Reads providers' keys from where the configuration says they are.  No message quotes a key."""

import os
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from proxy.gateway.options import GatewayOptions, KeyOptions

COMMAND_TIMEOUT_S = 30.0
BYTES_MAX = 16 * 1024
ENV, FILE, COMMAND = "env", "file", "command"
HERE = "key"  # the key itself, which no settings file may have


def resolve(key: KeyOptions, environ: Mapping[str, str]) -> str:
    """The key.  Raises ValueError that says where it is missing; a command may take a while."""
    kind, _, where = key.value.partition(":")
    sources = {ENV: _from_variable, FILE: _from_file, COMMAND: _from_command}
    try:
        found = sources[kind](where, environ)
    except OSError as error:
        raise ValueError(f"cannot read it ({error.strerror or type(error).__name__})") from None
    except (subprocess.SubprocessError, UnicodeDecodeError) as error:
        raise ValueError(f"cannot read it ({type(error).__name__})") from None
    found = found.strip()
    if not found:
        raise ValueError("it is empty")
    if not found.isascii() or not found.isprintable():
        raise ValueError("it has characters that no header may have")
    return found


def read(
    gateway: GatewayOptions, environ: Mapping[str, str], missing: Callable[[str], None]
) -> GatewayOptions:
    """`gateway` with the keys in place of where they are; `missing` is told of the others.

    Only the process that starts the relays does this: they inherit no such variables.
    """
    found = {}
    for name, key in gateway.keys.items():
        try:
            found[name] = replace(key, value=f"{HERE}:{resolve(key, environ)}")
        except ValueError as error:
            missing(f"gateway.keys.{name}: {error}")
    return replace(gateway, keys=MappingProxyType({**gateway.keys, **found}))


def here(gateway: GatewayOptions) -> dict[str, str]:
    """The keys that `read` found, by name."""
    pairs = ((name, key.value.partition(":")) for name, key in gateway.keys.items())
    return {name: secret for name, (kind, _, secret) in pairs if kind == HERE}


def problem(key: KeyOptions, environ: Mapping[str, str]) -> str:
    """Why a key cannot be read; "" if it can.  A command is looked for, not run."""
    kind, _, where = key.value.partition(":")
    if kind == COMMAND:
        program = _words(where)[:1]
        found = program and shutil.which(program[0], path=environ.get("PATH", os.defpath))
        return "" if found else "its command was not found"
    try:
        resolve(key, environ)
    except ValueError as error:
        return str(error)
    return ""


def problems(keys: Mapping[str, KeyOptions], environ: Mapping[str, str]) -> Iterator[str]:
    """What is wrong with each that cannot be read."""
    for name, key in keys.items():
        if why := problem(key, environ):
            yield f"gateway.keys.{name}: {why}"


def _from_variable(name: str, environ: Mapping[str, str]) -> str:
    if not environ.get(name):
        raise ValueError(f"environment variable {name} is not set")
    return environ[name]


def _from_file(where: str, _: Mapping[str, str]) -> str:
    with Path(where).expanduser().open("rb") as file:
        return file.read(BYTES_MAX).decode()


def _from_command(where: str, environ: Mapping[str, str]) -> str:
    """Standard output.  No shell takes part."""
    done = subprocess.run(
        _words(where),
        env=dict(environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        timeout=COMMAND_TIMEOUT_S,
        check=False,
    )
    if done.returncode:
        raise ValueError(f"its command failed with exit code {done.returncode}")
    return done.stdout[:BYTES_MAX].decode()


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError as error:
        raise ValueError(f"its command has a mistake: {error}") from None
