"""`[gateway]` in the configuration: read whole, or refused with every mistake at once."""

from pathlib import Path

import pytest

from proxy.door import keys
from proxy.door.callers import caller_of, hashed, new_token
from proxy.gateway import names
from proxy.gateway.filters import keys_of
from proxy.gateway.options import KeyOptions
from proxy.settings import sources
from proxy.settings.config import Config
from proxy.settings.gateway_checks import gateway_warnings
from proxy.settings.sources import SettingsError

HASH = "sha256:" + "0" * 64
EXAMPLE = f"""
[gateway.keys.openai-main]
provider = "openai"
value = "env:OPENAI_API_KEY"
[gateway.keys.openai-spare]
provider = "openai"
value = "file:/run/secrets/openai"
[gateway.callers.search]
token_hash = ["{HASH}", "sha256:{"1" * 64}"]
tags = {{ team = "search" }}
routes = ["assistant", "openai/*"]
[gateway.routes.assistant]
version = "2026-11-28"
candidates = [
  {{ provider = "mistral", model = "mistral-small-latest", when = "input_tokens < 2000" }},
  {{ provider = "openai", model = "gpt-5", key = "openai-spare" }},
]
split = [ {{ candidate = 0, share = 0.9 }}, {{ candidate = 1, share = 0.1 }} ]
explore = 0.02
[gateway.aliases]
fast = "mistral/mistral-small-latest"
[gateway.models."openai/gpt-5"]
context_tokens = 400_000
modalities = ["image"]
"""
WRONG = """
[providers.gateway]
base_url = "https://x.example.org"
[gateway]
retry_share_max = 2.0
[gateway.keys.openai]
provider = "opnai"
value = "sk-proj-T0SECRET"
[gateway.callers.a]
token_hash = "T0SECRET"
routes = ["asistant"]
tags = { "Team " = "x" }
[gateway.callers.b]
token_hash = "sha256:0000000000000000000000000000000000000000000000000000000000000000"
[gateway.callers.c]
token_hash = "sha256:0000000000000000000000000000000000000000000000000000000000000000"
[gateway.aliases]
assistant = "openai"
[gateway.models."openai/gpt-5"]
modalities = ["picture"]
context_tokens = 0
[gateway.routes.assistant]
candidates = [
  { provider = "openai", model = "gpt-5", when = "input_token < 3" },
  { provider = "mistral", model = "", key = "opena", weight = -1, quality = 2 },
  { provider = "mistral", model = "m", key = "openai" },
  { provider = "mistral", model = "m", key = "openai" },
  { provider = "mistral", modle = "m" },
]
order = "cheap"
explore = 0.9
deadline_s = 0
split = [ { candidate = 0, share = 0.5 }, { candidate = 7, share = 0.4 } ]
score = { quality = -1 }
[gateway.routes."a/b"]
candidates = []
"""
SAID = """\
gateway.routes.assistant.candidates[4].modle: unknown setting; did you mean model?
gateway.routes.assistant.candidates[4].model: required
providers.gateway: this name is the gateway's; choose another
gateway.routes.a/b: invalid name; use up to 64 of a-z, 0-9, '.', '_' and '-', starting with a \
letter or digit
gateway.retry_share_max: expected at most 1, got 2
gateway.keys.openai.provider: unknown provider 'opnai'; did you mean openai?
gateway.keys.openai.value: expected where the key is, never the key itself: env:NAME, file:/PATH \
or command:PROGRAM ARGUMENTS
gateway.callers.a.token_hash: expected sha256: and 64 hexadecimal digits; make a token with: \
taximeter keys add a
gateway.callers.a.tags.Team : invalid tag; use up to 64 of a-z, 0-9, '_', '.' and '-'
gateway.callers.a.routes: unknown route 'asistant'; did you mean assistant?
gateway.callers.c.token_hash: gateway.callers.b has the same token
gateway.aliases.assistant: a route has this name too; choose another
gateway.aliases.assistant: expected provider/model, got 'openai'
gateway.models.openai/gpt-5.context_tokens: expected a number above 0, got 0
gateway.models.openai/gpt-5.modalities: unknown modality 'picture'; expected one of: audio, \
document, image, text, video
gateway.routes.assistant.candidates[0].when: unknown name 'input_token'; did you mean input_tokens?
gateway.routes.assistant.candidates[1].model: required
gateway.routes.assistant.candidates[1].key: unknown key 'opena'; did you mean openai?
gateway.routes.assistant.candidates[1].weight: expected a number of at least 0, got -1
gateway.routes.assistant.candidates[1].quality: expected 0 to 1, got 2
gateway.routes.assistant.candidates[2].key: openai is a key of opnai, not of mistral
gateway.routes.assistant.candidates[3].key: openai is a key of opnai, not of mistral
gateway.routes.assistant.candidates[3]: this candidate is listed twice
gateway.routes.assistant.order: unknown order 'cheap'; expected one of: latency, price, rules, \
score, weights
gateway.routes.assistant.explore: expected 0 to 0.5, got 0.9
gateway.routes.assistant.deadline_s: expected a number above 0, got 0
gateway.routes.assistant.score.quality: expected a number of at least 0
gateway.routes.assistant.split: no candidate 7; the first is 0, the last 3
gateway.routes.assistant.split: the shares add up to 0.9, not to 1
gateway.routes.a/b.candidates: expected at least one"""


