"""Reads the messages of a socket with its dialect."""

from collections.abc import Iterable, Mapping
from typing import Any

from proxy.dialects.contract import Ask
from proxy.dialects.session import Answer, Session
from proxy.dialects.table import find
from proxy.exchange import Reading

Frame = tuple[bool, Mapping[str, Any]]  # True: a message of the caller


def session(path: str, family: str = "openai") -> Session:
    """A new session."""
    name, _, query = path.partition("?")
    endpoint = find("GET", name, family)
    assert endpoint.session is not None
    asked = dict([query.split("=")]) if query else {}
    found = endpoint.session(Ask(method="GET", path=name, query=asked, stream=True), endpoint)
    assert isinstance(found, Session)
    return found


def feed(reader: Session, frames: Iterable[Frame], at_ns: int = 0) -> None:
    """Give it messages, the n-th at n ns."""
    for number, (up, frame) in enumerate(frames, start=at_ns):
        (reader.sent if up else reader.read)(frame, number)


def read(path: str, *frames: Frame, family: str = "openai") -> tuple[list[Answer], Reading]:
    """The responses of a socket that then closes, and the reading of the connection."""
    reader = session(path, family)
    feed(reader, frames)
    whole = reader.close()
    return reader.take_ended(), whole


def responses(path: str, *frames: Frame, family: str = "openai") -> list[Reading]:
    """The readings of its responses, in the order in which they end."""
    return [answer.reading for answer in read(path, *frames, family=family)[0]]
