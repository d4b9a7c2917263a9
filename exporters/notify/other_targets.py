"""Targets that are no webhook: mail over SMTP, and the log."""

import asyncio
import hashlib
import smtplib
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import format_datetime

from exporters.notify.alert import log_alert
from exporters.notify.notice import Notice, cut, one_line
from exporters.notify.target import Answer

SUBJECT_MAX = 200
TIMEOUT_S = 15.0  # for each step of the conversation
FINAL_CODES = 500  # RFC 5321, 4.2.1: 4yz may succeed later, 5yz will not


class LogTarget:
    """Our own log: a line when a notice fires and one when it is resolved."""

    type = "log"

    def __init__(self, name: str = "log") -> None:
        self.name = name

    async def send(self, notice: Notice) -> Answer:
        """Log it, unless it is a head, which is logged by who signs it."""
        if notice.kind != "head":
            log_alert(notice.alert, notice.title)
        return Answer("delivered", "logged")

    async def close(self) -> None:
        """Nothing is held."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MailServer:
    """Where mail is handed in.  `encryption`: starttls | tls (from the first byte) | none."""

    host: str
    port: int
    encryption: str
    username: str = ""
    password: str = field(default="", repr=False)


class SmtpTarget:
    """Sends mail.  Each notice has a fixed Message-ID, by which repeated mail is recognised."""

    type = "smtp"

    def __init__(
        self,
        name: str,
        server: MailServer,
        *,
        sender: str,
        recipients: tuple[str, ...],
        tls: ssl.SSLContext | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self.name = name
        self._server = server
        self._sender = sender
        self._recipients = recipients
        self._tls = tls or ssl.create_default_context()
        self._timeout_s = timeout_s

    async def send(self, notice: Notice) -> Answer:
        """Hand it in, in a thread."""
        try:
            message = mail(notice, self._sender, self._recipients)
        except Exception as error:  # noqa: BLE001 — the others must be told
            return Answer("refused", f"cannot encode it ({type(error).__name__})")
        try:
            return await asyncio.to_thread(self._hand_in, message)
        except smtplib.SMTPRecipientsRefused as error:
            codes = [code for code, _ in error.recipients.values()]
            return _refusal(min(codes), "all recipients refused")
        except smtplib.SMTPResponseException as error:
            text = error.smtp_error
            said = text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
            return _refusal(error.smtp_code, said)
        except (
            smtplib.SMTPNotSupportedError
        ) as error:  # no STARTTLS, no AUTH: a wrong configuration
            return Answer("refused", f"SMTP: {one_line(str(error))}")
        except Exception as error:  # noqa: BLE001 — network, TLS: the meter must go on
            return Answer("retry", f"cannot reach it ({type(error).__name__})")

    def _hand_in(self, message: EmailMessage) -> Answer:
        server = self._server
        with self._connected() as connection:
            if server.encryption == "starttls":
                connection.starttls(context=self._tls)
            if server.username:
                connection.login(server.username, server.password)
            refused = connection.send_message(message)
        if refused:
            return Answer(
                "delivered", f"{len(refused)} of {len(self._recipients)} recipients refused"
            )
        return Answer("delivered", f"accepted for {len(self._recipients)} recipients")

    def _connected(self) -> smtplib.SMTP:
        server = self._server
        if server.encryption == "tls":
            return smtplib.SMTP_SSL(
                server.host, server.port, timeout=self._timeout_s, context=self._tls
            )
        return smtplib.SMTP(server.host, server.port, timeout=self._timeout_s)

    async def close(self) -> None:
        """Nothing is held between two messages."""


def mail(notice: Notice, sender: str, recipients: tuple[str, ...]) -> EmailMessage:
    """A notice as plain text."""
    message = EmailMessage()
    message["Subject"] = one_line(cut(f"[taximeter] {notice.head}: {notice.title}", SUBJECT_MAX))
    message["From"] = sender
    message["To"] = ", ".join(recipients)
    message["Date"] = format_datetime(notice.at)
    message["Message-ID"] = _message_id(notice.key)
    if notice.resolved:
        message["In-Reply-To"] = message["References"] = _message_id(notice.id)
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no vacation replies
    message.set_content("\n".join(_lines(notice)))
    return message


def _message_id(key: str) -> str:
    return f"<{hashlib.sha256(key.encode('utf-8', 'replace')).hexdigest()[:40]}@taximeter>"


def _lines(notice: Notice) -> Iterator[str]:
    yield notice.text
    if notice.action:
        yield notice.action
    yield ""
    for name, value in notice.shown():
        yield f"{name}: {value}"


def _refusal(code: int, said: str) -> Answer:
    detail = f"SMTP {code}: {cut(one_line(said), SUBJECT_MAX)}"
    return Answer("refused" if code >= FINAL_CODES else "retry", detail)
