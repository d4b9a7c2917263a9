"""What a receiver is, and what it can know about a call."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple


class SkippedError(Exception):
    """A receiver cannot run here; the message says why."""


class Seen(NamedTuple):
    """What a receiver knows about one call."""

    model: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None
    failed: bool | None = None
    parent_id: str | None = None
    user: str | None = None
    operation: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverReady:
    """A running receiver: settings for the proxy, and a function that queries calls."""

    read: Callable[[Mapping[str, str]], dict[str, Seen]]  # trace id → model asked for
    settings: str = ""  # TOML
    environ: Mapping[str, str] = field(default_factory=dict)
    console_port: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """`unread` are facts that it has no field for, or replaces by its own."""

    version: str
    started: Callable[[Path], AbstractContextManager[ReceiverReady]]
    unread: frozenset[str] = frozenset()
