"""`taximeter audit prove`: that a call is in the tree, or that the tree only grew since a head.

Asks the running console, whose process owns tree and store; without one, opens both.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import msgspec

from exporters.clickhouse.store import Store
from exporters.evidence.head import Head, heads_in
from exporters.evidence.tree import is_consistent
from exporters.record import TransientError
from proxy.commands import audit_source, audited, terminal
from proxy.commands.arguments import Actions, common_again
from proxy.commands.audit_evidence import signed
from proxy.commands.console_client import request
from proxy.commands.stored import stored_configuration
from proxy.commands.terminal import Exit
from proxy.console.audit_api import ChangeMade
from proxy.console.evidence_api import EXTENSION_PATH, NO_LEAF, PROOF_PATH
from proxy.evidence import heads
from proxy.evidence.prove import CallProof, Extension, prove, prove_extension
from proxy.evidence.stream import leaf_numbers
from proxy.serving.instance import TakenError
from proxy.settings.config import Config
from proxy.settings.places import Places, store_dsn

TIMEOUT_S = 600.0  # every leaf is hashed once
Proof = TypeVar("Proof", CallProof, Extension)


def add_action(actions: Actions) -> None:
    """Add `prove` to the actions of `taximeter audit`."""
    help = "prove that a call is in the tree, or that the tree only grew since a head"
    added = actions.add_parser("prove", parents=[common_again()], help=help, description=help)
    help = "ID of the call: its leaves, and their paths to a signed head"
    added.add_argument("call_id", nargs="?", default="", metavar="CALL_ID", help=help)
    help = "file with an earlier head: that all leaves under it are in the tree as they were"
    added.add_argument("--head", default="", metavar="FILE", help=help)
    added.add_argument("--output", default="", metavar="FILE", help="write it to this file")


def main(arguments: argparse.Namespace) -> int:
    """Run the command."""
    try:
        if bool(arguments.call_id) == bool(arguments.head):
            raise ValueError("give a call ID, or --head FILE")
        call_id = _call_id(arguments.call_id) if arguments.call_id else ""
        first = _head(Path(arguments.head)) if arguments.head else None
    except ValueError as error:
        terminal.say(f"audit prove: {error}", sys.stderr)
        return Exit.MISTAKE
    config = stored_configuration(arguments)
    try:
        proof = _of_call(config, call_id) if first is None else _of_growth(config, first)
    except (OSError, ValueError, TakenError, TransientError) as error:
        terminal.say(f"Cannot prove it: {error}", sys.stderr)
        return Exit.FAILED
    if arguments.output:
        _write(Path(arguments.output), msgspec.json.format(msgspec.json.encode(proof)) + b"\n")
        if not arguments.json:
            terminal.say(f"Wrote {arguments.output}.")
    else:
        terminal.emit(proof)
    return Exit.OK


def _of_call(config: Config, call_id: str) -> CallProof:
    """The proof of a call.  Raises ValueError if there is none."""
    path = PROOF_PATH.format(call_id=call_id)
    if (answered := _asked(config, path, CallProof)) is not None:
        return answered

    async def from_store(store: Store, tree: str) -> CallProof | None:
        numbers = await leaf_numbers(store, tree, call_id)
        if not numbers:
            return None
        return await prove(store, _newest(config, tree, max(numbers) + 1), call_id)

    proof = asyncio.run(_stored(config, from_store))
    if proof is None:
        raise ValueError(NO_LEAF)
    audited.write(config, ChangeMade("content-read", f"proof of call {call_id}"))
    return proof


def _of_growth(config: Config, first: Head) -> Extension:
    """The proof that the tree of `first` only grew.  Raises ValueError if it did not."""
    ours = audit_source.state(config).tree
    if ours != first.tree:
        raise ValueError(f"the head is of tree {first.tree}; the one that grows here is {ours}")
    path = f"{EXTENSION_PATH}?size={first.size}"
    found = _asked(config, path, Extension)

    async def from_store(store: Store, tree: str) -> Extension:
        head = _newest(config, tree, first.size)
        return Extension(head=head, path=await prove_extension(store, first.size, head))

    found = found or asyncio.run(_stored(config, from_store))
    head, hashes = found.head, [bytes.fromhex(one) for one in found.path]
    if mistake := head.mistake() or ("" if head.tree == ours else "it is of another tree"):
        raise ValueError(f"the newest head is not valid: {mistake}")
    known = (first.size, bytes.fromhex(first.root))
    if not is_consistent(known, (head.size, bytes.fromhex(head.root)), hashes):
        raise ValueError(
            f"the first {first.size:,} leaves are not those of the head of {first.time}:"
            " rows were altered, removed or added; see taximeter audit verify --head"
        )
    return msgspec.structs.replace(found, first=first)


def _asked(config: Config, path: str, type: type[Proof]) -> Proof | None:
    """The running console's answer; None if none is running."""
    with request(config, path, method="GET", timeout_s=TIMEOUT_S) as answer:
        return None if answer is None else msgspec.json.decode(answer.read(), type=type)


_Made = TypeVar("_Made")


async def _stored(config: Config, make: Callable[[Store, str], Awaitable[_Made]]) -> _Made:
    """What `make` makes of the store and the tree, without a running meter."""
    known = audit_source.state(config)
    store = Store(store_dsn(config), database=config.store.database)
    try:
        return await make(store, known.tree)
    finally:
        await store.close()


def _newest(config: Config, tree: str, size_min: int) -> Head:
    """The newest head of the tree, or a new one if that has fewer leaves."""
    kept = [one for one in heads.read(Places(config.data).heads) if one.tree == tree]
    return kept[-1] if kept and kept[-1].size >= size_min else signed(config)


def _call_id(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        raise ValueError(f"{text!r} is no call ID") from None


def _head(file: Path) -> Head:
    """The one head in a file.  Raises ValueError."""
    try:
        found = heads_in(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"cannot read {file}: {error}") from None
    if len(found) != 1:
        raise ValueError(f"{file} holds {len(found)} heads; give a file with one")
    if mistake := found[0].mistake():
        raise ValueError(f"{file} holds no valid head: {mistake}")
    if not found[0].size:
        raise ValueError(f"the head in {file} is of an empty tree, from which every tree grew")
    return found[0]


def _write(file: Path, data: bytes) -> None:
    with open(file, "wb", opener=lambda path, flags: os.open(path, flags, 0o600)) as opened:
        opened.write(data)
