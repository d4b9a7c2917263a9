"""Budgets and targets in the configuration: read whole, refused with every mistake at once."""

import dataclasses
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from test_notify_formats import OTHER, SECRET

from pricing.budget import Budget
from proxy.commands.cli import main
from proxy.commands.terminal import Exit
from proxy.settings import sources
from proxy.settings.budget_checks import idle, unseen
from proxy.settings.config import Config, NotifyOptions
from proxy.settings.sources import SettingsError
from support.webhook_receiver import Receiver

HOME = {"HOME": "/home/somebody"}
EXAMPLE = f"""
[budgets.search-monthly]
scope = {{ team = "search", tag.squad = "red" }}
limit_usd = 500.10
timezone = "Europe/Berlin"
thresholds = [50, 80, 99.5, "forecast"]
action = "block"
notify = ["ops-slack", "log"]

[budgets.each-user]
scope = {{ user = "*" }}
limit_calls = 0
period = "rolling 24h"

[notify.ops-slack]
type = "slack"
url = "env:SLACK_WEBHOOK"

[notify.hook]
type = "webhook"
url = "https://hooks.example.org/T0SECRET"
secret = ["{SECRET}", "env:OLD"]
headers = {{ authorization = "env:TOKEN" }}
"""
VARIABLES = {"SLACK_WEBHOOK": "https://hooks.slack.com/T0SECRET", "OLD": OTHER, "TOKEN": "T0SECRET"}


def load(text: str, tmp_path: Path, environ: dict[str, str] | None = None) -> Config:
    file = tmp_path / "taximeter.toml"
    file.write_text(text, encoding="utf-8")
    return sources.load(file, HOME | (environ or {}))


