"""What the user sets is laid in layers, and every mistake is told at once."""

import dataclasses
from pathlib import Path
from types import MappingProxyType

import pytest

from proxy.settings import checks, sources
from proxy.settings.config import DIALECTS, QUIRKS, Config, Provider
from proxy.settings.sources import SettingsError
from proxy.settings.typed import leaves

HOME = {"HOME": "/home/somebody"}


def mistakes(text: str, tmp_path: Path, environ: dict[str, str] | None = None) -> list[str]:
    """What is wrong with a file of this text."""
    file = tmp_path / "taximeter.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        sources.load(file, HOME | (environ or {}))
    return list(caught.value.mistakes)


def test_nothing_is_needed() -> None:
    """Without a file, variable or flag there is a whole configuration, on loopback."""
    config = sources.load(None, HOME)
    assert config.data == Path("/home/somebody/.local/share/taximeter")
    assert (config.proxy.host, config.proxy.port, config.console.port) == ("127.0.0.1", 4000, 4001)
    assert config.providers["openai"].base_url == "https://api.openai.com"


def test_the_data_directory_follows_xdg() -> None:
    """$XDG_DATA_HOME moves it, and a relative one is ignored as the specification asks."""
    moved = sources.load(None, {**HOME, "XDG_DATA_HOME": "/srv/data"})
    assert moved.data == Path("/srv/data/taximeter")
    ignored = sources.load(None, {**HOME, "XDG_DATA_HOME": "data"})
    assert ignored.data == Path("/home/somebody/.local/share/taximeter")


def test_defaults_file_is_the_reference() -> None:
    """defaults.toml names every option, and says the same as the dataclasses."""
    config = sources.load(None, HOME)
    plain = Config(data=config.data)
    assert dataclasses.replace(config, providers=MappingProxyType({})) == plain
    written = set(leaves(Config, {"providers": {}}))
    tree = sources.defaults()
    for key in written:
        branch = tree
        for name in key.split("."):
            assert name in branch, f"defaults.toml lacks {key}"
            branch = branch[name]


def test_every_provider_key_is_explained() -> None:
    """Each key that a provider may have is described in defaults.toml."""
    text = (Path(sources.__file__).parent / "defaults.toml").read_text(encoding="utf-8")
    for field in dataclasses.fields(Provider):
        assert field.name == "name" or f"#   {field.name} " in text, field.name


def test_providers_speak_known_dialects() -> None:
    """What ships passes its own checks, and no bare path has two owners."""
    providers = sources.load(None, HOME).providers.values()
    owned = [prefix for provider in providers for prefix in provider.owns]
    assert len(owned) == len(set(owned))
    for provider in providers:
        assert provider.dialect in DIALECTS
        assert provider.quirks <= QUIRKS.keys()


def test_layers(tmp_path: Path) -> None:
    """File over defaults, environment over file, flags over all."""
    file = tmp_path / "taximeter.toml"
    file.write_text("relays = 2\n[proxy]\nport = 5000\n[console]\nport = 5001\n")
    environ = {**HOME, "TAXIMETER_PROXY_PORT": "6000", "TAXIMETER_CONSOLE_PORT": "6001"}
    config = sources.load(file, environ, {"console.port": 7001})
    assert (config.relays, config.proxy.port, config.console.port) == (2, 6000, 7001)


def test_environment_reaches_every_key() -> None:
    """A variable is the key in capitals; numbers, switches, lists and tables are read from text."""
    config = sources.load(
        None,
        {
            **HOME,
            "TAXIMETER_STORE_DSN": "clickhouse://clickhouse:8123",
            "TAXIMETER_METERING_COUNT_TOKENS": "false",
            "TAXIMETER_UPSTREAM_IDLE_TIMEOUT_S": "30",
            "TAXIMETER_OTLP_HEADERS": "authorization=Bearer a=b, x-team = red",
            "TAXIMETER_PROVIDERS_OPENAI_BASE_URL": "http://127.0.0.1:9",
            "TAXIMETER_PROVIDERS_OPENAI_OWNS": "/v1/,/v7/",
            "TAXIMETER_DATA": "",
        },
    )
    assert config.store.dsn == "clickhouse://clickhouse:8123"
    assert config.metering.count_tokens is False
    assert config.upstream.idle_timeout_s == 30.0
    assert dict(config.otlp.headers) == {"authorization": "Bearer a=b", "x-team": "red"}
    assert config.providers["openai"].base_url == "http://127.0.0.1:9"
    assert config.providers["openai"].owns == ("/v1/", "/v7/")


def test_kubernetes_service_links_are_not_settings() -> None:
    """Variables that a container gets for a service named taximeter are passed over."""
    links = {
        "TAXIMETER_PORT": "tcp://10.0.0.7:4000",
        "TAXIMETER_PORT_4000_TCP_ADDR": "10.0.0.7",
        "TAXIMETER_SERVICE_HOST": "10.0.0.7",
        "TAXIMETER_SERVICE_PORT_HTTP": "4000",
        "TAXIMETER_PROXY_PORT": "tcp://10.0.0.8:4000",
    }
    assert sources.load(None, HOME | links) == sources.load(None, HOME)


