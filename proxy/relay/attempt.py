"""One attempt at one provider, from the connection to the last byte: what becomes one row.

Its log gets exactly one end, before the caller has the last byte, so a call that a caller saw end
is never lost.  What the caller sees is up to the `Receiver` for which the attempt is made.  Its
steps are callbacks of the event loop; only a new connection is waited for in a task.

    dispatch → CONNECTING → SENT → ANSWERED → (ENDED)
                                 ↘ SWITCHED (a WebSocket, see `tunnel`)

Each may go to ENDED: `_broke`, `abandon`.  SENT: the head was written, and as much of the body as
the caller has sent.  ANSWERED: the final head was accepted.
"""

import asyncio
from ssl import SSLError
from time import monotonic_ns

from aiohttp import ClientOSError, ClientPayloadError, ServerDisconnectedError, SocketTimeoutError
from aiohttp.http import RawResponseMessage

from proxy.exchange import Outcome
from proxy.relay.call_log import CallLog
from proxy.relay.failures import (
    FAILURES,
    BadRequestBody,
    StalledRequestBody,
    broken_outcome,
    error_name,
    failure,
)
from proxy.relay.http1 import BadHead
from proxy.relay.receiver import Receiver, State
from proxy.relay.services import Services
from proxy.relay.upload import Upload
from proxy.relay.upstream import Address
from proxy.relay.upstream_connection import UpstreamConnection

# Names of their own, since to look a member up in an Enum costs more than the rest of a step.
NEW, CONNECTING, SENT, ANSWERED, SWITCHED, ENDED = State
INTERIM_MAX = 1000  # 1xx heads before the final one: the most verbose provider sends a few a minute


