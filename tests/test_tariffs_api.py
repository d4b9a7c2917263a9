"""`/api/tariffs`: what the console says of prices is what the book charges."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

import pytest
from aiohttp.test_utils import TestClient, TestServer
from aiohttp.typedefs import Handler
from aiohttp.web import Application, Request, StreamResponse, middleware

from pricing import Tariff, TariffBook, published
from pricing.usage import Meter
from proxy.access.audit import Audit
from proxy.access.roles import COMMAND, Caller
from proxy.console.admission import CALLER
from proxy.console.asking import answering, guarded, understood
from proxy.console.tariff_files_api import BYTES_MAX, TariffFilesApi
from proxy.console.tariffs_api import TariffsApi
from proxy.settings.config import Config, MeteringOptions

Client = TestClient[Request, Application]
OWN = """\
provider = "openai"
source = "our contract, annex B"
checked = 2026-11-20
[[tariff]]
names = ["gpt-5.4-mini", "gpt-5.4-mini-20??-??-??"]
from = 2026-11-01T00:00:00Z
usd_per_mtok = { input = 0.60, output = 3.60 }
"""


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of own prices, one of which lies over a shipped one."""
    directory = tmp_path_factory.mktemp("prices")
    directory.joinpath("openai.toml").write_text(OWN, encoding="utf-8")
    return directory


@pytest.fixture(scope="module")
def book(directory: Path) -> TariffBook:
    return TariffBook.load(directory)


@pytest.fixture
async def client(book: TariffBook, directory: Path) -> AsyncIterator[Client]:
    app = Application(middlewares=[guarded, understood])
    app.add_routes(answering(TariffsApi(book, directory).routes()))
    async with TestClient(TestServer(app)) as client:
        yield client


async def ask(client: Client, path: str, status: int = 200) -> Any:
    answer = await client.get(f"/api/tariffs{path}")
    found = await answer.json()
    assert answer.status == status, found
    return found


async def test_a_search_finds_names_by_their_words(client: Client) -> None:
    """In any order and case; own prices come first, and the shipped one is marked as replaced."""
    found = await ask(client, "?search=MINI%20gpt-5.4%20openai/&limit=200")
    first, *others = found["tariffs"]
    assert (first["own"], first["provider"], first["since"]) == (True, "openai", "2026-11-01")
    [shipped] = [one for one in others if one["replaced"]]
    assert (first["replaced"], shipped["own"], shipped["provider"]) == (False, False, "openai")
    assert shipped["model"] == "gpt-5.4-mini"
    names = {rate["meter"]: rate["prices"] for rate in first["standard"]}
    assert names == {"input": ["0.6"], "output": ["3.6"]}
    dated = await ask(client, "?search=gpt-5.4-mini-2026-03-17&provider=openai")
    assert [one["model"] for one in dated["tariffs"]] == ["gpt-5.4-mini"]
    assert (await ask(client, "?search=no-such-model"))["tariffs"] == []


async def test_pages_are_the_whole_list_once(client: Client, book: TariffBook) -> None:
    """Each model of the book is on exactly one page, and the sum is told on each."""
    seen, offset = [], 0
    while offset is not None:
        found = await ask(client, f"?limit=700&offset={offset}")
        seen += [(one["provider"], one["model"], one["own"]) for one in found["tariffs"]]
        offset = found["next"]
    assert found["total"] == len(seen) == len(set(seen))
    assert set(seen) == set(published.by_model(book))
    assert [one for one in seen if one[2]] == [("openai", "gpt-5.4-mini", True)]
    own = await ask(client, "?own=true")
    assert (own["total"], own["next"]) == (1, None)
    assert (await ask(client, "?own=false"))["total"] == len(seen) - 1


async def test_what_is_not_understood_is_refused(client: Client) -> None:
    """With what to do instead."""
    for query, hint in (
        ("?serch=x", "did you mean search?"),
        ("?provider=opena", "did you mean openai?"),
        ("?own=yes", "expected: true, false"),
        ("?limit=0", "limit must be a number from 1 to 1000"),
        ("?offset=-1", "offset must be a number from 0 to 1000000"),
    ):
        assert (await ask(client, query, 400))["hint"] == hint
    assert (await ask(client, "/openai/gpt-5.4-mini?x=1", 400))["hint"] == "there are none here"
    missing = await ask(client, "/openai/gpt-5.4-minx", 404)
    assert missing["hint"] == "did you mean openai/gpt-5.4-mini?"
    missing = await ask(client, "/nobody/a%20b", 404)
    assert missing["hint"] == "taximeter tariffs add 'nobody/a b' --input USD --output USD"


async def test_a_model_has_its_history(client: Client, directory: Path) -> None:
    """Own periods before shipped ones, the price in force marked, each with file and line."""
    found = await ask(client, "/openai/gpt-5.4-mini-2026-03-17")
    own, shipped = found["periods"]
    assert found["directory"] == str(directory)
    assert (own["own"], own["in_force"], own["where"]) == (True, True, f"{directory}/openai.toml:4")
    assert (shipped["own"], shipped["in_force"]) == (False, False)
    assert shipped["source"].startswith("https://")
    assert {rate["source"] for rate in own["rates"] if rate["meter"] == "input"} == {own["source"]}
    batch = [rate for rate in shipped["rates"] if rate["when"] == "processing = batch"]
    assert {rate["meter"] for rate in batch} == {"input", "cache_read", "output"}
    assert {"name": "batch", "factor": "0.5", "when": "processing = batch"} in shipped["factors"]


