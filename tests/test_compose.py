"""docker-compose.yml and Dockerfile say what the product understands, and open nothing to others.

There is no Docker here: the shapes are those of the Compose specification
(https://github.com/compose-spec/compose-spec/blob/main/spec.md) for the keys that we use; a key
that is not listed fails, so every value is read.
"""

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml
from jsonschema import Draft202012Validator

from evaluation.standin.workload import plan
from exporters.clickhouse.dsn import parse_dsn
from proxy.serving.supervisor import FLUSH_S, MARGIN_S
from proxy.settings import sources

ROOT = Path(__file__).parents[1]
COMPOSE = ROOT / "docker-compose.yml"
INTERPOLATION = re.compile(r"\$\{(\w+)(?:(:?[-+])([^}]*))?\}")

TEXT = {"type": "string", "minLength": 1}
TEXTS = {"type": "array", "items": TEXT, "minItems": 1}
DURATION = {"type": "string", "pattern": r"^(\d+(h|m|s|ms|us))+$"}


def an_object(required: list[str], **properties: object) -> dict[str, object]:
    """A JSON schema for an object of exactly these keys."""
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def named(schema: object) -> dict[str, object]:
    """A JSON schema for a mapping from names."""
    return {
        "type": "object",
        "propertyNames": {"pattern": r"^[a-zA-Z0-9._-]+$"},
        "additionalProperties": schema,
        "minProperties": 1,
    }


SERVICE = an_object(
    [],
    image={"type": "string", "pattern": r"^[a-z0-9./_-]+:[a-z0-9.-]+$"},
    build={"const": "."},
    profiles=TEXTS,
    ports={"type": "array", "items": {"pattern": r"^127\.0\.0\.1:\d+:\d+$"}},
    environment={"type": "object", "additionalProperties": {"type": "string"}},
    volumes={"type": "array", "items": {"pattern": r"^(\./[\w/-]+|\w+):/[\w/-]+(:ro)?$"}},
    configs={"type": "array", "items": an_object(["source", "target"], source=TEXT, target=TEXT)},
    command=TEXTS,
    entrypoint=TEXTS,
    depends_on={
        "anyOf": [
            TEXTS,
            named(
                an_object(["condition"], condition={"enum": ["service_started", "service_healthy"]})
            ),
        ]
    },
    network_mode={"type": "string", "pattern": r"^service:[\w-]+$"},
    healthcheck={
        "anyOf": [
            an_object(["disable"], disable={"const": True}),
            an_object(
                ["test"],
                test={"type": "array", "prefixItems": [{"const": "CMD"}], "minItems": 2},
                interval=DURATION,
                timeout=DURATION,
                retries={"type": "integer", "minimum": 1},
            ),
        ]
    },
    restart={"enum": ["no", "always", "on-failure", "unless-stopped"]},
    stop_grace_period=DURATION,
    read_only={"type": "boolean"},
    tmpfs=TEXTS,
    cap_drop=TEXTS,
    security_opt=TEXTS,
    ulimits=named(
        an_object(["soft", "hard"], soft={"type": "integer"}, hard={"type": "integer"}),
    ),
)
SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"pattern": r"^[a-z0-9][a-z0-9_-]*$"},
        "services": named(SERVICE),
        "volumes": named({"const": {}}),
        "configs": named(an_object(["content"], content=TEXT)),
    },
    "patternProperties": {"^x-": True},
    "required": ["name", "services"],
    "additionalProperties": False,
}


def interpolated(value: Any, environ: dict[str, str]) -> Any:
    """`value` with ${NAME:-default} and ${NAME:+replacement} worked out, as Compose does."""

    def one(match: re.Match[str]) -> str:
        name, operator, word = match.groups()
        is_set = bool(environ.get(name))
        if operator == ":+":
            return str(word) if is_set else ""
        assert operator == ":-", f"${{{name}}} has no default: it would be empty, with a warning"
        return environ[name] if is_set else str(word)

    if isinstance(value, dict):
        return {key: interpolated(item, environ) for key, item in value.items()}
    if isinstance(value, list):
        return [interpolated(item, environ) for item in value]
    return INTERPOLATION.sub(one, value) if isinstance(value, str) else value


