"""One way to chDB and to ClickHouse: a DSN in, a clickhouse-connect client or a clear error out.

`chdb:///absolute/directory` is the engine inside this process, `clickhouse://` (or `http://`,
`https://`) a server.  Clients are synchronous: whoever opens one keeps it on threads of its own.
A password is in `Dsn.password` and in the Authorization header, and nowhere else.
"""

import fcntl
import importlib.util
import logging
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DataError
from clickhouse_connect.driver.exceptions import Error as ClientError

from exporters.record import PermanentError, TransientError

# They log what they also raise, with a traceback that may hold a row's values, or many times a
# second while a server is away; the raised is ours to tell.
for _name in ("clickhouse_connect", "urllib3"):
    logging.getLogger(_name).setLevel(logging.CRITICAL)

SCHEMES = ("chdb", "clickhouse", "http", "https")
OPTIONS = ("secure", "verify", "ca_cert", "cluster", "connect_timeout_s", "timeout_s")
ERROR_CHARS_MAX = 400  # of a database's message: it names columns, and need not tell their content

# The engine runs inside the meter, so its defaults for a whole machine are too much: marks alone
# may take 5 GiB.  https://clickhouse.com/docs/operations/server-configuration-parameters/settings
CHDB_OPTIONS = {
    "mark_cache_size": 64 * 1024**2,
    "index_mark_cache_size": 32 * 1024**2,
    "primary_index_cache_size": 64 * 1024**2,
    "query_condition_cache_size": 8 * 1024**2,
    "max_server_memory_usage": 2 * 1024**3,
}