def mistakes(text: str, tmp_path: Path, environ: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(text, tmp_path, environ)
    return list(caught.value.mistakes)


def test_the_example(tmp_path: Path) -> None:
    """Dotted tags, exact amounts, 0 apart from absent, secrets from the environment."""
    config = load(EXAMPLE, tmp_path, VARIABLES)
    budget = config.budgets["search-monthly"]
    assert dict(budget.scope) == {"team": "search", "tag.squad": "red"}
    assert budget.limit == Decimal("500.10")
    assert budget.thresholds == (50.0, 80.0, 99.5, "forecast")
    each = config.budgets["each-user"]
    assert (each.limit_usd, each.limit_tokens, each.limit_calls) == (None, None, 0)
    assert config.notify["ops-slack"].url == VARIABLES["SLACK_WEBHOOK"]
    hook = config.notify["hook"]
    assert hook.secrets == (SECRET, OTHER)
    assert hook.headers["authorization"] == "T0SECRET"
    assert "SECRET" not in repr(config)
    assert sources.parse(sources.dump(config)) == config


def test_the_environment_sets_keys_of_a_budget(tmp_path: Path) -> None:
    """Amounts, lists of thresholds and scopes are read from text."""
    environ = {
        **VARIABLES,
        "TAXIMETER_BUDGETS_SEARCH_MONTHLY_LIMIT_USD": "0.1",
        "TAXIMETER_BUDGETS_SEARCH_MONTHLY_THRESHOLDS": "70,forecast",
        "TAXIMETER_BUDGETS_EACH_USER_LIMIT_CALLS": "7",
    }
    config = load(EXAMPLE, tmp_path, environ)
    assert config.budgets["search-monthly"].limit_usd == Decimal("0.1")
    assert config.budgets["search-monthly"].thresholds == (70.0, "forecast")
    assert config.budgets["each-user"].limit_calls == 7


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('scope = { teem = "x" }', "scope.teem: unknown dimension; did you mean team?"),
        (
            'scope = { provider = "opnai" }',
            "scope.provider: unknown provider 'opnai'; did you me",
        ),
        ('scope = { key = "biling" }', "scope.key: unknown key 'biling'; did you mean billing?"),
        ('scope = { key = "k_0123" }', "scope.key: rows show k_0123 by its name in key_names; wri"),
        (
            'scope = { tag.user-id = "x" }',
            "user-id is not among the free tags, so no call matches; ",
        ),
        ('scope = { tag.session-id = "x" }', "session-id is not among the free tags, so no call"),
        ('scope = { tag.team = "x" }', "scope.tag.team: team is not among the free tags, so no"),
        ("scope = { team = 3 }", "scope.team: expected text in quotes, got 3"),
        (
            'timezone = "Europe/Berln"',
            "timezone: unknown time zone 'Europe/Berln'; did you mean E",
        ),
        ('period = "monthly"', "period: expected hour | day | week | month | quarter | year | rol"),
        ('action = "blok"', "did you mean block?"),
        ('limit_usd = "much"', "limit_usd: expected a number, got 'much'"),
        ("limit_usd = -0.01", "limit_usd: expected at least 0, got -0.01"),
        ("limit_usd = nan", "limit_usd: expected at least 0"),
        ("limit_calls = 1.5", "limit_calls: expected a whole number, got 1.5"),
        ("limit_usd = true", "limit_usd: expected a number, got True"),
        ('notify = ["ops-slak"]', "notify: unknown target 'ops-slak'; did you mean ops-slack?"),
        ("thresholds = [true]", "thresholds[0]: expected a number, got True"),
        ("limit = 5", "limit: unknown setting"),
    ],
)
def test_mistakes_in_a_budget(line: str, expected: str, tmp_path: Path) -> None:
    """Each is named by its key, with what was probably meant."""
    names = '[key_names]\nk_0123 = "billing"\n'
    target = '[notify.ops-slack]\ntype = "slack"\nurl = "https://h.example"\n'
    found = mistakes(f"[budgets.b]\n{line}\n{target}{names}", tmp_path)
    assert any(one.startswith("budgets.b.") and expected in one for one in found), found


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ('type = "slak"', ".type: unknown type 'slak'; did you mean slack?"),
        ("", ".type: required"),
        ('type = "slack"', ".url: required for type slack"),
        ('type = "slack"\nurl = "hooks.example/T0SECRET"', ".url: expected http:// or https://"),
        ('type = "slack"\nurl = "env:NOWHERE"', ".url: environment variable NOWHERE is not set"),
        ('type = "slack"\nurl = "env:"', ".url: environment variable (no name) is not set"),
        ('type = "log"\nurl = "https://x/T0SECRET"', ".url: has no effect with type log"),
        ('type = "webhook"\nurl = "https://x"\nsecret = "T0SECRET"', ".secret: expected whsec_"),
        ('type = "webhook"\nurl = "https://x"\nheaders = {a = "T0SECRET\\n"}', ".headers: inv"),
        ('type = "pagerduty"\nrouting_key = "T0SECRET"', ".routing_key: expected 32 letters"),
        ('type = "smtp"\nhost = "x"\nsender = "x"\nrecipients = ["a@b"]', ".sender: expected a ma"),
        ('type = "smtp"\nhost = "x"\nsender = "a@b"\nrecipients = ["x"]', ".recipients: expected"),
        ('type = "smtp"\npassword = "T0SECRET"', ".username: set notify.t.username and"),
        ('type = "smtp"\nencryption = "ssl"', ".encryption: expected starttls | tls | none"),
        ('type = "smtp"\nport = 99999', ".port: expected a port of at most 65535"),
        (
            'type = "smtp"\nencryption = "none"\nusername = "a"\npassword = "T0SECRET"',
            '.encryption: "none" would send the password unencrypted',
        ),
    ],
)
def test_mistakes_in_a_target(lines: str, expected: str, tmp_path: Path) -> None:
    """Each is named by its key, and no secret is quoted."""
    found = mistakes(f"[notify.t]\n{lines}\n", tmp_path)
    assert any(one.startswith(f"notify.t{expected}") for one in found), found
    assert "SECRET" not in "".join(found)
    assert len({one.partition(":")[0] for one in found}) == len(found), "one mistake for a key"


def test_names(tmp_path: Path) -> None:
    """The log keeps its name, and names have no characters that an id needs."""
    found = mistakes('[notify.log]\ntype = "slack"\nurl = "https://x"\n[budgets."a:b"]\n', tmp_path)
    assert found[0].startswith('notify.log: "log" is the log')
    assert found[1].startswith("budgets.a:b: invalid name")
    assert mistakes('[alerts]\nnotify = ["nobody"]\n', tmp_path)[0].startswith("alerts.notify: unk")


def test_all_mistakes_at_once(tmp_path: Path) -> None:
    """Of every budget and target, with those of the rest."""
    found = mistakes(
        '[budgets.a]\nlimit_usd = -1\naction = "x"\nscope = { provider = "x" }\n'
        '[budgets.b]\nperiod = "x"\n[notify.t]\ntype = "x"\n[proxy]\nport = 99999\n',
        tmp_path,
    )
    keys = {one.partition(":")[0] for one in found}
    assert keys == {
        *("budgets.a.limit_usd", "budgets.a.action", "budgets.a.scope.provider"),
        *("budgets.b.period", "notify.t.type", "proxy.port"),
    }


def test_values_not_seen_yet_are_warnings() -> None:
    """With what was probably meant; dimensions that nobody asked about are left out."""
    budget = Budget(name="b", scope={"team": "serach", "user": "*", "model": "gpt-4o"})
    (warning,) = unseen(budget, {"team": ["search"], "user": []})
    assert warning == "budgets.b.scope.team: 'serach' is not known yet; did you mean search?"
    assert list(unseen(budget, {})) == []


