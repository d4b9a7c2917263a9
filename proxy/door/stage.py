"""Stands between an attempt and the caller: holds an answer back until it is known to be one.

To the relay's `Call` it is the caller.  Until the first byte of content the answer can be dropped
for another candidate's; from then on, every byte passes at once (`committed`).
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from proxy.door.interpreter import EVENTS, Interpreter
from proxy.door.wire import Answer, with_headers
from proxy.exchange import Outcome
from proxy.gateway.answers import Beginning, decoded, fault_of
from proxy.gateway.failures import Fault
from proxy.gateway.translation.answers import Failed
from proxy.relay.answers import ERROR_HEADER
from proxy.relay.call import Call, Caller
from proxy.relay.call_log import CallLog
from proxy.relay.tunnel import Tunnel

HELD_BYTES_MAX = 1024 * 1024  # of an answer; a longer one is passed on as it is
INTERIM = b"HTTP/1.1 1"
TOO_LARGE = "AnswerTooLarge"  # what a row says of an answer that cannot be translated for its size
OUTSIDE = ("upstream_", "outgoing_proxy")  # errors of the way to the provider, not of the request


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """An answer that was not passed on; `fault` is None if we refused it ourselves."""

    fault: Fault | None
    has_answer: bool  # there is one that could be passed on
    headers: Mapping[str, str]
    error: Mapping[str, object]  # what its body says
    late: bool = False  # the deadline of the whole call ended it


class Nowhere(asyncio.Transport):
    """The transport of a caller that must not be reached yet."""

    def abort(self) -> None:
        """Break nothing: another attempt may follow."""


class Stage:
    """The caller of one attempt.  `ended` becomes None once the answer is passed on; `keep` is
    called before: who has the answer must find its session noted, at another relay too."""

    def __init__(
        self,
        caller: Caller,
        headers: Mapping[str, str],
        interpreter: Interpreter | None = None,
        keep: Callable[[], None] = lambda: None,
    ) -> None:
        self.committed = False
        self.ended: asyncio.Future[Held | None] = asyncio.get_running_loop().create_future()
        self.call: Call | None = None
        self.log: CallLog | None = None
        self.crashed_with: Exception | None = None
        self.request_whole = True
        self._caller = caller
        self._added = headers  # to an answer that is passed on
        self._interpreter = interpreter  # None: the answer passes as it is
        self._keep = keep
        self._answer = Answer()
        self._held: list[bytes] = []
        self._size = 0
        self._body: list[bytes] = []
        self._beginning: Beginning | None = None
        self._fault: Fault | None = None
        self._keep_alive: bool | None = None  # None: the answer is not whole

    # -- what the call sees ---------------------------------------------------------------------

    @property
    def transport(self) -> asyncio.Transport:
        return self._caller.transport if self.committed else Nowhere()

    @property
    def headers(self) -> Mapping[str, str]:
        """The answer's, in lower case, as far as it came."""
        return self._answer.headers

    @property
    def stopping(self) -> bool:
        return self._caller.stopping

    def write(self, data: bytes) -> None:
        """Pass on, or hold."""
        if self.committed:
            self._pass(data)
            return
        if data.startswith(INTERIM) and not self._answer.status:
            return  # of an answer that may be dropped
        if self._interpreter is None or not self._held:
            self._held.append(data)
        if self.ended.done():
            if self._interpreter is not None:
                self._interpreter.keep(self._interpreter.plain(self._answer.feed(data)))
            return  # `pass_on` or `abandon` follows at once
        self._size += len(data)
        before = self._answer.status
        body = self._answer.feed(data)
        if not before and self._answer.status:
            self._look_at_head()
        if self._interpreter is None:
            self._look_at_body(body)
            return
        plain = self._interpreter.plain(body)
        self._interpreter.keep(plain)
        if self._interpreter.too_large:
            self.abandon(Outcome.UPSTREAM_CUT, TOO_LARGE)
            self._held.clear()
            self._end(Fault())
        elif self._interpreter.streams or self._answer.status >= 400:
            self._look_at_body(plain)

    def _pass(self, data: bytes) -> None:
        """Of a committed answer, more."""
        if self._interpreter is None:
            self._caller.write(data)
            return
        plain = self._interpreter.plain(self._answer.feed(data))
        try:
            said = self._interpreter.more(plain)
        except ValueError:
            self._interpreter.too_large, said = True, b""
        if said:
            self._caller.write(said)
        if self._interpreter.too_large:
            self.abandon(Outcome.UPSTREAM_CUT, TOO_LARGE)
            self._caller.broken_off()

    def _look_at_head(self) -> None:
        headers = self._answer.headers
        plain = headers.get("content-encoding", "identity") == "identity"
        if self._interpreter is not None:
            self._interpreter.begin(self._answer.status, headers)
            plain = self._interpreter.streams
        if self._answer.status < 400 and EVENTS in headers.get("content-type", "") and plain:
            self._beginning = Beginning()

    def _look_at_body(self, body: bytes) -> None:
        if self._answer.status >= 400:
            self._body.append(body)
        elif self._beginning is None:
            if body:
                self._commit()
                return
        elif self._fault is None and self._beginning.feed(body):
            self._fault = self._beginning.fault
            if self._fault is None:
                self._commit()
                return
        if self._fault is not None:
            self._end(self._fault)
        elif self._size > HELD_BYTES_MAX:
            self._commit()

    def pause_reading(self) -> None:
        """The body is here, whole."""

    def resume_reading(self) -> None:
        """Likewise."""

    def lasts(self) -> None:
        """The caller's own request is not this one."""

    def answered(self, *, keep_alive: bool) -> None:
        """The answer is whole, and the call is over."""
        self.call = None
        if self.committed:
            if self._interpreter is not None:
                self._caller.write(self._interpreter.end())
            self._caller.answered(keep_alive=keep_alive)
            return
        self._keep_alive = keep_alive
        if self._answer.status < 400 and not self.ended.done():
            if self._commit_whole():
                self._caller.answered(keep_alive=keep_alive)
            return
        error = self._answer.headers.get(ERROR_HEADER, "")
        if not error:
            self._end(fault_of(self._answer.status, decoded(b"".join(self._body))))
        elif error.startswith(OUTSIDE):
            self._end(Fault(sent=self.log is None or self.log.sent))
        else:  # a budget, or the request itself: nobody else would take it
            self._end(None)

    def broken_off(self) -> None:
        """The answer has no end, and the call is over."""
        self.call = None
        if self.committed:
            self._caller.broken_off()
        else:
            self._held.clear()
            self._end(Fault())

    def crashed(self, error: Exception) -> None:
        """A bug of the relay's."""
        self.call, self.crashed_with = None, error
        self._caller.crashed(error)

    def switch(self, tunnel: Tunnel) -> bytes:
        """No WebSocket is asked for."""
        raise NotImplementedError

    def left_tunnel(self) -> None:
        """Likewise."""
        raise NotImplementedError

    # -- what follows ---------------------------------------------------------------------------

    def pass_on(self, headers: Mapping[str, str]) -> None:
        """Pass on what was held, and what is still to come: nobody else is left."""
        self._added = {**self._added, **headers}
        self._keep = lambda: None  # it is nobody's answer to the session
        self._commit_whole()
        if self._keep_alive is not None:
            self._caller.answered(keep_alive=self._keep_alive)

    def abandon(self, outcome: Outcome, error: str) -> None:
        """Break the attempt off, unless it has ended."""
        if self.call is not None:
            self.call.give_up(outcome, error)

    # -- how it ends ----------------------------------------------------------------------------

    def _commit(self) -> None:
        self._keep()
        self.committed = True
        if self._interpreter is None:
            self._caller.write(with_headers(b"".join(self._held), self._added))
        else:
            self._caller.write(self._interpreter.commit(self._answer.head, self._added))
        self._settle()

    def _commit_whole(self) -> bool:
        """Pass on an answer that is here whole, or as far as it came.  False: it is none."""
        if self._interpreter is None or (self._interpreter.streams and self._answer.status < 400):
            self._commit()
            if self._interpreter is not None and self._keep_alive is not None:
                self._caller.write(self._interpreter.end())
            return True
        try:
            said = self._interpreter.whole(self._answer.head, self._answer.status, self._added)
        except Failed as error:
            self._held.clear()
            self._end(Fault(status=200, code=error.kind, message=str(error)))
            return False
        except ValueError:
            self._held.clear()
            self._end(Fault())
            return False
        self._keep()
        self.committed = True
        self._caller.write(said)
        self._settle()
        return True

    def _settle(self) -> None:
        self._held.clear()
        if not self.ended.done():
            self.ended.set_result(None)

    def _end(self, fault: Fault | None) -> None:
        if not self.ended.done():
            error = decoded(b"".join(self._body)).get("error")
            held = Held(
                fault=fault,
                has_answer=bool(self._held),
                headers=self._answer.headers,
                error=error if isinstance(error, Mapping) else {},
            )
            self.ended.set_result(held)