class Attempt:
    """Sends one request to `address`, once."""

    __slots__ = (
        *("log", "state", "upload", "connection", "_receiver", "_services", "_address"),
        *("_stamp_ns", "_connecting", "_interims", "_status", "_delimited", "_watch"),
    )

    def __init__(  # noqa: PLR0917 — for each call, keywords would be made into a dict
        self,
        receiver: Receiver,
        upload: Upload,
        address: Address,
        log: CallLog,
        services: Services,
        started_ns: int,
    ) -> None:
        self.log = log
        self.state = NEW
        self.upload = upload
        self.connection: UpstreamConnection | None = None
        self._receiver = receiver
        self._services = services
        self._address = address
        self._stamp_ns = started_ns  # when something last happened that we must act upon
        self._connecting: asyncio.Task[None] | None = None
        self._interims = 0
        self._status = 0
        self._delimited = True
        self._watch: float = 0.0  # the deadline that runs, in seconds; 0: none

    # -- the way there --------------------------------------------------------------------------

    def dispatch(self) -> None:
        """Connect and send.  To be called once the journal has the call's beginning."""
        if self.state is not NEW:  # the caller has left meanwhile
            return
        connection = self._services.upstreams.pooled(self._address)
        if connection is None:
            self.log.overhead_ns += monotonic_ns() - self._stamp_ns
            self.state = CONNECTING
            self._connecting = asyncio.create_task(self._connect())
        else:
            self._send_on(connection)

    async def _connect(self) -> None:
        try:
            connection = await self._services.upstreams.connect(self._address)
        except FAILURES as error:
            self._connecting = None
            self._broke(error)
        except Exception as error:  # noqa: BLE001 — a bug: the caller must get an answer
            self._connecting = None
            self._crashed(error)
        else:
            self._connecting = None
            self._stamp_ns = monotonic_ns()
            self._send_on(connection)

    def _send_on(self, connection: UpstreamConnection) -> None:
        self.connection = connection
        connection.user = self
        self.state = SENT
        self.log.sent = True
        try:
            self.upload.start(connection, self._address)
        except BadHead as error:
            self._broke(error)
            return
        self.log.overhead_ns += monotonic_ns() - self._stamp_ns
        self.watch()

    def send(self, data: bytes, last: bool) -> None:
        """Pass a part of the request body on, as soon as that may be."""
        self.upload.feed(data, last)
        if self.state is SENT:
            self.watch()

    def watch(self) -> None:
        """Begin to wait: for the first byte if everything was sent, else for any."""
        waits = self.state is SENT and self.upload.done
        after_s = self._address.first_byte_timeout_s if waits else self._address.idle_timeout_s
        self._watch = self._services.watch(self, self._watch, after_s)

    def overdue(self) -> None:
        """Nothing happened for too long."""
        self._watch = 0.0
        if self.connection is not None and self.connection.reading_paused:
            return  # the caller does not read, which is no silence of the provider's
        if self.state is SENT and not self.upload.done and not self.upload.paused:
            self._broke(StalledRequestBody())
        else:
            self._broke(SocketTimeoutError())

    # -- the way back ---------------------------------------------------------------------------

    def received(self, data: bytes) -> None:
        """Upstream sent `data`."""
        connection = self.connection
        assert connection is not None  # it is what calls this
        parser = connection.parser
        self._stamp_ns = monotonic_ns()
        try:
            if self.state is SENT:
                for message in parser.feed(data):
                    if self.state is SENT:
                        self._head(message)
            else:
                parser.feed(data)
            if self.state is ANSWERED:
                self._body(*parser.take())
            elif self.state is SENT:
                self.watch()
        except FAILURES as error:
            self._broke(error, parser.take()[0])
        except Exception as error:  # noqa: BLE001 — a bug: the caller must get an answer
            self._crashed(error)

    def _head(self, message: RawResponseMessage) -> None:
        """RFC 9110, 15.2: any number of interim heads, then the final one."""
        code = message.code
        if code >= 200:
            self._status = code
            self._delimited = self._receiver.head(message)
            self.state = ANSWERED
            self.log.response_head(message, self._stamp_ns)
            self.upload.answered(stop=code >= 400)
            self.log.overhead_ns += monotonic_ns() - self._stamp_ns
        elif code == 101:
            if not self.upload.websocket:
                raise BadHead("it is an upgrade that was not requested")
            self._switch(message)
        else:
            self._interims += 1
            if self._interims > INTERIM_MAX:
                raise BadHead("too many interim responses came before it")
            if code == 100:
                self.upload.proceed()
            else:
                self._receiver.interim(code, message.reason, message.raw_headers)

    def _switch(self, message: RawResponseMessage) -> None:
        assert self.connection is not None
        self.log.response_head(message, self._stamp_ns)
        self.log.overhead_ns += monotonic_ns() - self._stamp_ns
        self.state = SWITCHED
        self._unwatch()
        self._receiver.switched(message, self.connection.parser.rest)

    def _body(self, data: bytes, last: bool) -> None:
        if data:
            self.log.response(data, self._stamp_ns)
        if last:  # upstream delivered everything, whatever the caller does from here on
            self._end_whole()
        else:
            self.watch()
        self._receiver.body(data, last)

    def lost(self, error: Exception | None) -> None:
        """Upstream closed the connection, or it broke."""
        answered = self.state is ANSWERED
        self._stamp_ns = monotonic_ns()
        try:
            if answered and not self._delimited and error is None:
                self._body(b"", True)  # RFC 9112, 6.3: here a close marks the end, a reset does not
            elif isinstance(error, OSError):
                self._broke(error if isinstance(error, SSLError) else ClientOSError(*error.args))
            else:
                self._broke(ClientPayloadError() if answered else ServerDisconnectedError())
        except Exception as bug:  # noqa: BLE001 — the caller must get an answer
            self._crashed(bug)

    # -- pace -----------------------------------------------------------------------------------

    def pause_upload(self) -> None:
        """Upstream takes no more for now."""
        self.upload.paused = True
        self._receiver.pause_caller()

    def resume_upload(self) -> None:
        self.upload.paused = False
        self._receiver.resume_caller()
        if self.state is SENT:
            self.watch()

    def pause_reading(self) -> None:
        if self.connection is not None:
            self.connection.pause_reading()

    def resume_reading(self) -> None:
        if self.connection is not None and self.connection.resume_reading():
            self.watch()

    # -- how an attempt ends --------------------------------------------------------------------

    def break_off(self, error: BadRequestBody) -> None:
        """The caller's request cannot be finished."""
        self._broke(error)

    def abandon(self, outcome: Outcome, error: str) -> None:
        """End with `outcome`, unless the attempt has ended; upstream stops working at once."""
        if self.state is not ENDED:
            self.log.end(outcome, error)
            self.log.flush()
            self._leave()

    def close_switched(self) -> None:
        """The tunnel, which has recorded the end, closes the connection with its last bytes."""
        connection, self.connection = self.connection, None
        self.state = ENDED
        if connection is not None:
            self._services.upstreams.forget()

    def _broke(self, error: Exception, rest: bytes = b"") -> None:
        """Upstream or the request failed; `rest` arrived before and was not passed on."""
        if self.state is ENDED:
            return
        if self.state is not ANSWERED:
            failed = failure(error, self._address, sent=self.log.sent)
            self.log.end(failed.outcome, failed.name)
            self._leave()
            self._receiver.refused(failed)
            return
        if rest:
            self.log.response(rest)
        self.log.end(broken_outcome(error), error_name(error))
        self.log.flush()
        self._leave()
        self._receiver.cut(rest)

    def _crashed(self, error: Exception) -> None:
        """A bug of ours: end as such, and let the receiver answer."""
        self.log.end(Outcome.INTERRUPTED, "InternalError")
        self._leave()
        self._receiver.failed(error)

    def _end_whole(self) -> None:
        self.log.end(Outcome.HTTP_ERROR if self._status >= 400 else Outcome.OK, "", self._stamp_ns)
        connection = self.connection
        if connection is not None:
            parser = connection.parser
            reusable = self._delimited and self.upload.done and not parser.extra
            self._leave(reusable=reusable and not parser.closes)

    def _leave(self, *, reusable: bool = False) -> None:
        """Give the connection back, or break it so that upstream stops working at once."""
        self.state = ENDED
        self._unwatch()
        self.upload.stop()
        if self._connecting is not None:
            self._connecting.cancel()
            self._connecting = None
        connection, self.connection = self.connection, None
        if connection is not None:
            self._services.upstreams.release(self._address, connection, reusable=reusable)

    def _unwatch(self) -> None:
        self._watch = self._services.watch(self, self._watch, 0.0)