async def test_steps_by_volume_are_told(client: Client) -> None:
    """A price for each step, where it begins, and what is counted."""
    found = await ask(client, "/gemini/gemini-3.1-pro-preview")
    [rate] = [r for r in found["periods"][0]["rates"] if r["meter"] == "grounding.queries"]
    assert rate["counter"]
    assert len(rate["steps"]) == len(rate["prices"]) == 2
    assert rate["steps"][0] == "0"


async def test_every_listed_model_opens(book: TariffBook, client: Client) -> None:
    """By its own address, whatever characters are in its name; the book finds the same."""
    odd = [key for key in published.by_model(book) if set(key[1]) & set("/@:*?")]
    assert len(odd) > 50
    for provider, name, _ in odd[::17]:
        found = await ask(client, f"/{provider}/{quote(name)}")
        charged = book.find(provider, name, datetime.now(UTC))
        assert [one["id"] for one in found["periods"] if one["in_force"]] == (
            [charged.id] if charged else []
        )


def two(book: TariffBook) -> tuple[Tariff, Tariff]:
    """The first two periods of a model that has several."""
    return next((p[0], p[1]) for p in published.by_model(book).values() if len(p) > 1)


def test_a_step_names_the_prices_that_changed(book: TariffBook) -> None:
    """Old and new price of each meter, and nothing of the others."""
    before, after = two(book)
    old, new = (
        {rate["meter"]: rate["prices"][0] for rate in published.standard(one)}
        for one in (before, after)
    )
    changed = {meter for meter in old if meter in new and old[meter] != new[meter]}
    said = published.step(before, after)
    assert {part.split(" ")[0] for part in said.split(", ") if part} == changed
    assert all(f"{meter} {old[meter]} to {new[meter]}" in said for meter in changed)
    assert published.step(before, before) == ""


def test_published_rates_are_those_of_the_tariff(book: TariffBook) -> None:
    """Every price of every rule, digit for digit."""
    for tariff in book.tariffs_of("anthropic"):
        stated = [
            (meter.value, prices) for rule in tariff.rules for meter, prices in rule.prices.items()
        ]
        shown = [
            (rate["meter"], tuple(map(Decimal, rate["prices"])))
            for rate in published.rates(tariff)
            if rate["prices"]
        ]
        assert shown == stated
        assert all(Meter(rate["meter"]) for rate in published.rates(tariff))


OTHER = OWN.replace("0.60", "0.55")
Entry = tuple[str, str, Any, Any]


@pytest.fixture
async def files(tmp_path: Path) -> AsyncIterator[tuple[Client, Path, list[Entry]]]:
    """A console whose changes are noted, and its directory of own prices."""
    noted: list[Entry] = []

    async def audit(
        _: Caller, action: str, target: str, before: object = None, after: object = None
    ) -> None:
        noted.append((action, target, before, after))

    @middleware
    async def admitted(request: Request, handler: Handler) -> StreamResponse:
        request[CALLER] = COMMAND
        return await handler(request)

    place = tmp_path / "prices"
    config = Config(data=tmp_path, metering=MeteringOptions(tariffs=place))
    app = Application(middlewares=[guarded, admitted, understood])
    app.add_routes(answering(TariffFilesApi(config, cast(Audit, audit)).routes()))
    async with TestClient(TestServer(app)) as client:
        yield client, place, noted


async def test_own_prices_are_files(files: tuple[Client, Path, list[Entry]]) -> None:
    """Made, read and replaced; each change is noted first, and only by who read the last one."""
    client, place, noted = files

    async def put(name: str, text: str, replaces: str = "") -> tuple[int, Any]:
        body = {"text": text, "replaces": replaces}
        answer = await client.put(f"/api/prices/{name}", json=body)
        return answer.status, await answer.json()

    status, made = await put("openai.toml", OWN)
    assert status == 201
    assert (place / "openai.toml").read_text(encoding="utf-8") == OWN
    listed = await (await client.get("/api/prices")).json()
    assert listed["directory"] == str(place)
    assert listed["files"] == [{"name": "openai.toml", "text": OWN, "digest": made["digest"]}]
    assert (await put("openai.toml", OTHER))[0] == 409  # somebody made it meanwhile
    status, changed = await put("openai.toml", OTHER, made["digest"])
    assert status == 200
    assert (await put("openai.toml", OWN, made["digest"]))[0] == 409
    assert TariffBook.load(place).names_own("openai", "gpt-5.4-mini")
    assert "SIGHUP" in changed["next"]
    before, after = {"text": OWN}, {"text": OTHER}
    assert noted == [
        ("tariffs-edit", "openai.toml", None, before),
        ("tariffs-edit", "openai.toml", before, after),
    ]


async def test_what_does_not_load_is_not_saved(files: tuple[Client, Path, list[Entry]]) -> None:
    """Every mistake is named with its line; nor is a file saved that is none of ours."""
    client, place, noted = files
    for name, text, said in (
        ("openai.toml", OWN.replace("checked", "chekced"), "openai.toml:"),
        ("openai.toml", "not toml", "openai.toml:"),
        ("..%2fx.toml", OWN, "small letters"),
        (".x.toml", OWN, "small letters"),
        ("x.txt", OWN, "small letters"),
        ("x.toml", OWN + "#" * BYTES_MAX, "at most"),
    ):
        answer = await client.put(f"/api/prices/{name}", json={"text": text})
        assert answer.status == 400, name
        assert said in (await answer.json())["error"]
    assert not place.exists()
    assert noted == []