@pytest.mark.parametrize("unit", ["calls", "tokens"])
def test_an_amount_for_unknown_calls_needs_a_limit_in_money(unit: str) -> None:
    """Beside another limit it changes nothing, which is a warning."""
    budget = Budget(name="b", unknown_usd=Decimal(1))
    assert not list(idle(dataclasses.replace(budget, limit_usd=Decimal(5))))
    (warning,) = idle(dataclasses.replace(budget, **{f"limit_{unit}": 5}))  # type: ignore[arg-type]
    assert warning == f"budgets.b.unknown_usd: has no effect with limit_{unit}"


def test_every_key_is_explained() -> None:
    """Each key that a budget or a target may have is described in defaults.toml."""
    text = (Path(sources.__file__).parent / "defaults.toml").read_text(encoding="utf-8")
    for cls in (Budget, NotifyOptions):
        for field in dataclasses.fields(cls):
            assert field.name == "name" or f"#   {field.name} " in text, field.name


def test_check_shows_budgets_and_targets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As tables and as JSON, without a secret; a provider without an address is a warning."""
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    file = tmp_path / "taximeter.toml"
    odd = '[budgets.azure]\nscope = { provider = "azure", model = "gpt-4oo" }\n'
    file.write_text(EXAMPLE + odd, encoding="utf-8")
    assert main(["check", "--config", str(file)]) == Exit.OK
    shown = capsys.readouterr()
    assert "  team=search, tag.squad=red  " in shown.out
    assert "  500.1 usd  month " in shown.out
    assert "budgets.azure.scope.provider: providers.azure.base_url is not set" in shown.err
    assert "budgets.azure.scope.model: 'gpt-4oo' is not known yet; did you mean" in shown.err
    assert main(["check", "--config", str(file), "--json"]) == Exit.OK
    text = capsys.readouterr().out
    found = json.loads(text)
    assert [one["name"] for one in found["targets"]] == ["ops-slack", "hook"]
    assert found["budgets"][1]["scope"] == "user=*"
    assert "SECRET" not in text + shown.out


async def notify(tmp_path: Path, lines: str, *arguments: str) -> int:
    """`taximeter notify test`, in a thread: it has an event loop of its own."""
    import asyncio  # noqa: PLC0415 — for this helper alone

    file = tmp_path / "taximeter.toml"
    file.write_text(lines, encoding="utf-8")
    return await asyncio.to_thread(main, ["notify", "test", *arguments, "--config", str(file)])


async def test_notify_test(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The target gets a marked message; its answer is shown, and the exit code is its verdict."""
    async with Receiver(200, 200, 403, 500, 410, path="/T0SECRET") as receiver:
        lines = f'[notify.t]\ntype = "teams"\nurl = "{receiver.url}"\n'
        lines += f'[notify.hook]\ntype = "webhook"\nurl = "{receiver.url}"\n'
        receiver.answer = "ok\x1b[1m"
        assert await notify(tmp_path, lines, "t") == Exit.OK
        shown = capsys.readouterr().out
        assert "t: accepted (HTTP 200: ok [1m)\nThis does not prove that it arrived" in shown
        card = receiver.bodies[0]["attachments"][0]["content"]
        assert card["body"][0]["text"] == "INFO: TEST message".replace(":", "\\:")
        assert await notify(tmp_path, lines, "hook", "--json") == Exit.OK
        assert json.loads(capsys.readouterr().out) == {
            "target": "hook",
            "result": "delivered",
            "detail": "HTTP 200: ok [1m",
        }
        body: dict[str, Any] = receiver.bodies[1]
        assert (body["kind"], body["test"], body["type"]) == ("test", True, "test.firing")
        budget = '[budgets.b]\nscope = { user = "*" }\nlimit_usd = 10\n'
        assert await notify(tmp_path, lines + budget, "hook", "--budget", "c") == Exit.MISTAKE
        assert "notify: unknown budget 'c'; expected one of: b" in capsys.readouterr().err
        receiver.statuses.insert(0, 200)
        assert await notify(tmp_path, lines + budget, "hook", "--budget", "b") == Exit.OK
        sent = receiver.bodies[2]
        assert (sent["kind"], sent["budget"], sent["spent_usd"]) == ("test", "b", "8.0")
        assert sent["title"] == "TEST: Budget b (user example) at 80 %"
        assert sent["id"].startswith("test:")
        capsys.readouterr()
        results = []
        for _ in range(3):
            assert await notify(tmp_path, lines, "hook", "--json") == Exit.FAILED
            results.append(json.loads(capsys.readouterr().out)["result"])
        assert results == ["refused", "retry", "gone"]
        assert await notify(tmp_path, lines, "hok") == Exit.MISTAKE
        error = capsys.readouterr().err
        assert "notify: unknown target 'hok'; did you mean hook?" in error
        assert await notify(tmp_path, lines, "log") == Exit.OK
