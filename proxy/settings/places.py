"""The paths inside the data directory, and the DSN of the store.

All code that opens one of our files takes its path from here.
"""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from proxy.settings.config import Config


@dataclass(frozen=True, slots=True)
class Places:
    """The paths in one data directory."""

    data: Path

    @property
    def calls(self) -> Path:
        """The journals that the relays write, one per relay."""
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
    def audit(self) -> Path:
        """The journal of the audit log."""
        return self.data / "audit"

    @property
    def embedded_store(self) -> Path:
        """The directory of chDB."""
        return self.data / "chdb"

    @property
    def serve_lock(self) -> Path:
        """Locked while an instance serves from this directory."""
        return self.data / "serve.lock"

    @property
    def serve_description(self) -> Path:
        """The addresses of the running instance."""
        return self.data / "serve.json"

    @property
    def fingerprint_key(self) -> Path:
        """The key for fingerprints of credentials."""
        return self.data / "fingerprint.key"

    @property
    def evidence_key(self) -> Path:
        """The private key that signs heads of the tree of evidence."""
        return self.data / "evidence.key"

    @property
    def heads(self) -> Path:
        """The signed heads of the tree, a line each."""
        return self.data / "heads.jsonl"

    @property
    def tree(self) -> Path:
        """The tree of evidence: its size and peaks, and leaves on their way to the store."""
        return self.state / "tree"

    @property
    def settings(self) -> Path:
        """What configuration and tariffs were in force at the last start."""
        return self.state / "settings.json"

    @property
    def erasing(self) -> Path:
        """The deletion that is being carried out."""
        return self.state / "erasing.json"

    @property
    def state(self) -> Path:
        """The state from which a restarted meter continues."""
        return self.data / "state"

    @property
    def progress(self) -> Path:
        """How far the meter has read."""
        return self.state / "meter.json"

    @property
    def items(self) -> Path:
        """The batch items that have been charged."""
        return self.state / "items.sqlite"

    @property
    def alerts(self) -> Path:
        """The alerts that are firing."""
        return self.state / "alerts.json"

    @property
    def outbox(self) -> Path:
        """The notices that were told, and to which targets they still have to go."""
        return self.state / "outbox.log"

    @property
    def budgets(self) -> Path:
        """The budgets that were made by API."""
        return self.state / "budgets.json"

    @property
    def meter_id(self) -> Path:
        """Tells this meter from others on the same store, whatever their node is called."""
        return self.state / "meter.id"

    @property
    def uncertain(self) -> Path:
        """What cut calls may have cost beyond their rows."""
        return self.state / "uncertain.json"

    @property
    def gate(self) -> Path:
        """The memory that meter and relays share: what budgets hold, and what is reserved."""
        return self.state / "gate"

    @property
    def gate_rules(self) -> Path:
        """The budgets that are in force in the relays."""
        return self.state / "gate.json"

    @property
    def gateway_pools(self) -> Path:
        """The memory that the relays share: the rate limits of the gateway's pools."""
        return self.state / "gateway-pools"

    @property
    def gateway_sessions(self) -> Path:
        """The memory that the relays share: where the gateway's sessions are cached."""
        return self.state / "gateway-sessions"

    @property
    def gateway_live(self) -> Path:
        """How the gateway's candidates did lately, as the meter measured it."""
        return self.state / "gateway-live.json"

    @property
    def gateway_canaries(self) -> Path:
        """How the canaries of routes fare, and which were rolled back."""
        return self.state / "gateway-canaries.json"

    @property
    def command_token(self) -> Path:
        """The token that commands of the same user send to the console."""
        return self.state / "command.token"

    @property
    def access(self) -> Path:
        """The named tokens of the console, as hashes."""
        return self.state / "access.json"

    @property
    def evaluations(self) -> Path:
        """The ledgers of evaluation runs."""
        return self.data / "evaluations"

    @property
    def results(self) -> Path:
        """The newest results of simulations and load tests, which the console shows."""
        return self.data / "results"

    @property
    def schedules(self) -> Path:
        """The suites that are run every week."""
        return self.state / "schedules.json"

    @property
    def schedules_progress(self) -> Path:
        """What became of their runs."""
        return self.state / "schedules.progress.json"

    @property
    def restoring(self) -> Path:
        """There while a backup is being restored, and after that was interrupted."""
        return self.data / "restoring"

    @property
    def reprice_lock(self) -> Path:
        """Locked while calls are repriced: only one run at a time."""
        return self.state / "reprice.lock"

    @property
    def reprice_pending(self) -> Path:
        """Corrections that may not have reached the store."""
        return self.state / "reprice.pending.json"

    def cursor(self, exporter: str) -> Path:
        """How far an exporter has delivered."""
        return self.state / f"{exporter}.json"

    def aside(self, exporter: str) -> Path:
        """Rows that an exporter permanently rejected."""
        return self.state / f"{exporter}.aside.jsonl"


def store_dsn(config: Config) -> str:
    """The DSN of the configured store, or of the embedded one in the data directory."""
    return config.store.dsn or f"chdb://{quote(str(Places(config.data).embedded_store))}"


def has_store(config: Config) -> bool:
    """Whether there may be rows; False if this data directory was never served from."""
    return bool(config.store.dsn) or Places(config.data).embedded_store.exists()