def test_own_provider_needs_only_a_base_url(tmp_path: Path) -> None:
    """A gateway that speaks OpenAI is one line; a built-in one is redirected by one line."""
    file = tmp_path / "taximeter.toml"
    file.write_text(
        '[providers.ours]\nbase_url = "https://llm.example.org"\n'
        '[providers.anthropic]\nbase_url = "http://127.0.0.1:8080/a"\n'
    )
    providers = sources.load(file, HOME).providers
    assert providers["ours"] == Provider(name="ours", base_url="https://llm.example.org")
    assert providers["anthropic"].base_url == "http://127.0.0.1:8080/a"
    assert providers["anthropic"].owns == ("/v1/messages",)


def test_paths_are_relative_to_their_file(tmp_path: Path) -> None:
    """A configuration directory can be moved as a whole."""
    (tmp_path / "tariffs").mkdir()
    file = tmp_path / "taximeter.toml"
    file.write_text('data = "state"\n[metering]\ntariffs = "tariffs"\n')
    config = sources.load(file, HOME)
    assert config.data == tmp_path / "state"
    assert config.metering.tariffs == tmp_path / "tariffs"


def test_all_mistakes_at_once(tmp_path: Path) -> None:
    """Every mistake of every source is told, with its key, its place and the nearest known key."""
    found = mistakes(
        """
        relay = 2
        drain_timeout_s = -1
        [proxy]
        port = "4000"
        [store]
        ttl_days = 0
        dsn = "mysql://x"
        [providers.openia]
        dialect = "opnai"
        [providers.mine]
        base_url = "https://user:hunter2@example.org/?k=v"
        quirks = ["nonesuch"]
        owns = ["v1/"]
        [journal]
        fsync = "sometimes"
        """,
        tmp_path,
        {"TAXIMETER_STORE_DNS": "x", "TAXIMETER_CONSOLE_PORT": "many"},
    )
    text = "\n".join(found)
    file = tmp_path / "taximeter.toml"
    for expected in (
        f"relay: unknown setting; did you mean relays? (in {file})",
        "drain_timeout_s: expected a number of at least 0, got -1.0",
        f"proxy.port: expected a whole number, got '4000' (in {file})",
        "store.ttl_days: expected a number above 0, got 0",
        "store.dsn: expected one of chdb://",
        "providers.openia.base_url: required for a provider that is not built in; did you mean op",
        "providers.openia.dialect: unknown dialect 'opnai'; did you mean openai?",
        "providers.mine.base_url: must not contain credentials",
        "providers.mine.base_url: must not contain a query",
        "providers.mine.quirks: unknown quirk 'nonesuch'",
        "providers.mine.owns: 'v1/' must start with a slash",
        "journal.fsync: expected interval | always | never, got 'sometimes'",
        "TAXIMETER_STORE_DNS: unknown setting; did you mean TAXIMETER_STORE_DSN?",
        "console.port: expected a whole number, got 'many' (in TAXIMETER_CONSOLE_PORT)",
    ):
        assert expected in text
    assert len(found) == 14, text
    assert "hunter2" not in text


