"""`taximeter tariffs import`: shows the differences first, asks, and writes whole files or none."""

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from pricing import TariffBook
from proxy.commands.cli import main
from proxy.commands.tariff_import import Order, import_set
from proxy.commands.terminal import Exit
from proxy.settings.config import Config

DAY = date(2026, 11, 28)
FILE = "openai-imported.toml"
OPENAI = {"litellm_provider": "openai", "mode": "chat"}
SET = {
    "acme-9": {**OPENAI, "input_cost_per_token": 2e-06, "output_cost_per_token": 8e-06},
    "acme-odd": {**OPENAI, "input_cost_per_token": 2e-06, "moon_multiplier": 2},
    "acme-tool": {
        **OPENAI,
        "input_cost_per_token": 2e-06,
        "output_cost_per_token": 8e-06,
        "search_context_cost_per_query": {"search_context_size_low": 0.01},
    },
    "gpt-4o-mini": {**OPENAI, "input_cost_per_token": 9e-06, "output_cost_per_token": 9e-05},
    "moon/acme": {"litellm_provider": "moon", "input_cost_per_token": 1e-06},
}


@pytest.fixture
def source(tmp_path: Path) -> str:
    return written(tmp_path, SET)


def written(place: Path, document: object) -> str:
    file = place / "set.json"
    file.write_text(json.dumps(document), encoding="utf-8")
    return str(file)


def texts(place: Path) -> Mapping[str, str]:
    return {path.name: path.read_text(encoding="utf-8") for path in place.iterdir()}


def run(source: str, to: Path, *more: str) -> int:
    return main(["tariffs", "import", source, "--to", str(to), *more])


def test_it_writes_what_is_new_and_says_what_it_did_not(
    source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """New prices, kept ones, refused and left-out fields are all shown, with their numbers."""
    to = tmp_path / "tariffs"
    assert run(source, to, "--yes") == Exit.OK
    said = capsys.readouterr()
    assert "Models in litellm: 2 new, 0 with a changed price" in said.out
    assert "1 keep a price that was entered by hand or comes from another set;" in said.out
    assert "the field moon_multiplier is not understood" in said.out
    assert "openai/acme-odd" in said.out
    assert "search_context_cost_per_query" in said.out
    assert "taximeter reprice --since 30d --dry-run" in said.err
    assert f'Set tariffs = "{to}" under [metering]' in said.err
    book = TariffBook.parse(texts(to))
    assert book.knows("openai", "acme-9")
    assert book.knows("openai", "acme-tool")
    assert not book.knows("openai", "acme-odd")
    assert not book.knows("openai", "gpt-4o-mini")
    assert list(texts(to)) == [FILE]


def test_the_written_prices_price_calls(source: str, tmp_path: Path) -> None:
    """With the directory configured, the command that prices a call knows the model."""
    to = tmp_path / "tariffs"
    assert run(source, to, "--yes") == Exit.OK
    config = tmp_path / "taximeter.toml"
    config.write_text(f'[metering]\ntariffs = "{to}"\n', encoding="utf-8")
    shown = ["tariffs", "show", "openai/acme-9", "--config", str(config)]
    assert main(shown) == Exit.OK


def test_the_configured_directory_is_the_default(
    source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing more is to be set then."""
    to = tmp_path / "tariffs"
    to.mkdir()
    config = tmp_path / "taximeter.toml"
    config.write_text(f'[metering]\ntariffs = "{to}"\n', encoding="utf-8")
    arguments = ["tariffs", "import", source, "--yes", "--config", str(config)]
    assert main(arguments) == Exit.OK
    assert list(texts(to)) == [FILE]
    assert "Set tariffs" not in capsys.readouterr().err


def test_without_a_directory_it_says_how_to_name_one(
    source: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The shipped prices are not the user's to change."""
    assert main(["tariffs", "import", source, "--yes"]) == Exit.MISTAKE
    said = capsys.readouterr().err
    assert "--to DIR" in said
    assert "[metering]" in said


@pytest.mark.parametrize("more", [["--dry-run", "--yes"], ["--dry-run", "--json"]])
def test_a_dry_run_writes_nothing(source: str, tmp_path: Path, more: list[str]) -> None:
    """It only shows, whatever else is said."""
    to = tmp_path / "tariffs"
    assert run(source, to, *more) == Exit.OK
    assert not to.exists()


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_nobody_to_ask_is_a_no(
    source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str]
) -> None:
    """In a pipe, or for JSON, only --yes writes."""
    to = tmp_path / "tariffs"
    assert run(source, to, *more) == Exit.MISTAKE
    assert not to.exists()
    assert "Nothing was written." in capsys.readouterr().err


@pytest.mark.parametrize(("answer", "code"), [("yes\n", Exit.OK), ("\n", Exit.MISTAKE)])
def test_a_person_is_asked(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str, code: Exit
) -> None:
    """After the differences, and before anything is written."""
    to = tmp_path / "tariffs"
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda question: answer.strip())
    assert run(source, to) == code
    assert to.exists() is (code is Exit.OK)