def load(text: str, tmp_path: Path) -> Config:
    file = tmp_path / "taximeter.toml"
    file.write_text(text, encoding="utf-8")
    return sources.load(file, {"HOME": "/home/somebody"})


def test_the_example(tmp_path: Path) -> None:
    """It is read as written, survives the way to the relays, and shows no source of a key."""
    config = load(EXAMPLE, tmp_path)
    assert sources.parse(sources.dump(config)) == config
    assert "OPENAI_API_KEY" not in repr(config)
    gateway = config.gateway
    route = gateway.routes["assistant"]
    assert [one.label for one in route.candidates] == [
        "mistral/mistral-small-latest",
        "openai/gpt-5",
    ]
    assert keys_of(route.candidates[1], gateway) == ("openai-spare",)
    direct = names.find("openai/gpt-5", gateway, config.providers)
    assert direct is not None
    assert keys_of(direct.candidates[0], gateway) == ("openai-main", "openai-spare")
    assert names.find("fast", gateway, config.providers) is not None
    assert names.find("nobody/gpt-5", gateway, config.providers) is None
    caller = gateway.callers["search"]
    assert len(caller.hashes) == 2
    asked = ("assistant", "openai/gpt-5", "fast")
    assert [names.allows(caller, one) for one in asked] == [True, True, False]
    assert names.listed(gateway, caller) == ["assistant"]
    assert names.listed(gateway, None) == ["assistant", "fast"]


def test_every_mistake_at_once(tmp_path: Path) -> None:
    """Each with its key and what to do, and none quotes what may be a secret."""
    with pytest.raises(SettingsError) as caught:
        load(WRONG, tmp_path)
    file = tmp_path / "taximeter.toml"
    said = [one.replace(f" (in {file})", "") for one in caught.value.mistakes]
    assert said == SAID.split("\n")
    assert "T0SECRET" not in str(caught.value)


def test_what_cannot_work_is_told(tmp_path: Path) -> None:
    """Candidates without an address or a key, and routes that nobody may use."""
    text = """
[gateway.routes.r]
candidates = [ { provider = "azure", model = "m" } ]
"""
    assert list(gateway_warnings(load(text, tmp_path))) == [
        "gateway.callers: nobody can use the routes; run: taximeter keys add NAME",
        "gateway.routes.r.candidates[0]: unreachable: providers.azure.base_url is not set",
        "gateway.routes.r.candidates[0]: no key: add one for azure to [gateway.keys]",
    ]
    config = load(text + "[gateway]\ninsecure = true\n", tmp_path)
    assert next(iter(gateway_warnings(config))).startswith("gateway.insecure: ")
    assert [w.partition(":")[0] for w in gateway_warnings(load(EXAMPLE, tmp_path))] == [
        "gateway.routes.assistant.candidates[0]"
    ]


def test_keys_come_from_three_places(tmp_path: Path) -> None:
    """A variable, a file, a command without a shell; whatever fails is said without the key."""
    file = tmp_path / "key"
    file.write_text("sk-file\n", encoding="utf-8")

    def read(value: str) -> str:
        key = KeyOptions(name="k", provider="p", value=value)
        try:
            found = keys.resolve(key, {"K": "sk-env", "EMPTY": "", "PATH": "/usr/bin:/bin"})
        except ValueError as error:
            return f"! {error}"
        return found

    assert read("env:K") == "sk-env"
    assert read(f"file:{file}") == "sk-file"
    assert read("command:echo 'sk-a $K'") == "sk-a $K"
    assert read("env:NONE") == "! environment variable NONE is not set"
    assert read("file:/nowhere") == "! cannot read it (No such file or directory)"
    assert read("command:false") == "! its command failed with exit code 1"
    assert read("command:echo") == "! it is empty"
    assert read("command:printf 'a\\nb'") == "! it has characters that no header may have"
    assert read("command:no-such-program") == "! cannot read it (No such file or directory)"
    assert read("command:echo 'open") == "! its command has a mistake: No closing quotation"


def test_keys_are_read_once(tmp_path: Path) -> None:
    """By the process that starts the relays; what cannot be read is said, and is no key there."""
    gateway = load(EXAMPLE, tmp_path).gateway
    told: list[str] = []
    read = keys.read(gateway, {"OPENAI_API_KEY": "sk-T0SECRET"}, told.append)
    assert keys.here(read) == {"openai-main": "sk-T0SECRET"}
    assert told == ["gateway.keys.openai-spare: cannot read it (No such file or directory)"]
    assert keys.here(gateway) == {}
    assert "T0SECRET" not in repr(read)