def test_beyond_loopback_is_meant(tmp_path: Path) -> None:
    """An address that others can reach is refused until the user says that it is meant."""
    (found,) = mistakes('[console]\nhost = "0.0.0.0"\n', tmp_path)
    assert found.startswith("console.host: other machines can reach 0.0.0.0")
    file = tmp_path / "open.toml"
    file.write_text('[proxy]\nhost = "::"\ninsecure = true\n')
    assert sources.load(file, HOME).proxy.host == "::"
    assert all(map(checks.is_loopback, ("127.0.0.1", "127.1.2.3", "::1", "localhost")))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("relays = ", "invalid TOML"),
        ('[proxy]\ntls_cert = "nowhere.pem"', "proxy.tls_cert: file not found"),
        (
            '[proxy]\ntls_cert = "nowhere.pem"',
            "proxy.tls_cert: set proxy.tls_cert and proxy.tls_key together",
        ),
        ('[upstream]\nca_file = "nowhere.pem"', "upstream.ca_file: file not found"),
        ('[metering]\ntariffs = "nowhere"', "metering.tariffs: directory not found"),
        ("[console]\nport = 4000", "console.port: proxy.port is 4000 too"),
        ('[providers.openai]\nbase_url = "api.openai.com"', "expected http:// or https://"),
        ('[providers.openai]\nbase_url = "https://[x"', "providers.openai.base_url: invalid URL"),
        (
            '[providers.A]\nbase_url = "http://x"',
            "providers.A: invalid provider name; use lower-case letters",
        ),
        ("providers = 3", "providers: expected a table"),
        ("[providers]\nopenai = 3", "providers.openai: expected a table"),
        ('[providers.openai]\nowns = "/v1"', "providers.openai.owns: expected a list"),
        ('[providers.openai]\nname = "x"', "providers.openai.name: unknown setting"),
        ("[proxy]\nport = true", "proxy.port: expected a whole number, got True"),
        ("[proxy]\nport = 70000", "proxy.port: expected a port of at most 65535, got 70000"),
        ("drain_timeout_s = nan", "drain_timeout_s: expected a number of at least 0, got nan"),
        (
            "[alerts]\njournal_share_max = 80",
            "alerts.journal_share_max: expected at most 1, got 80.0",
        ),
        ("[alerts]\nquiet_s = 0", "alerts.quiet_s: expected a number above 0, got 0.0"),
        ("relays = 100_000", "relays: expected at most 256; one per core is enough"),
        (
            "[upstream]\nheader_bytes_max = 99_999_999_999_999_999_999",
            "upstream.header_bytes_max: expected a number of at most 9007199254740992, got 99999",
        ),
        ('[proxy]\nhost = "127.0.0.1,"', "proxy.host: an address is missing in '127.0.0.1,'"),
        ('[console]\nhost = ""', "console.host: an address is missing in ''"),
        ('[proxy]\nhost = "127.0.0.1:80"', "proxy.host: expected an address or a name alone, got"),
        ('[proxy]\nhost = "http://a"', "proxy.host: expected an address or a name alone, got"),
        (
            '[providers.x]\nbase_url = "http://a b"',
            "providers.x.base_url: only visible ASCII characters may be in a URL",
        ),
        (
            '[providers.x]\nbase_url = "http://a\\nb"',
            "providers.x.base_url: only visible ASCII characters may be in a URL",
        ),
        (
            '[providers.x]\nbase_url = "http://ünï.example"',
            "providers.x.base_url: only visible ASCII characters may be in a URL",
        ),
    ],
)
def test_mistake(text: str, expected: str, tmp_path: Path) -> None:
    """Each kind of mistake has its own sentence."""
    assert any(expected in mistake for mistake in mistakes(text, tmp_path))


def test_audits_of_tokens_can_be_switched_off(tmp_path: Path) -> None:
    """As the defaults say: a share of 0."""
    file = tmp_path / "taximeter.toml"
    file.write_text("[metering]\naudit_sample = 0\n")
    assert sources.load(file, HOME).metering.audit_sample == 0


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('webhook = "hooks.example/T0SECRET"', "alerts.webhook: expected http:// or https://"),
        ('webhook = "ftp://hooks.example/T0SECRET"', "alerts.webhook: expected http://"),
        ('webhook = "https:///T0SECRET"', "alerts.webhook: expected http://"),
        ('webhook = "https://hooks.example:T0SECRET/"', "alerts.webhook: expected http://"),
        ('webhook = ["https://hooks.example/T0SECRET"]', "alerts.webhook: expected text in quotes"),
        ("webhook_headers = { x-a = ['T0SECRET'] }", "alerts.webhook_headers.x-a: expected text"),
        ('webhook_headers = { x-a = "T0SECRET\\nb" }', "alerts.webhook_headers: invalid header"),
        ('webhook_headers = { "T0SECRET b" = "c" }', "alerts.webhook_headers: invalid header"),
    ],
)
def test_a_webhook_is_not_repeated(line: str, expected: str, tmp_path: Path) -> None:
    """What is wrong with it is said without it: its path and its headers may be secrets."""
    (found,) = mistakes(f"[alerts]\n{line}\n", tmp_path)
    assert expected in found
    assert "T0SECRET" not in found


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.slack.com/services/T0/B0/x",
        "http://user:password@[::1]:9093/api/?sig=a%2Fb#c",
        "https://prod-1.example.org:443/w?sp=%2Ftriggers&sig=x",
        "http://10.0.0.1",
    ],
)
def test_a_webhook_may_be_any_url(url: str, tmp_path: Path) -> None:
    """With a query and a password too, which others sign their URLs with; no repr has it."""
    file = tmp_path / "taximeter.toml"
    file.write_text(f'[alerts]\nwebhook = "{url}"\nwebhook_headers = {{ a = "T0SECRET" }}\n')
    config = sources.load(file, HOME)
    assert config.alerts.webhook == url
    assert url not in repr(config)
    assert "T0SECRET" not in repr(config)


def test_a_missing_file_is_a_mistake(tmp_path: Path) -> None:
    """A file that was named must be there."""
    with pytest.raises(SettingsError, match=r"none\.toml: cannot read the file \(No such file"):
        sources.load(tmp_path / "none.toml", HOME)


def test_children_get_the_same(tmp_path: Path) -> None:
    """One line of JSON carries the whole configuration to the child processes."""
    file = tmp_path / "taximeter.toml"
    file.write_text('[otlp]\nheaders = { a = "b" }\n[key_names]\nk_1 = "nightly job"\n')
    config = sources.load(file, HOME, {"proxy.tls_cert": ""})
    line = sources.dump(config)
    assert b"\n" not in line
    assert sources.parse(line) == config
