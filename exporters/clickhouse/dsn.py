"""Where the database is: `chdb:///absolute/directory`, the engine inside a process, or a server,
`clickhouse://` (or `http://`, `https://`).

Apart from `connection`, since commands that connect to nothing read a DSN too, and importing the
client library costs more CPU than all else that they do.
"""

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

SCHEMES = ("chdb", "clickhouse", "http", "https")
OPTIONS = ("secure", "verify", "ca_cert", "cluster", "connect_timeout_s", "timeout_s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dsn:
    """Where the database is.  `str()` of it leaves out the password, so it is safe to show."""

    directory: Path | None = None  # of chDB; None for a server
    host: str = "localhost"
    port: int = 8123
    secure: bool = False
    user: str = "default"
    password: str = field(default="", repr=False)
    database: str = "taximeter"
    cluster: str = ""  # if set, tables are Replicated* and Distributed over it
    verify: bool = True
    ca_cert: str = ""
    connect_timeout_s: int = 10
    timeout_s: int = 60  # for a response; inserts are idempotent, so giving up is safe

    def __str__(self) -> str:
        if self.directory is not None:
            return f"chdb://{self.directory}"
        scheme = "https" if self.secure else "http"
        return f"{scheme}://{self.host}:{self.port}/{self.database}"


def parse_dsn(dsn: str, database: str = "taximeter") -> Dsn:
    """Read `dsn`; a database that it names takes precedence over `database`.

    Raises ValueError with the expected form, without repeating the DSN (it may hold a password).
    """
    try:
        parts = urlsplit(dsn)
        port = parts.port
    except ValueError:
        raise ValueError("store DSN: invalid host or port") from None
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    unknown = sorted(options.keys() - set(OPTIONS))
    if parts.scheme not in SCHEMES:
        raise ValueError(f"store DSN: expected one of {', '.join(s + '://' for s in SCHEMES)}")
    if parts.scheme == "chdb":
        if parts.netloc or not parts.path.startswith("/") or options:
            raise ValueError(
                "store DSN: expected chdb:///absolute/directory, with three slashes and no options"
            )
        return Dsn(directory=Path(unquote(parts.path)).resolve(), database=database)
    if unknown:
        raise ValueError(
            f"store DSN: unknown option {', '.join(unknown)}; expected: {', '.join(OPTIONS)}"
        )
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
        raise ValueError(f"store DSN: {name} must be true or false")
    return text in ("true", "1")


def _seconds(options: Mapping[str, str], name: str, default: int) -> int:
    text = options.get(name, str(default))
    if not text.isdecimal() or int(text) == 0:
        raise ValueError(f"store DSN: {name} must be a whole number of seconds, at least 1")
    return int(text)


def require(dsn: Dsn) -> None:
    """Raise ModuleNotFoundError, saying what to install, if `dsn` needs chDB and it is missing."""
    if dsn.directory is not None and importlib.util.find_spec("chdb") is None:
        raise ModuleNotFoundError(
            "the embedded store needs chDB: pip install 'taximeter[embedded]',"
            " or set store.dsn to a ClickHouse server",
            name="chdb",
        )
