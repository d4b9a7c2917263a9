"""Every dashboard in a real browser: drawn without Grafana, for eyes, keys and screen readers."""

import asyncio
import re
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp.test_utils import TestServer
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait
from test_grafana import odd

from exporters.clickhouse.clickhouse import ClickHouse
from exporters.clickhouse.evaluations import Evaluations
from exporters.clickhouse.store import Store
from exporters.record import Batch
from proxy.console.api import application
from proxy.console.evaluation_api import EvaluationApi
from proxy.dashboards.boards import boards
from proxy.settings.config import Listen
from support import evaluated, sampled
from support.accessibility import mistakes
from support.browser import browser, resize
from support.patience import PATIENCE_S

if TYPE_CHECKING:
    from conftest import RecordMaker

DATABASE = "test_dashboards_page"
CALLS = 200
WIDE, PHONE = 1440, 390
BYTES_MAX = 40_000  # of all files of a dashboard, as they are sent
RANGE = "?from=now-6h&to=now&tz=UTC"
EMPTY = """
return [...document.querySelectorAll(".panel")].filter((e) => !e.querySelector(arguments[0]))
  .map((e) => e.querySelector("h2").textContent)
"""
DRAWN = "line.cross, .body > svg path, .body > svg circle, .stats b, .bars rect, td, .text p"
SENT = """
return [performance.getEntriesByType("navigation")[0], ...performance.getEntriesByType("resource")]
  .filter((e) => !e.name.includes("/api/")).reduce((sum, e) => sum + e.encodedBodySize, 0)
"""
NAMELESS = """
const controls = "button, a, summary, svg[tabindex], input, select, [role=group]";
return [...document.querySelectorAll(controls)]
  .filter((e) => !(e.getAttribute("aria-label") || e.textContent.trim() || e.closest("label")))
  .map((e) => e.outerHTML)
"""