def test_the_answer_for_machines(
    source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One JSON object with every difference and every refusal, figures as text."""
    to = tmp_path / "tariffs"
    assert run(source, to, "--yes", "--json") == Exit.OK
    document = json.loads(capsys.readouterr().out)
    assert document["set"] == "litellm"
    assert document["source"] == "set.json"
    assert document["models"] == {"new": 2, "changed": 0, "added": 0, "kept": 1}
    assert document["written"] == [str(to / FILE)]
    new = [each for each in document["differences"] if each["model"] == "acme-9"]
    assert {(each["meter"], each["theirs"]) for each in new} == {("input", "2"), ("output", "8")}
    assert [each["model"] for each in document["left_out"]] == ["acme-odd"]
    assert [each["field"] for each in document["set_aside"]] == ["search_context_cost_per_query"]


def test_only_and_override(source: str, tmp_path: Path) -> None:
    """A shipped price is replaced by name, from that day on."""
    to = tmp_path / "tariffs"
    assert run(source, to, "--yes", "--override", "--only", "openai/gpt-4o-*") == Exit.OK
    (tariff,) = TariffBook.parse(texts(to)).tariffs
    assert tariff.names == ("gpt-4o-mini",)
    assert tariff.start is not None


def test_a_provider_of_the_configuration_is_taken(tmp_path: Path) -> None:
    """A model of a provider that only the user has is imported by the set's own name for it."""
    source, to = written(tmp_path, SET), tmp_path / "tariffs"
    config = tmp_path / "taximeter.toml"
    text = '[providers.moon]\ndialect = "openai"\nbase_url = "https://api.moon.example/v1"\n'
    config.write_text(text, encoding="utf-8")
    order = ["--yes", "--only", "moon/*", "--config", str(config)]
    assert run(source, to, *order) == Exit.OK
    assert list(texts(to)) == ["moon-imported.toml"]
    assert TariffBook.parse(texts(to)).knows("moon", "acme")


def test_a_second_import_grows_the_file(source: str, tmp_path: Path) -> None:
    """What was written and added by hand before stays, letter by letter."""
    to, config = tmp_path / "tariffs", Config(data=tmp_path)
    order = Order(source=source, to=to, yes=True)
    assert import_set(order, config, DAY) is Exit.OK
    before = (to / FILE).read_text(encoding="utf-8") + "# a note of mine\n"
    (to / FILE).write_text(before, encoding="utf-8")
    dearer = {"acme-9": {**SET["acme-9"], "input_cost_per_token": 3e-06}}
    again = replace(order, source=written(tmp_path, dearer))
    assert import_set(again, config, date(2026, 12, 24)) is Exit.OK
    assert (to / FILE).read_text(encoding="utf-8").startswith(before)
    assert import_set(again, config, date(2026, 12, 24)) is Exit.OK
    periods = [each for each in TariffBook.parse(texts(to)).tariffs if each.names == ("acme-9",)]
    assert [each.first_known for each in periods] == [DAY, date(2026, 12, 24)]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "not a price set: invalid JSON"),
        (b"{}", "not one of the price sets"),
        (b'{"data": [{"id": "x", "pricing": 3}]}', ""),
        (b"\xff", "not a price set: invalid JSON"),
    ],
)
def test_what_is_no_set_is_a_mistake(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes, why: str
) -> None:
    """And not a traceback, nor an empty file."""
    file, to = tmp_path / "set.json", tmp_path / "tariffs"
    file.write_bytes(content)
    code = run(str(file), to, "--yes")
    said = capsys.readouterr()
    assert code == (Exit.MISTAKE if why else Exit.OK)
    assert why in said.err
    assert not to.exists()


def test_a_missing_file_is_a_mistake(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With its name."""
    assert run(str(tmp_path / "none.json"), tmp_path, "--yes") == Exit.MISTAKE
    assert "none.json" in capsys.readouterr().err


def test_a_url_that_is_not_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Plain HTTP is a mistake; a server that does not answer is a failure."""
    assert run("http://prices.example/set?key=secret", tmp_path, "--yes") == Exit.MISTAKE
    assert run("http://127.0.0.1:9/set", tmp_path, "--yes") == Exit.FAILED
    said = capsys.readouterr().err
    assert "use https" in said
    assert "secret" not in said


def test_a_broken_file_of_the_user_stops_it(
    source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Prices are not written beside ones that do not load."""
    to = tmp_path / "tariffs"
    to.mkdir()
    (to / "mine.toml").write_text('provider = "openai"\n[[tariff]]\n', encoding="utf-8")
    assert run(source, to, "--yes") == Exit.MISTAKE
    assert "mine.toml" in capsys.readouterr().err
    assert list(texts(to)) == ["mine.toml"]


def test_a_file_is_written_whole_or_not_at_all(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that fails leaves the old file, and no piece of a new one."""
    to = tmp_path / "tariffs"
    to.mkdir()
    (to / FILE).write_text('provider = "openai"\n', encoding="utf-8")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert run(source, to, "--yes") == Exit.MISTAKE
    assert texts(to) == {FILE: 'provider = "openai"\n'}