# Codes that say the rows themselves are wrong.  All others, a wrong password or a missing table
# too, are the operator's to mend while the rows wait.  ClickHouse, src/Common/ErrorCodes.cpp.
BAD_ROWS_CODES = frozenset(
    {
        6,  # CANNOT_PARSE_TEXT
        27,  # CANNOT_PARSE_INPUT_ASSERTION_FAILED
        38,  # CANNOT_PARSE_DATE
        41,  # CANNOT_PARSE_DATETIME
        53,  # TYPE_MISMATCH
        69,  # ARGUMENT_OUT_OF_BOUND
        70,  # CANNOT_CONVERT_TYPE
        72,  # CANNOT_PARSE_NUMBER
        117,  # INCORRECT_DATA
        128,  # TOO_LARGE_ARRAY_SIZE
        131,  # TOO_LARGE_STRING_SIZE
        321,  # VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE
        349,  # CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN
        407,  # DECIMAL_OVERFLOW
    }
)
BAD_VALUE_ERRORS = (
    DataError,
    struct.error,
    ValueError,
    TypeError,
    ArithmeticError,
    AttributeError,
)
WHAT_TO_DO = {
    60: "a table is missing; it is made when the meter next connects",
    81: "the database is missing; it is made when the meter next connects",
    192: "there is no such user",
    193: "the password is wrong",
    497: "the user lacks a right that the message names",
    516: "the user or the password is wrong",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Dsn:
    """Where the database is.  `str()` of it is safe to show; the password is not part of it."""

    directory: Path | None = None  # of chDB; None: a server
    host: str = "localhost"
    port: int = 8123
    secure: bool = False
    user: str = "default"
    password: str = field(default="", repr=False)
    database: str = "taximeter"
    cluster: str = ""  # tables are Replicated* and Distributed over it
    verify: bool = True
    ca_cert: str = ""
    connect_timeout_s: int = 10
    timeout_s: int = 60  # for an answer; an insert is idempotent, so giving up is safe

    def __str__(self) -> str:
        if self.directory is not None:
            return f"chdb://{self.directory}"
        scheme = "https" if self.secure else "http"
        return f"{scheme}://{self.host}:{self.port}/{self.database}"


def parse(dsn: str, database: str = "taximeter") -> Dsn:
    """Read `dsn`; a database it names goes before `database`.

    Raises ValueError that says what to write, without repeating the DSN (it may hold a password).
    """
    try:
        parts = urlsplit(dsn)
        port = parts.port
    except ValueError:
        raise ValueError("store DSN: the host or the port cannot be read") from None
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    unknown = sorted(options.keys() - set(OPTIONS))
    if parts.scheme not in SCHEMES:
        raise ValueError(
            f"store DSN: it begins with one of {', '.join(s + '://' for s in SCHEMES)}"
        )
    if parts.scheme == "chdb":
        if parts.netloc or not parts.path.startswith("/") or options:
            raise ValueError("store DSN: write chdb:///absolute/directory, with three slashes")
        return Dsn(directory=Path(unquote(parts.path)).resolve(), database=database)
    if unknown:
        raise ValueError(f"store DSN: unknown {', '.join(unknown)}; known: {', '.join(OPTIONS)}")
    secure = _flag(options, "secure", parts.scheme == "https" or port in (443, 8443))
    return Dsn(
        host=parts.hostname or "localhost",
        port=port or (8443 if secure else 8123),
        secure=secure,
        user=unquote(parts.username or "default"),
        password=unquote(parts.password or ""),
        database=unquote(parts.path.strip("/")) or database,
        cluster=options.get("cluster", ""),
        verify=_flag(options, "verify", True),
        ca_cert=options.get("ca_cert", ""),
        connect_timeout_s=_seconds(options, "connect_timeout_s", 10),
        timeout_s=_seconds(options, "timeout_s", 60),
    )


def _flag(options: Mapping[str, str], name: str, default: bool) -> bool:
    text = options.get(name, str(default)).lower()
    if text not in ("true", "false", "1", "0"):
        raise ValueError(f"store DSN: {name} is true or false")
    return text in ("true", "1")


def _seconds(options: Mapping[str, str], name: str, default: int) -> int:
    text = options.get(name, str(default))
    if not text.isdecimal() or int(text) == 0:
        raise ValueError(f"store DSN: {name} is a whole number of seconds")
    return int(text)


def require(dsn: Dsn) -> None:
    """Raise ModuleNotFoundError, saying what to install, if `dsn` needs an engine not there."""
    if dsn.directory is not None and importlib.util.find_spec("chdb") is None:
        raise ModuleNotFoundError(
            "the embedded store needs chDB: pip install 'taximeter[embedded]',"
            " or set store.dsn to a ClickHouse server",
            name="chdb",
        )


_engine_pid: int | None = None  # the process that opened chDB


def connect(dsn: Dsn, settings: Mapping[str, str | int] | None = None) -> Client:
    """A new client, in no database yet; `settings` hold for all it does, set in their order.

    Raises TransientError, and RuntimeError in a process that was forked off after chDB was opened.
    """
    require(dsn)
    try:
        if dsn.directory is None:
            return _connect_to_server(dsn, settings)
        return _open_engine(dsn.directory, settings)
    except (ClientError, OSError) as error:
        raise TransientError(explanation(dsn, error)) from error


def _connect_to_server(dsn: Dsn, settings: Mapping[str, str | int] | None) -> Client:
    return clickhouse_connect.get_client(
        interface="https" if dsn.secure else "http",
        host=dsn.host,
        port=dsn.port,
        username=dsn.user,
        password=dsn.password,
        settings=dict(settings or {}),
        verify=dsn.verify,
        ca_cert=dsn.ca_cert or None,
        connect_timeout=dsn.connect_timeout_s,
        send_receive_timeout=dsn.timeout_s,
        client_name="taximeter",
        autogenerate_session_id=False,  # a session forbids concurrent queries and we need none
        dedicated_pool=True,
        show_clickhouse_errors="scrub",
    )


def _open_engine(directory: Path, settings: Mapping[str, str | int] | None) -> Client:
    """chDB, in this process until it ends: no other process, and no other directory here."""
    global _engine_pid  # noqa: PLW0603 — the engine itself is one per process
    if _engine_pid not in (None, os.getpid()):
        raise RuntimeError("chDB was opened before this process was forked, and would hang in it")
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    client = clickhouse_connect.get_client(
        interface="chdb",
        path=str(directory),
        settings=dict(settings or {}),
        chdb_options=CHDB_OPTIONS,
        show_clickhouse_errors="scrub",
    )
    _engine_pid = os.getpid()
    return client


def failure(dsn: Dsn, error: Exception) -> TransientError | PermanentError:
    """What `error`, raised by a client of `dsn`, means for the batch that was being written.

    A value that cannot be encoded raises here, in this process, as a plain exception.
    """
    if isinstance(error, TransientError | PermanentError):
        return error
    code = error.code if isinstance(error, ClientError) else None
    if code in BAD_ROWS_CODES or isinstance(error, BAD_VALUE_ERRORS):
        return PermanentError(f"store {dsn}: {_short(error)}")
    return TransientError(explanation(dsn, error))


def explanation(dsn: Dsn, error: Exception) -> str:
    """Which store, what is wrong with it, and what to do where that is known."""
    if isinstance(error, ClientError) and error.code is not None:
        hint = WHAT_TO_DO.get(error.code)
        return f"store {dsn}: {hint}: {_short(error)}" if hint else f"store {dsn}: {_short(error)}"
    if dsn.directory is None:
        return f"store {dsn}: no answer: {_root(error)}"
    if holder := _holder(dsn.directory):
        return f"store {dsn}: in use by {holder}; only one process at a time can open a directory"
    return f"store {dsn}: {_short(error)}"


def _short(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= ERROR_CHARS_MAX else text[:ERROR_CHARS_MAX] + "…"


def _root(error: BaseException) -> str:
    """The innermost cause: urllib3 wraps a refused connection four times."""
    while error.__cause__ is not None or error.__context__ is not None:
        error = error.__cause__ or error.__context__ or error
    return f"{type(error).__name__}: {error}"[:ERROR_CHARS_MAX]


def _holder(directory: Path) -> str:
    """Which other process has the engine open in `directory`; "" for none.

    chDB says so on stderr only, so look at the lock it takes: flock on `status`, which holds its
    process id (ClickHouse, src/Common/StatusFile.cpp).
    """
    status = directory / "status"
    try:
        with status.open("rb") as file:
            text = file.read(200).decode("utf-8", "replace")
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pid = next((line[5:] for line in text.splitlines() if line.startswith("PID: ")), "unknown")
        return f"process {pid}" if pid != str(os.getpid()) else ""
    except OSError:
        return ""
    return ""
