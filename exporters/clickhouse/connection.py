"""Connects to chDB or ClickHouse: takes a DSN, gives a clickhouse-connect client or a clear error.

Clients are synchronous: callers keep each on a thread of its own.
The password is in `Dsn.password` and in the Authorization header, and nowhere else.
"""

import fcntl
import logging
import os
import socket
import struct
from collections.abc import Mapping
from pathlib import Path

import clickhouse_connect
from clickhouse_connect.driver import options
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DataError
from clickhouse_connect.driver.exceptions import Error as ClientError

from exporters.clickhouse.dsn import Dsn, require
from exporters.record import PermanentError, TransientError

# These libraries log every error they raise, with a traceback that may hold a row's values, or
# many times a second while a server is down.  We report the exceptions ourselves.
for _name in ("clickhouse_connect", "urllib3"):
    logging.getLogger(_name).setLevel(logging.CRITICAL)

ERROR_CHARS_MAX = 400  # of a database's message: it should name columns, not quote their content

# What the library sets where pandas is not installed.  chDB brings it, and the first insert would
# import it (0.3 s of CPU, 40 MB) to see that a list is no data frame.
vars(options).update(pd=None, pd_time_test=None)

# The engine runs inside the meter, so defaults meant for a whole machine are too large: marks alone
# may take 5 GiB.  https://clickhouse.com/docs/operations/server-configuration-parameters/settings
CHDB_OPTIONS = {
    "mark_cache_size": 64 * 1024**2,
    "index_mark_cache_size": 32 * 1024**2,
    "primary_index_cache_size": 64 * 1024**2,
    "query_condition_cache_size": 8 * 1024**2,
    "max_server_memory_usage": 2 * 1024**3,
    "backups.allowed_path": "/",  # where BACKUP may write; only our own SQL reaches the engine
}

# Codes which mean that the rows themselves are wrong.  All others, such as a wrong password or a
# missing table, are for the operator to fix while the rows wait.  ClickHouse,
# src/Common/ErrorCodes.cpp.
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
HINTS = {
    60: "table not found (the meter creates it when it next connects)",
    81: "database not found (the meter creates it when it next connects)",
    192: "unknown user",
    193: "wrong password",
    497: "the user lacks a privilege",
    516: "wrong user or password",
}
CONNECTION_ERRORS: dict[type[BaseException], str] = {
    ConnectionRefusedError: "connection refused",
    TimeoutError: "timed out",
    socket.gaierror: "cannot resolve the host name",
}


_engine: tuple[int, Path] | None = None  # the process that opened chDB, and the directory


def connect(dsn: Dsn, settings: Mapping[str, str | int] | None = None) -> Client:
    """A new client without a database; `settings` are set in order and apply to all it does.

    Raises TransientError, and RuntimeError in a process that was forked after chDB was opened.
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
        autogenerate_session_id=False,  # a session would forbid concurrent queries
        dedicated_pool=True,
        show_clickhouse_errors="scrub",
    )


def _open_engine(directory: Path, settings: Mapping[str, str | int] | None) -> Client:
    """Open chDB in this process, until it ends.

    No other process can open the same directory, and this process cannot open another one.
    """
    global _engine  # noqa: PLW0603 — there is one engine per process
    if _engine is not None and _engine[0] != os.getpid():
        raise RuntimeError("chDB was opened before this process was forked; using it would hang")
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    client = clickhouse_connect.get_client(
        interface="chdb",
        path=str(directory),
        settings=dict(settings or {}),
        chdb_options=CHDB_OPTIONS,
        show_clickhouse_errors="scrub",
    )
    _engine = os.getpid(), directory
    return client


def engine_directory(otherwise: Path) -> Path:
    """The directory of this process's engine, which cannot open another one, or `otherwise`."""
    return otherwise if _engine is None else _engine[1]


def failure(dsn: Dsn, error: Exception) -> TransientError | PermanentError:
    """What `error`, raised by a client of `dsn`, means for the batch being written.

    A value that cannot be encoded raises a plain exception in the client library.
    """
    if isinstance(error, TransientError | PermanentError):
        return error
    code = error.code if isinstance(error, ClientError) else None
    if code in BAD_ROWS_CODES or isinstance(error, BAD_VALUE_ERRORS):
        return PermanentError(f"store {dsn}: {short(error)}")
    return TransientError(explanation(dsn, error))


def explanation(dsn: Dsn, error: Exception) -> str:
    """The store, what is wrong with it and, where known, what to do."""
    if isinstance(error, ClientError) and error.code is not None:
        hint = HINTS.get(error.code)
        return f"store {dsn}: {hint}: {short(error)}" if hint else f"store {dsn}: {short(error)}"
    if dsn.directory is None:
        return f"store {dsn}: {_cause(error)}"
    if holder := _holder(dsn.directory):
        return f"store {dsn}: in use by {holder}; only one process can open a directory at a time"
    return f"store {dsn}: {short(error)}"


def short(error: Exception) -> str:
    """The message of `error` in one line, cut if it is long."""
    text = " ".join(str(error).split())
    return text if len(text) <= ERROR_CHARS_MAX else text[:ERROR_CHARS_MAX] + "…"


def _cause(error: BaseException) -> str:
    """Why a server did not respond: the innermost error, as urllib3 wraps it four times."""
    while error.__cause__ is not None or error.__context__ is not None:
        error = error.__cause__ or error.__context__ or error
    for kind, text in CONNECTION_ERRORS.items():
        if isinstance(error, kind):
            return text
    return f"connection failed ({type(error).__name__}: {error})"[:ERROR_CHARS_MAX]


def _holder(directory: Path) -> str:
    """Which other process has the engine open in `directory`; "" if none has.

    chDB reports this on stderr only, so look at the lock it takes: flock on `status`, which holds
    its process id (ClickHouse, src/Common/StatusFile.cpp).
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