@pytest.fixture(scope="module")
def console(make_records: "RecordMaker", chdb_dsn: str) -> Iterator[str]:
    """The address of a console over a store with calls of the last two hours."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    store = Store(chdb_dsn, database=DATABASE)

    async def start() -> TestServer:
        writer = ClickHouse(chdb_dsn, database=DATABASE)
        await writer.export(Batch("t", tuple(odd(make_records(CALLS)))))
        await writer.close()
        await evaluated.store(chdb_dsn, DATABASE)
        await sampled.store(chdb_dsn, DATABASE, make_records(8))
        api = EvaluationApi(store, Evaluations(chdb_dsn, database=DATABASE))
        server = TestServer(application(store, dict, Listen(), more=api.routes()))
        await server.start_server()
        return server

    async def stop(server: TestServer) -> None:
        await server.close()
        await store.close()

    server = asyncio.run_coroutine_threadsafe(start(), loop).result(PATIENCE_S)
    yield str(server.make_url("")).rstrip("/")
    asyncio.run_coroutine_threadsafe(stop(server), loop).result(PATIENCE_S)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture(scope="module")
def page() -> Iterator[webdriver.Chrome]:
    with browser() as chrome:
        yield chrome


def wait(page: webdriver.Chrome, until: Callable[[], object]) -> None:
    WebDriverWait(page, PATIENCE_S).until(lambda _: until())


def open_board(page: webdriver.Chrome, console: str, uid: str, query: str = RANGE) -> None:
    """Until every panel was answered."""
    page.get(f"{console}/dashboards/{uid}{query}")
    wait(page, lambda: text(page, "#health").startswith("updated"))
    wait(page, lambda: page.execute_script("return !document.querySelector('[aria-busy]')"))


def text(page: webdriver.Chrome, selector: str) -> str:
    script = "return document.querySelector(arguments[0])?.textContent ?? ''"
    return str(page.execute_script(script, selector))


def panel(page: webdriver.Chrome, title: str) -> Any:
    """The card of this title."""
    return page.find_element(By.XPATH, f"//section[header/h2[.='{title}']]")


def drawn(page: webdriver.Chrome, title: str) -> str:
    return str(panel(page, title).find_element(By.CSS_SELECTOR, ".body").get_attribute("innerText"))


BOARDS = [  # one at each change, all before it is taken
    pytest.param(uid, marks=[] if uid == "taximeter-spend" else pytest.mark.thorough)
    for uid in boards()
]


@pytest.mark.parametrize("uid", BOARDS)
def test_a_dashboard_is_drawn(uid: str, console: str, page: webdriver.Chrome) -> None:
    """Each panel has something, wide and on a phone; nothing scrolls sideways or complains."""
    for width in (WIDE, PHONE):
        resize(page, width)
        open_board(page, console, uid)
        assert page.execute_script(EMPTY, DRAWN) == [], width
        script = "const e = document.documentElement; return e.scrollWidth - e.clientWidth"
        assert page.execute_script(script) == 0
        assert page.execute_script(NAMELESS) == []
        assert mistakes(page) == []
    assert 0 < page.execute_script(SENT) <= BYTES_MAX
    complaints = page.get_log("browser")  # type: ignore[no-untyped-call]  # selenium's
    assert [entry for entry in complaints if entry["level"] == "SEVERE"] == []


@pytest.mark.thorough
def test_the_header_says_how_it_is_by_its_colour(console: str, page: webdriver.Chrome) -> None:
    """As on every other page: green, and red with the reason."""
    name = "return document.querySelector('#health').className"
    open_board(page, console, "taximeter-spend")
    assert page.execute_script(name) == "health green"
    page.get(f"{console}/dashboards/taximeter-spent")
    wait(page, lambda: "red" in page.execute_script(name))
    assert "taximeter-spent" in text(page, "#health")
    page.get_log("browser")  # type: ignore[no-untyped-call]  # the 404 that was asked for


@pytest.mark.thorough
def test_the_overview_leads_to_each(console: str, page: webdriver.Chrome) -> None:
    """A card for each dashboard, with what it answers."""
    page.get(f"{console}/dashboards")
    wait(page, lambda: page.find_elements(By.CSS_SELECTOR, ".card"))
    cards = page.find_elements(By.CSS_SELECTOR, ".card")
    assert [str(card.get_attribute("href")).rpartition("/")[2] for card in cards] == list(boards())
    cards[0].click()
    wait(page, lambda: text(page, "#health").startswith("updated"))


@pytest.mark.thorough
def test_what_is_chosen_is_drawn_and_is_in_the_address(
    console: str, page: webdriver.Chrome
) -> None:
    """A team narrows every panel, a range and a zone change them; the address brings it back."""
    resize(page, WIDE)
    open_board(page, console, "taximeter-usage")
    assert drawn(page, "Calls") == str(CALLS)
    wait(page, lambda: page.find_elements(By.CSS_SELECTOR, "#choices details"))
    script = """
    const boxes = [...document.querySelectorAll("#choices details")];
    const box = boxes.find((each) => each.textContent.includes("Team"));
    box.open = true;
    box.querySelector("input").click();
    return box.querySelector("input").value;
    """
    team = page.execute_script(script)
    wait(page, lambda: drawn(page, "Calls") != str(CALLS))
    narrowed = drawn(page, "Calls")
    assert "var-team=" in page.current_url
    hours = drawn(page, "Calls by model")
    page.refresh()
    wait(page, lambda: page.find_elements(By.XPATH, "//section[header/h2[.='Calls']]//b"))
    assert drawn(page, "Calls") == narrowed
    assert page.find_element(By.CSS_SELECTOR, f'#choices input[value="{team}"]').is_selected()
    zone = Select(page.find_element(By.XPATH, "//label[starts-with(., 'Zone')]/select"))
    zone.select_by_value("America/New_York")
    wait(page, lambda: drawn(page, "Calls by model") not in ("", hours))
    assert "tz=America%2FNew_York" in page.current_url
    span = Select(page.find_element(By.XPATH, "//label[starts-with(., 'Range')]/select"))
    span.select_by_visible_text("yesterday")
    wait(page, lambda: "no calls" in drawn(page, "Calls by model").lower())
    assert "from=now-1d%2Fd" in page.current_url


@pytest.mark.thorough
def test_a_chart_is_read_without_a_mouse(console: str, page: webdriver.Chrome) -> None:
    """Arrow keys go from point to point, and each is said; its twin is a table that sorts."""
    resize(page, WIDE)
    open_board(page, console, "taximeter-usage")
    chart = panel(page, "Calls by team").find_element(By.CSS_SELECTOR, "svg[role=img]")
    assert chart.get_attribute("aria-label").startswith("Calls by team: ")
    page.execute_script("arguments[0].focus()", chart)
    said = []
    for key in (Keys.HOME, Keys.ARROW_RIGHT, Keys.END):
        ActionChains(page).send_keys(key).perform()
        spoken = panel(page, "Calls by team").find_element(By.CSS_SELECTOR, "[aria-live]")
        said.append(spoken.get_attribute("textContent"))
    assert len(set(said)) == 3
    assert all(": " in each for each in said)
    card = panel(page, "Calls by team")
    page.execute_script("arguments[0].querySelector('button').click()", card)
    rows = card.find_elements(By.CSS_SELECTOR, "tbody tr")
    assert len(rows) > 3
    page.execute_script("arguments[0].querySelectorAll('th button')[2].click()", card)
    values = [int(cell.text) for cell in card.find_elements(By.CSS_SELECTOR, "tbody td:last-child")]
    assert values == sorted(values, reverse=True)
    link = card.find_element(By.CSS_SELECTOR, ".more a").get_attribute("href")
    assert "format=csv" in link
    assert "/panels/" in link


@pytest.mark.thorough
def test_what_is_below_zero_is_drawn_below_it(console: str, page: webdriver.Chrome) -> None:
    """Bars of one step do not cover each other: what was saved stands on what was lost."""
    resize(page, WIDE)
    open_board(page, console, "taximeter-spend")
    script = (
        "return [...arguments[0].querySelectorAll('.bar')].map((e) => e.getBoundingClientRect())"
    )
    lost, saved = page.execute_script(script, panel(page, "Savings over time"))
    assert lost["height"] > 10
    assert saved["height"] > 10
    assert saved["bottom"] == pytest.approx(lost["top"], abs=0.5)


def test_a_run_has_the_numbers_of_its_dashboard(console: str, page: webdriver.Chrome) -> None:
    """Accuracy and interval of a run are the same on both pages; its failures are listed."""
    resize(page, WIDE)
    open_board(page, console, "taximeter-quality")
    rows = panel(page, "Scores").find_elements(By.CSS_SELECTOR, "tbody tr")
    cells = [[cell.text for cell in row.find_elements(By.TAG_NAME, "td")] for row in rows]
    expected = {row[0]: [float(text.split()[0]) for text in row[1:4]] for row in cells[:2]}
    chart = panel(page, "Accuracy against cost per success")
    assert len(chart.find_elements(By.CSS_SELECTOR, "path.whisker")) == len(expected)
    points = {}
    for title in chart.find_elements(By.CSS_SELECTOR, "circle title"):
        said = str(title.get_attribute("textContent"))
        name, _, figures = said.partition(": ")
        assert name.endswith(" (cost at least)")  # an answer of each run has no known cost
        bounds = re.search(r"accuracy (\S+) % \((\S+) % to (\S+) %\)", figures)
        assert bounds is not None, said
        points[name.removesuffix(" (cost at least)")] = [float(each) for each in bounds.groups()]
    assert points == expected
    for width in (WIDE, PHONE):
        resize(page, width)
        page.get(f"{console}/evaluations?run=run-3")
        wait(page, lambda: text(page, "#health").startswith("updated"))
        found = {}
        for row in page.find_elements(By.CSS_SELECTOR, "#scores tbody tr"):
            cells_of = row.find_elements(By.TAG_NAME, "td")
            shown = [str(cell.get_attribute("textContent")) for cell in cells_of]
            low, high = shown[2].split(" to ")
            found[shown[0]] = [float(each.split()[0]) for each in (shown[1], low, high)]
        assert found.keys() == expected.keys()
        for model, point in expected.items():
            assert found[model] == pytest.approx(point, abs=0.06)
        script = "const e = document.documentElement; return e.scrollWidth - e.clientWidth"
        assert page.execute_script(script) == 0
        assert page.execute_script(NAMELESS) == []
    assert len(page.find_elements(By.CSS_SELECTOR, "#runs tbody tr")) == evaluated.RUNS + 1
    assert "lacks the city" in text(page, "#failures tbody")
    page.find_element(By.PARTIAL_LINK_TEXT, "hidden half").click()
    wait(page, lambda: "hidden half of the suite" in text(page, "#halves"))
    assert "half=hidden" in page.current_url
    complaints = page.get_log("browser")  # type: ignore[no-untyped-call]  # selenium's
    assert [entry for entry in complaints if entry["level"] == "SEVERE"] == []