def test_missing_keys_are_found_without_running_commands(tmp_path: Path) -> None:
    """`check` must not unlock anybody's password store."""
    mark = tmp_path / "ran"
    found = {
        "a": KeyOptions(name="a", provider="p", value=f"command:touch {mark}"),
        "b": KeyOptions(name="b", provider="p", value="command:no-such-program x"),
        "c": KeyOptions(name="c", provider="p", value="env:NONE"),
    }
    assert list(keys.problems(found, {"PATH": "/usr/bin:/bin"})) == [
        "gateway.keys.b: its command was not found",
        "gateway.keys.c: environment variable NONE is not set",
    ]
    assert not mark.exists()


def test_a_token_admits_its_caller(tmp_path: Path) -> None:
    """Each of a caller's tokens, until its hash is taken out; nothing else."""
    callers = load(EXAMPLE, tmp_path).gateway.callers
    first, second = new_token(), new_token()
    text = EXAMPLE.replace(HASH, hashed(first)).replace(f"sha256:{'1' * 64}", hashed(second))
    callers = load(text, tmp_path).gateway.callers
    assert [
        one and one.name for one in (caller_of(first, callers), caller_of(second, callers))
    ] == [
        "search",
        "search",
    ]
    assert caller_of("", callers) is None
    assert caller_of(first[:-1], callers) is None
    assert len(first) >= 4 + 43  # 256 bits


def test_a_field_that_no_api_has_is_told(tmp_path: Path) -> None:
    """It may be a provider's own; a suggestion stands beside it in case it is a slip."""
    file = tmp_path / "taximeter.toml"
    drop = 'drop = ["sead", "cache_control", "messages[].content[].image_url.detail", "x.*"]\n'
    at = "[gateway.routes.assistant]\n"
    file.write_text(EXAMPLE.replace(at, at + drop), encoding="utf-8")
    told = [one for one in gateway_warnings(sources.load(file, {})) if ".drop" in one]
    expected = "gateway.routes.assistant.drop: no API has a field 'sead'; did you mean seed?"
    assert told == [expected]


def test_a_candidate_that_nobody_can_reach_is_told(tmp_path: Path) -> None:
    """Its provider speaks a dialect that no caller does and nothing is translated into."""
    file = tmp_path / "taximeter.toml"
    one = '[gateway.routes.r]\ncandidates = [{ provider = "bedrock", model = "titan" }]\n'
    file.write_text(one, encoding="utf-8")
    told = list(gateway_warnings(sources.load(file, {})))
    expected = "its provider speaks bedrock, which no caller of the gateway does"
    assert f"gateway.routes.r.candidates[0]: {expected}" in told


WATCHED = """
candidates = [
  { provider = "openai", model = "a" },
  { provider = "openai", model = "b" },
  { provider = "openai", model = "b", when = "tools" },
]
"""


@pytest.mark.parametrize(
    ("split", "canary", "said"),
    [
        ("0.9 0.1", "candidate = 1, total_s = 8, rollback = true", ""),
        ("0.9 0.1", "candidate = 2", "canary.candidate: expected an arm of split, beside which"),
        ("1", "candidate = 0", "canary.candidate: expected an arm of split, beside which"),
        ("", "candidate = 0", "canary.candidate: expected an arm of split, beside which"),
        ("0.8 0.1 0.1", "candidate = 1", "canary.candidate: another arm is openai/b too"),
        ("0.9 0.1", "candidate = 1, confidence = 1", "canary.confidence: expected 0.5 or more"),
        ("0.9 0.1", "candidate = 1, total_s = 0", "canary.total_s: expected a number above 0"),
        ("0.9 0.1", "candidate = 1, dearer = -1", "canary.dearer: expected a number of at least 0"),
        ("0.9 0.1", "candidate = 1, notify = ['ops']", "canary.notify: unknown target 'ops'"),
        ("0.9 0.1", "candidate = 1, rolback = true", "canary.rolback: unknown setting; did you"),
        ("0.9 0.1", "rollback = true", "canary.candidate: required"),
    ],
)
def test_a_canary_is_checked(split: str, canary: str, said: str, tmp_path: Path) -> None:
    """It is an arm of the split that rows can tell from the others; unknown keys are refused."""
    shares = enumerate(split.split())
    arms = ", ".join(f"{{ candidate = {n}, share = {share} }}" for n, share in shares)
    text = f"[gateway.routes.r]{WATCHED}split = [{arms}]\ncanary = {{ {canary} }}\n"
    if said:
        with pytest.raises(SettingsError) as caught:
            load(text, tmp_path)
        assert f"gateway.routes.r.{said}" in str(caught.value)
        return
    config = load(text, tmp_path)
    assert sources.parse(sources.dump(config)) == config
    found = config.gateway.routes["r"].canary
    assert found is not None
    assert (found.candidate, found.total_s, found.rollback) == (1, 8.0, True)
