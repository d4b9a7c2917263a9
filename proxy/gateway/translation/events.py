"""What all the APIs can answer, as events, in words of none of them."""

from dataclasses import dataclass
from enum import StrEnum

from proxy.gateway.translation.neutral import Signature


class Finish(StrEnum):
    """Why an answer ended."""

    STOP = "stop"
    SEQUENCE = "sequence"  # one of the caller's stop sequences, where that is told
    LENGTH = "length"
    TOOLS = "tools"
    REFUSAL = "refusal"  # the model's, or a filter's


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """Tokens as a partition."""

    input: int = 0  # neither read from a cache nor written to one
    cache_read: int = 0
    cache_write: int = 0
    output: int = 0  # without reasoning
    reasoning: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Begin:
    id: str = ""
    model: str = ""
    created: int = 0  # Unix time; 0: not said
    used: Used = Used()  # as far as it is known now


@dataclass(frozen=True, slots=True)
class Said:
    text: str
    refusal: bool = False


@dataclass(frozen=True, slots=True)
class Thinks:
    text: str


@dataclass(frozen=True, slots=True)
class Signed:
    """Of the thought before it; `hidden`: it stands for a thought."""

    signature: Signature
    hidden: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Calls:
    """A tool is called: `index` counts the calls of an answer."""

    index: int
    id: str
    name: str
    signature: Signature | None = None


@dataclass(frozen=True, slots=True)
class Argues:
    """More of the arguments of a call."""

    index: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ends:
    finish: Finish
    sequence: str = ""
    native: str = ""  # as the provider said it


@dataclass(frozen=True, slots=True)
class Counts:
    """What was used so far; the last one counts."""

    used: Used


@dataclass(frozen=True, slots=True, kw_only=True)
class Fails:
    """An error inside a stream."""

    status: int
    message: str
    kind: str = ""


Event = Begin | Said | Thinks | Signed | Calls | Argues | Ends | Counts | Fails
