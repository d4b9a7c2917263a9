"""`taximeter routes` and `taximeter keys`, as a user meets them."""

import json
from pathlib import Path

import pytest
from test_gateway_settings import EXAMPLE

from proxy.commands.cli import main
from proxy.commands.terminal import Exit
from proxy.door.callers import caller_of
from proxy.door.shared_pools import SharedPools
from proxy.gateway import pools
from proxy.gateway.limits import pool
from proxy.settings import sources
from proxy.settings.places import Places

CHAT = {"model": "assistant", "messages": [{"role": "user", "content": "Say hello in French."}]}
Run = pytest.CaptureFixture[str]


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration, named by the environment as containers do."""
    written = tmp_path / "taximeter.toml"
    written.write_text("# ours\n" + EXAMPLE, encoding="utf-8")
    monkeypatch.setenv("TAXIMETER_CONFIG", str(written))
    monkeypatch.setenv("TAXIMETER_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    return written


def test_routes_are_listed(file: Path, capsys: Run) -> None:
    """Each candidate with its share and its condition."""
    assert main(["routes", "list"]) == Exit.OK
    said = capsys.readouterr().out
    assert "assistant  0  mistral/mistral-small-latest  rules    0.9  input_tokens < 2000" in said
    assert "alias fast = mistral/mistral-small-latest" in said


def test_routes_are_checked(file: Path, capsys: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that is missing, and an exit code for scripts."""
    assert main(["routes", "check", "--json"]) == Exit.FAILED
    assert json.loads(capsys.readouterr().out)["problems"] == [
        "gateway.routes.assistant.candidates[0]: no key: add one for mistral to [gateway.keys]",
        "gateway.keys.openai-main: environment variable OPENAI_API_KEY is not set",
        "gateway.keys.openai-spare: cannot read it (No such file or directory)",
    ]
    assert main(["check"]) == Exit.OK
    assert "warning: gateway.keys.openai-main: environment" in capsys.readouterr().err
    whole = EXAMPLE.replace("file:/run/secrets/openai", "env:OPENAI_API_KEY")
    whole += '[gateway.keys.m]\nprovider = "mistral"\nvalue = "env:OPENAI_API_KEY"\n'
    file.write_text(whole, encoding="utf-8")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-T0SECRET")
    assert main(["routes", "check"]) == Exit.OK
    assert capsys.readouterr().out == "1 routes, 3 keys, 1 callers: nothing is missing.\n"


def test_a_decision_is_explained(file: Path, capsys: Run, tmp_path: Path) -> None:
    """Who would serve a request, how likely, what it would cost, and who cannot and why."""
    text = EXAMPLE + '[gateway.keys.m]\nprovider = "mistral"\nvalue = "env:M"\n'
    file.write_text(text, encoding="utf-8")
    request = tmp_path / "request.json"
    request.write_text(json.dumps(CHAT), encoding="utf-8")
    assert main(["routes", "explain", "assistant", str(request), "--json"]) == Exit.OK
    said = json.loads(capsys.readouterr().out)
    assert said["facts"]["input_tokens"] == 12
    by_number = {one["number"]: one for one in said["candidates"]}
    assert by_number[0]["probability"] == pytest.approx(0.98 * 0.9 + 0.01)
    assert by_number[1]["probability"] == pytest.approx(0.98 * 0.1 + 0.01)
    assert float(by_number[1]["usd"]) > 0
    assert said["candidates"][0]["number"] == said["assigned"]
    request.write_text(json.dumps(CHAT | {"messages": [{"content": "word " * 3000}]}), "utf-8")
    assert main(["routes", "explain", "assistant", str(request)]) == Exit.OK
    said = capsys.readouterr().out
    assert "chat of 3,0" in said
    assert said.splitlines()[-1].split()[:3] == ["0", "mistral/mistral-small-latest", "out"]
    assert said.splitlines()[-1].endswith("when")


def test_limits_of_now_are_in_the_explanation(file: Path, capsys: Run, tmp_path: Path) -> None:
    """A pool that the relays of this data directory know to be closed; nothing is made for that."""
    text = EXAMPLE + '[gateway.keys.m]\nprovider = "mistral"\nvalue = "env:M"\n'
    file.write_text(text, encoding="utf-8")
    request = tmp_path / "request.json"
    request.write_text(json.dumps(CHAT), encoding="utf-8")
    told = ["routes", "explain", "assistant", str(request), "--json"]
    assert main(told) == Exit.OK
    capsys.readouterr()
    places = Places(tmp_path / "data")
    assert not places.gateway_pools.exists()
    relay = SharedPools(places.gateway_pools)
    name = pool("mistral", "m", "mistral-small-latest")
    relay.change(name, lambda one, now: pools.limited(one, now, 60, 0.5))
    assert main(told) == Exit.OK
    last = json.loads(capsys.readouterr().out)["candidates"][-1]
    assert (last["number"], last["reason"], last["probability"]) == (0, "limit", 0.0)
    relay.close()


