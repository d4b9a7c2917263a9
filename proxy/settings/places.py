"""The names inside the data directory, and where rows are.  No I/O.

Whoever opens a file of ours takes its path from here.
"""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from proxy.settings.config import Config


@dataclass(frozen=True, slots=True)
class Places:
    """Below one data directory."""

    data: Path

    @property
    def calls(self) -> Path:
        """What relays write: a journal for each of them."""
        return self.data / "calls"

    @property
    def records(self) -> Path:
        """The journal that the meter writes and exporters follow."""
        return self.data / "records"

    @property
    def contents(self) -> Path:
        """The journal of captured content."""
        return self.data / "contents"

    @property
    def embedded_store(self) -> Path:
        """chDB's own directory."""
        return self.data / "chdb"

    @property
    def serve_lock(self) -> Path:
        """Held while anything serves from here."""
        return self.data / "serve.lock"

    @property
    def serve_description(self) -> Path:
        """Where the running instance can be reached."""
        return self.data / "serve.json"

    @property
    def fingerprint_key(self) -> Path:
        """The key under which credentials are named."""
        return self.data / "fingerprint.key"

    @property
    def state(self) -> Path:
        """Everything that a restarted meter goes on from."""
        return self.data / "state"

    @property
    def progress(self) -> Path:
        """How far the meter has read."""
        return self.state / "meter.json"

    @property
    def items(self) -> Path:
        """Which batch items have been charged."""
        return self.state / "items.sqlite"

    @property
    def alerts(self) -> Path:
        """Which alerts fire."""
        return self.state / "alerts.json"

    @property
    def command_token(self) -> Path:
        """What a command of the same user shows to the console."""
        return self.state / "command.token"

    @property
    def reprice_lock(self) -> Path:
        """Held by the one repricing that may run."""
        return self.state / "reprice.lock"

    @property
    def reprice_pending(self) -> Path:
        """Corrections that may not have reached the store."""
        return self.state / "reprice.pending.json"

    def cursor(self, exporter: str) -> Path:
        """How far an exporter has come."""
        return self.state / f"{exporter}.json"

    def aside(self, exporter: str) -> Path:
        """Rows that an exporter refused for good."""
        return self.state / f"{exporter}.aside.jsonl"


def store_dsn(config: Config) -> str:
    """Where rows are: the configured store, or the embedded one in the data directory."""
    return config.store.dsn or f"chdb://{quote(str(Places(config.data).embedded_store))}"


def has_store(config: Config) -> bool:
    """Whether there can be rows; False: nothing was ever served from this data directory."""
    return bool(config.store.dsn) or Places(config.data).embedded_store.exists()