def compose(**environ: str) -> dict[str, Any]:
    """The file as Compose sees it."""
    document = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))
    worked_out: dict[str, Any] = interpolated(document, environ)
    return worked_out


def taximeter_environment(name: str = "taximeter", /, **environ: str) -> dict[str, str]:
    """What such a container has: the image's variables and those of the service."""
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    image = dict(re.findall(r"(TAXIMETER_\w+)=(\S+)", dockerfile))
    service: dict[str, str] = compose(**environ)["services"][name]["environment"]
    return image | service


@pytest.mark.parametrize("environ", [{}, {"COMPOSE_PROFILES": "demo", "CLICKHOUSE_PASSWORD": "x"}])
def test_shape(environ: dict[str, str]) -> None:
    """Every key and value is one of the Compose specification, and every port is loopback's."""
    problems = Draft202012Validator(SCHEMA).iter_errors(compose(**environ))
    assert [f"{problem.json_path}: {problem.message}" for problem in problems] == []


def test_no_variable_is_needed() -> None:
    """It starts without a key or any other variable set; `interpolated` refuses those without."""
    assert "${" not in str(compose())


def test_what_is_named_exists() -> None:
    """Services, volumes, configurations and mounted directories that are named are there."""
    document = compose()
    services = document["services"]
    for name, service in services.items():
        for other in service.get("depends_on", ()):
            needs = service["depends_on"]
            healthy = isinstance(needs, dict) and needs[other]["condition"] == "service_healthy"
            assert other in services, f"{name} depends on {other}"
            assert not healthy or "test" in services[other]["healthcheck"]
        for mount in service.get("volumes", ()):
            source = mount.partition(":")[0]
            found = (
                (ROOT / source).is_dir()
                if source.startswith(".")
                else source in document["volumes"]
            )
            assert found, f"{name} mounts {source}"
        for config in service.get("configs", ()):
            assert config["source"] in document["configs"]
        if "network_mode" in service:
            assert service["network_mode"].removeprefix("service:") in services
            assert "ports" not in service  # Compose refuses both
    mounted = {
        mount.partition(":")[0] for each in services.values() for mount in each.get("volumes", ())
    }
    assert set(document["volumes"]) <= mounted


def test_taximeter_understands_its_variables() -> None:
    """Image and service set only what is a setting; providers are the real ones."""
    config = sources.load(None, taximeter_environment())
    assert str(config.data) == "/data"
    assert config.proxy.insecure
    assert config.providers == sources.load(None, {"HOME": "/"}).providers
    store = parse_dsn(config.store.dsn)
    assert (store.host, store.port, store.user) == ("clickhouse", 8123, "taximeter")


@pytest.mark.parametrize("environ", [{}, {"COMPOSE_PROFILES": "demo"}])
def test_no_call_of_the_demo_reaches_a_provider(environ: dict[str, str]) -> None:
    """However the profile is chosen (--profile sets no variable): its traffic goes to a Taximeter
    of its own, for which every provider of the workload is the stand-in.
    """
    services = compose(**environ)["services"]
    stand_in, traffic = services["stand-in"], services["traffic"]
    here = f"http://127.0.0.1:{stand_in['entrypoint'][-1]}"
    config = sources.load(None, taximeter_environment("demo", **environ))
    called = {next(planned).path.split("/")[1] for planned in [plan(1)] for _ in range(500)}
    assert {config.providers[name].base_url for name in called} == {here}
    assert {stand_in["network_mode"], traffic["network_mode"]} == {"service:demo"}
    assert f"http://127.0.0.1:{config.proxy.port}" in traffic["entrypoint"]
    for name in ("demo", "stand-in", "traffic"):
        assert services[name]["profiles"] == ["demo"]
    assert config.node == "demo"  # so that its rows can be told apart
    volumes = {name: services[name]["volumes"] for name in ("demo", "taximeter")}
    assert not set(volumes["demo"]) & set(volumes["taximeter"])