def test_what_cannot_be_explained(file: Path, capsys: Run, tmp_path: Path) -> None:
    """An unknown route gets a suggestion; what is no JSON object is refused."""
    request = tmp_path / "request.json"
    request.write_text("[]", encoding="utf-8")
    assert main(["routes", "explain", "assistent", str(request)]) == Exit.MISTAKE
    assert "unknown route 'assistent'; did you mean assistant?" in capsys.readouterr().err
    assert main(["routes", "explain", "assistant", str(request)]) == Exit.MISTAKE
    assert "is no JSON object" in capsys.readouterr().err
    request.write_text(json.dumps(CHAT | {"top_k": 3}), encoding="utf-8")
    told = ["routes", "explain", "openai/gpt-5", str(request), "--api", "messages"]
    assert main(told) == Exit.FAILED
    said = capsys.readouterr()
    assert "No candidate can serve this request." in said.err
    assert "it cannot carry top_k" in " ".join(said.out.split())


def test_a_translation_is_explained(file: Path, capsys: Run, tmp_path: Path) -> None:
    """Which candidates get the request translated, and without what."""
    request = tmp_path / "request.json"
    request.write_text(json.dumps(CHAT | {"seed": 7}), encoding="utf-8")
    route = '[gateway.routes.lossy]\ndrop = ["seed"]\ncandidates = [{ provider = "anthropic", '
    route += 'model = "claude-haiku-4-5" }]\n[gateway.keys.a]\nprovider = "anthropic"\n'
    file.write_text(file.read_text("utf-8") + route + 'value = "env:A"\n', encoding="utf-8")
    assert main(["routes", "explain", "lossy", str(request), "--json"]) == Exit.OK
    (one,) = json.loads(capsys.readouterr().out)["candidates"]
    assert (one["translated"], one["losses"]) == (True, ["seed"])
    assert main(["routes", "explain", "lossy", str(request)]) == Exit.OK
    assert "anthropic/claude-haiku-4-5 would be sent without seed." in capsys.readouterr().out


def test_a_key_is_made_used_and_removed(file: Path, capsys: Run) -> None:
    """The token is on standard output alone; the printed lines admit it."""
    assert main(["keys", "add", "billing"]) == Exit.OK
    told = capsys.readouterr()
    token, lines = told.out.strip(), told.err.partition("\n\n")[2]
    assert token.startswith("tmt_")
    assert token not in told.err
    file.write_text(file.read_text("utf-8") + lines, encoding="utf-8")
    found = caller_of(token, sources.load(file, {}).gateway.callers)
    assert found is not None
    assert found.name == "billing"
    assert main(["keys", "list"]) == Exit.OK
    assert "billing       1" in capsys.readouterr().out
    assert main(["keys", "remove", "billing"]) == Exit.OK
    assert "Removed billing" in capsys.readouterr().out
    assert list(sources.load(file, {}).gateway.callers) == ["search"]
    assert file.read_text("utf-8").startswith("# ours\n" + EXAMPLE.rstrip())


def test_a_second_key_overlaps_with_the_first(file: Path, capsys: Run) -> None:
    """The printed line has the old hashes and the new one."""
    assert main(["keys", "add", "search", "--json"]) == Exit.OK
    made = json.loads(capsys.readouterr().out)
    text = EXAMPLE.replace('token_hash = ["', f'{made["line"]}\n# token_hash = ["', 1)
    file.write_text(text, encoding="utf-8")
    caller = sources.load(file, {}).gateway.callers["search"]
    assert len(caller.hashes) == 3
    assert caller_of(made["token"], {"search": caller}) is caller


def test_what_keys_refuse(file: Path, capsys: Run) -> None:
    """A name that no caller may have, one that is not there, and a file not to be cut safely."""
    assert main(["keys", "add", "Not A Name"]) == Exit.MISTAKE
    assert main(["keys", "remove", "serch"]) == Exit.MISTAKE
    assert "did you mean search?" in capsys.readouterr().err
    inline = f'[gateway]\ncallers = {{ a = {{ token_hash = "sha256:{"0" * 64}" }} }}\n'
    file.write_text(inline, encoding="utf-8")
    assert main(["keys", "remove", "a"]) == Exit.MISTAKE
    assert "remove it by hand" in capsys.readouterr().err
    assert file.read_text("utf-8") == inline