def test_services_agree() -> None:
    """Ports, passwords and times of one service are those that the others count on."""
    services = compose(CLICKHOUSE_PASSWORD="secret", GRAFANA_PASSWORD="other")["services"]
    config = sources.load(None, taximeter_environment(CLICKHOUSE_PASSWORD="secret"))
    assert parse_dsn(config.store.dsn).password == "secret"
    assert services["clickhouse"]["environment"]["CLICKHOUSE_PASSWORD"] == "secret"
    assert services["clickhouse"]["environment"]["GRAFANA_PASSWORD"] == "other"
    assert services["grafana"]["environment"]["CLICKHOUSE_PASSWORD"] == "other"
    published = {port.split(":")[2] for port in services["taximeter"]["ports"]}
    assert published == {str(config.proxy.port), str(config.console.port)}
    grace_s = int(services["taximeter"]["stop_grace_period"].removesuffix("s"))
    assert grace_s >= config.lame_duck_s + config.drain_timeout_s + MARGIN_S + FLUSH_S


def test_grafana_may_only_read() -> None:
    """Its user is made by the configuration, with the limits of grafana/clickhouse_reader.sql."""
    document = compose()
    clickhouse, grafana = (document["services"][name] for name in ("clickhouse", "grafana"))
    (config,) = clickhouse["configs"]
    root = ElementTree.fromstring(document["configs"][config["source"]]["content"])
    (profile,), (user,) = root.findall("profiles/*"), root.findall("users/*")
    assert grafana["environment"]["CLICKHOUSE_USER"] == user.tag
    assert user.findtext("profile") == profile.tag
    (password,) = user.findall("password")
    assert clickhouse["environment"][password.attrib["from_env"]]
    database = grafana["environment"]["CLICKHOUSE_DATABASE"]
    grants = [query.text for query in user.findall("grants/query")]
    sql = (ROOT / "grafana" / "clickhouse_reader.sql").read_text(encoding="utf-8")
    granted = re.findall(rf"^    SELECT ON {database}\.(\w+?)(?<!_local),?$", sql, re.MULTILINE)
    assert grants == [f"GRANT SELECT ON {database}.{table}" for table in granted]
    for setting in ("readonly", "max_execution_time", "max_result_rows", "max_memory_usage"):
        assert re.search(rf"\b{setting} = {profile.findtext(setting)}\b", sql)
    assert profile.find("constraints/max_execution_time/changeable_in_readonly") is not None


def test_the_collector_takes_what_is_sent() -> None:
    """Its endpoints are those of OTEL_EXPORTER_OTLP_ENDPOINT, its pipelines are whole."""
    document = compose()
    collector = yaml.safe_load(document["configs"]["collector"]["content"])
    endpoint = document["services"]["taximeter"]["environment"]["OTEL_EXPORTER_OTLP_ENDPOINT"]
    port = endpoint.rpartition(":")[2]
    assert collector["receivers"]["otlp"]["protocols"]["http"]["endpoint"].endswith(f":{port}")
    for pipeline in collector["service"]["pipelines"].values():
        for kind in ("receivers", "processors", "exporters"):
            assert set(pipeline[kind]) <= collector[kind].keys()


def test_the_image_runs_without_privileges() -> None:
    """Not root, and nothing is copied that the build context leaves out."""
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    final = dockerfile.rpartition("\nFROM ")[2]
    assert re.search(r"^USER (?!0|root)\w+", final, re.MULTILINE)
    assert final.index("USER ") < final.index("ENTRYPOINT")
    kept = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    for line in re.findall(r"^COPY (?!--from)(.+)$", dockerfile, re.MULTILINE):
        for source in line.split()[:-1]:
            assert f"!{source}" in kept, source


def test_the_image_builds_every_package() -> None:
    """Every package of the distribution is copied whole."""
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    for top in ("pricing", "exporters", "proxy", "evaluation"):
        assert f"COPY {top} {top}" in dockerfile
