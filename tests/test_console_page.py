"""The console in a real browser: what people see is what the rows say."""

import asyncio
import json
import os
import re
import signal
import time
import urllib.request
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select, WebDriverWait
from test_money import SHOWN

from evaluation.standin import processes, traffic
from evaluation.standin.workload import PROJECT
from proxy.console.page import NAMES, PAGES
from proxy.health.verdict import ANSWER_S, SENDING_S
from support.accessibility import mistakes
from support.browser import browser, resize
from support.clickhouse import StartServer
from support.patience import PATIENCE_S

ROOT = Path(__file__).parents[1]
# `make screenshots` sets it; the pictures of the README are taken by this very test.
PICTURES = ROOT / "docs" / "images" if os.environ.get("SCREENSHOTS") else None
CALLS = 60
TOKEN = "a-token-for-the-console"
BUDGETS = "[budgets.all]\nlimit_usd = 1_000\n[budgets.models]\nscope = { model = '*' }\n"
SETTINGS = (
    f'[console]\ntoken = "{TOKEN}"\n[content]\ncapture = true\n{processes.FAST_ROWS}{BUDGETS}'
)
ROUTE = """
[gateway]
insecure = true
[gateway.keys.main]
provider = "openai"
value = "file:KEY"
[gateway.routes.assistant]
candidates = [
  { provider = "openai", model = "gpt-5.4-mini", when = "input_tokens < 20000" },
  { provider = "openai", model = "gpt-5.4" },
]
split = [{ candidate = 0, share = 0.9 }, { candidate = 1, share = 0.1 }]
canary = { candidate = 1, rollback = true }
"""
WIDE, NARROW, PHONE = 1440, 900, 390
ROW = "#calls tr[data-call]"
EDGES = """
return [...document.querySelectorAll(arguments[0])].map((e) => e.getBoundingClientRect().right)
"""
SENT = """
return performance.getEntriesByType("resource").filter((e) => e.name.includes("/api/"))
  .reduce((sum, e) => sum + e.transferSize, 0)
"""
SCRIPT = "<script>document.title='run'</script><img src=x onerror=\"document.title='run'\">"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[processes.Serving]:
    """The product with some traffic behind it; it captures content, and asks for a token."""
    data = tmp_path_factory.mktemp("console")
    key = data / "key"
    key.write_text("sk-of-the-stand-in", encoding="ascii")
    key.chmod(0o600)
    prices = data / "prices"
    prices.mkdir()
    settings = f'{SETTINGS}{ROUTE.replace("KEY", str(key))}[metering]\ntariffs = "{prices}"\n'
    with processes.stand_in(data / "stand-in.log") as (upstream, _):
        upstreams = dict.fromkeys(processes.PROVIDERS, upstream)
        with processes.serve(data, upstreams, settings=settings) as served:
            asyncio.run(traffic.run(served.proxy_url, calls=CALLS, rate=60, seed=7, speed=20))
            yield served


@pytest.fixture(scope="module")
def chrome() -> Iterator[webdriver.Chrome]:
    with browser() as page:
        yield page


@pytest.fixture
def page(chrome: webdriver.Chrome, served: processes.Serving) -> webdriver.Chrome:
    """The console, signed in and with calls in its table."""
    resize(chrome, WIDE)
    chrome.get(f"{served.console_url}/?token={TOKEN}")
    wait(chrome, lambda: len(texts(chrome, ROW)) > 1)
    return chrome


def wait(page: webdriver.Chrome, until: Callable[[], object]) -> None:
    WebDriverWait(page, 20).until(lambda _: until())


def texts(page: webdriver.Chrome, selector: str) -> list[str]:
    """At one moment: the page draws its tables anew every two seconds."""
    script = "return [...document.querySelectorAll(arguments[0])].map((e) => e.innerText.trim())"
    return list(page.execute_script(script, selector))


def sideways(page: webdriver.Chrome) -> int:
    """By how many pixels the page is wider than its window."""
    script = "const e = document.documentElement; return e.scrollWidth - e.clientWidth"
    return int(page.execute_script(script))


def rows_when(served: processes.Serving, count: int, query: str) -> list[dict[str, Any]]:
    """What the API says of calls, once there are so many."""
    asked = urllib.request.Request(
        f"{served.console_url}/api/calls?{query}", headers={"Authorization": f"Bearer {TOKEN}"}
    )
    for _ in range(200):
        with urllib.request.urlopen(asked) as answer:
            rows: list[dict[str, Any]] = json.load(answer)
        if len(rows) >= count:
            break
        time.sleep(0.1)
    return rows


def say_hello(served: processes.Serving, feature: str, text: str = "hi", route: str = "") -> None:
    """Make a call, of a route through the gateway."""
    door, model = ("gateway", route) if route else ("openai", "gpt-5.4-mini")
    body = {"model": model, "messages": [{"role": "user", "content": text}]}
    headers = {"content-type": "application/json", "x-taximeter-feature": feature}
    asked = urllib.request.Request(
        f"{served.proxy_url}/{door}/v1/chat/completions", json.dumps(body).encode(), headers
    )
    urllib.request.urlopen(asked, timeout=PATIENCE_S).close()


def open_receipt(page: webdriver.Chrome, call_id: str) -> None:
    selector = f'#calls tr[data-call="{call_id}"]'
    wait(page, lambda: texts(page, selector))
    page.execute_script("document.querySelector(arguments[0]).click()", selector)
    wait(page, lambda: page.find_element(By.CSS_SELECTOR, "#receipt table").is_displayed())


def picture(page: webdriver.Chrome, name: str) -> None:
    """Keep a screenshot, where one is asked for."""
    if PICTURES:
        time.sleep(0.5)  # the fonts and the chart have settled
        assert page.save_screenshot(str(PICTURES / name))


@pytest.mark.thorough
def test_budgets(page: webdriver.Chrome) -> None:
    """What each has spent of its limit and its state; without a limit, each model on its line."""
    wait(page, lambda: len(texts(page, "#budgets tbody tr")) > 2)
    rows = texts(page, "#budgets tbody tr")
    assert rows[0].startswith("all\tok\t$")
    assert "$1,000.00" in rows[0]
    assert any(row.startswith("models (model ") and "\tunlimited\t" in row for row in rows)


def test_the_console_shows_the_calls_and_their_receipts(
    served: processes.Serving, page: webdriver.Chrome
) -> None:
    """Totals, models and newest calls are there; a click opens the receipt that adds up."""
    rows = rows_when(served, CALLS, f"project={PROJECT}")
    known = [row for row in rows if row["cost_usd"] not in (None, "0")]
    wait(page, lambda: f"{CALLS}\nCalls" in texts(page, ".tile"))
    wait(page, lambda: texts(page, "#health") == ["healthy"])
    assert not page.find_element(By.ID, "alerts").is_displayed()
    models = {row["response_model"] or row["request_model"] for row in known}
    assert all(any(model in text for text in texts(page, "#models tr")) for model in models)
    assert page.find_elements(By.CSS_SELECTOR, "#timeline rect")
    picture(page, "console.png")

    dearest = max(known, key=lambda row: float(row["cost_usd"]))
    open_receipt(page, dearest["call_id"])
    [total] = texts(page, "#receipt tfoot tr td:last-child")
    assert total.endswith(f"${dearest['cost_usd']}")
    lines = texts(page, "#receipt tbody tr td:last-child")
    assert sum(map(Decimal, lines)) == Decimal(total.rpartition("$")[2])
    facts = dict(zip(texts(page, "#receipt dt"), texts(page, "#receipt dd"), strict=True))
    assert facts["in flight"] == f"{dearest['in_flight']} on its machine"
    assert ("saved by caches" in facts) == bool(
        dearest["cache_read_tokens"] + dearest["cache_write_tokens"]
    )
    picture(page, "receipt.png")

    complaints = page.get_log("browser")  # type: ignore[no-untyped-call]  # selenium's
    assert [entry for entry in complaints if entry["level"] == "SEVERE"] == []


def test_a_reason_is_a_sentence(served: processes.Serving, page: webdriver.Chrome) -> None:
    """The receipt of a call that failed says why it costs nothing, and the reason's name."""
    rows = rows_when(served, CALLS, f"project={PROJECT}")
    failed = next(row for row in rows if "http_error" in row["reasons"])
    open_receipt(page, failed["call_id"])
    [reason] = texts(page, "#receipt dd.reasons p")
    sentence, name = reason.rsplit(" ", 1)
    assert sentence.endswith(".")
    assert name == "http_error"


def test_the_console_fits_its_window(page: webdriver.Chrome) -> None:
    """Nothing but tables scrolls sideways, and their costs are in view on a phone too."""
    for width in (NARROW, PHONE):
        resize(page, width)
        wait(page, lambda: texts(page, ROW))
        assert sideways(page) == 0
        edges = page.execute_script(EDGES, f"{ROW} td:nth-child(3), #models td:nth-child(3)")
        assert max(edges) < width
    page.execute_script("document.querySelector(arguments[0]).click()", ROW)
    wait(page, lambda: page.find_element(By.CSS_SELECTOR, "#receipt table").is_displayed())
    script = "const e = document.querySelector('#receipt'); return e.scrollWidth - e.clientWidth"
    assert page.execute_script(script) == 0


@pytest.mark.thorough
@pytest.mark.parametrize("path", [path for path in PAGES if "{" not in path])
def test_pages_are_alike(served: processes.Serving, page: webdriver.Chrome, path: str) -> None:
    """The same links in the same order on each, its own marked; for keys and screen readers too."""
    for width in (WIDE, PHONE):
        resize(page, width)
        page.get(served.console_url + path)
        wait(page, lambda: not re.match("loading|connecting", "".join(texts(page, "#health"))))
        assert texts(page, "nav[aria-label=Pages] a") == list(NAMES.values())
        here = page.find_elements(By.CSS_SELECTOR, "nav[aria-label=Pages] [aria-current=page]")
        own = NAMES.get(f"{path[1:]}.html")  # the first page has a link of another kind
        assert [link.text for link in here] == [name for name in [own] if name]
        assert mistakes(page) == []
        assert sideways(page) == 0


@pytest.mark.thorough
def test_alerts_are_a_banner(
    tmp_path: Path, start_clickhouse: StartServer, chrome: webdriver.Chrome
) -> None:
    """What fires is named with its numbers and what to do, also while the store is away."""
    server = start_clickhouse(tmp_path / "clickhouse")
    settings = (
        f'[store]\ndsn = "{server.dsn}"\n'
        "[alerts]\njournal_share_max = 1e-9\n"  # any journal is nearly full
    )
    with processes.serve(tmp_path, {}, settings=settings) as served:
        resize(chrome, NARROW)
        chrome.get(served.console_url)
        works = "works, with warnings · as of "
        wait(chrome, lambda: works in "".join(texts(chrome, "#health.amber")))
        server.process.send_signal(signal.SIGSTOP)  # it hangs
        silent = r"store: no answer for \d+ s · as of \d+:\d\d:\d\d"
        wait(chrome, lambda: re.match(silent, "".join(texts(chrome, "#health.amber"))))
        server.process.send_signal(signal.SIGCONT)
        wait(chrome, lambda: works in "".join(texts(chrome, "#health.amber")))
        server.kill()
        wait(chrome, lambda: texts(chrome, "#health.red"))
        wait(chrome, lambda: len(texts(chrome, "#alerts > div")) == 2)
        [banner] = texts(chrome, "[role=alert]")
        firing = processes.get_json(f"{served.console_url}/api/alerts")["firing"]
        for alert in firing:
            assert f"journal_nearly_full {alert['labels']['journal']}" in banner
            assert alert["action"] in " ".join(banner.split())
        assert banner.count(" of 4,294,967,296 bytes") == 2
        chrome.execute_script("document.querySelector('#alerts > div').dataset.kept = 'yes'")
        wait(chrome, lambda: "Calls are still being recorded" in texts(chrome, "#health.red")[0])
        assert texts(chrome, "#alerts > div[data-kept]")[0].startswith("journal_nearly_full")
        assert sideways(chrome) == 0


def test_a_hang_is_seen_within_five_seconds() -> None:
    """Until the next look of the page, and for what it waits; the API says so before that."""
    text = (ROOT / "proxy" / "console" / "static" / "main.js").read_text(encoding="utf-8")
    every_ms, within_ms = (
        int(re.findall(rf"const {name} = (\d+);", text)[0]) for name in ("REFRESH_MS", "LOOK_MS")
    )
    assert within_ms > ANSWER_S * 1000
    assert every_ms + within_ms <= 5000
    assert every_ms + SENDING_S * 1000 <= 5000


@pytest.mark.thorough
def test_content_is_text_and_nothing_else(
    served: processes.Serving, page: webdriver.Chrome
) -> None:
    """A prompt that is a script is shown as it was written, once somebody opens it, and not run."""
    say_hello(served, "script", SCRIPT)
    [row] = rows_when(served, 1, "feature=script")
    open_receipt(page, row["call_id"])
    assert texts(page, "#receipt .content pre") == []
    wait(page, lambda: opened(page))
    request, *_ = texts(page, "#receipt .content pre")
    assert json.loads(request)["messages"][0]["content"] == SCRIPT
    assert page.find_elements(By.CSS_SELECTOR, "#receipt script, #receipt img") == []
    assert page.title == "Taximeter"


def opened(page: webdriver.Chrome) -> bool:
    """Open the content; True once it is there: it is written a moment after the row."""
    if not texts(page, "#receipt .content pre"):
        page.execute_script(
            "document.querySelectorAll('#receipt .content p').forEach(p => p.remove())"
        )
        box = page.find_element(By.CSS_SELECTOR, "#receipt .content")
        page.execute_script("arguments[0].open = false", box)
        page.execute_script("arguments[0].open = true", box)
        time.sleep(0.3)
    return bool(texts(page, "#receipt .content pre"))


def test_money_is_shown_as_in_a_terminal(page: webdriver.Chrome) -> None:
    """The console's formatter and that of the commands give the same text, mark and digits."""
    script = """
    const [cases, done] = arguments;
    import(document.querySelector("script[type=module]").src.replace("main.js", "money.js"))
      .then(({ amount }) => done(cases.map(([usd, status]) => amount(usd, status))));
    """
    cases = [(usd, status) for usd, status, _ in SHOWN]
    assert page.execute_async_script(script, cases) == [shown for _, _, shown in SHOWN]


@pytest.mark.thorough
def test_the_list_of_calls_is_what_its_address_asks_for(
    served: processes.Serving, page: webdriver.Chrome
) -> None:
    """Filters, pages and the open receipt are in the address; totals are those of the filter."""
    rows = rows_when(served, CALLS, f"project={PROJECT}")
    team = next(row["team"] for row in rows if row["team"])
    own = [row for row in rows if row["team"] == team]
    for width in (WIDE, PHONE):
        resize(page, width)
        page.get(f"{served.console_url}/calls?project={PROJECT}&team={team}")
        wait(page, lambda: f"{len(own)}\nCalls" in texts(page, ".tile"))
        assert len(texts(page, ROW)) == min(len(own), 50)
        assert sideways(page) == 0
        assert max(page.execute_script(EDGES, f"{ROW} td:nth-child(3)")) < width
    resize(page, WIDE)
    page.execute_script("document.querySelector('#calls td.name a').click()")
    wait(page, lambda: "model=" in page.current_url and len(texts(page, ".filters .tag")) == 3)
    page.execute_script("document.querySelector('#calls td a').click()")
    wait(page, lambda: page.find_element(By.CSS_SELECTOR, "#receipt table").is_displayed())
    call = page.current_url.partition("call=")[2]
    assert texts(page, "#receipt dl")[0].endswith(call)
    page.refresh()
    wait(page, lambda: texts(page, "#receipt dl") and call in texts(page, "#receipt dl")[0])
    page.execute_script("document.querySelector('#receipt').close()")
    wait(page, lambda: "call=" not in page.current_url)
    page.get(f"{served.console_url}/calls?project={PROJECT}")
    wait(page, lambda: len(texts(page, ROW)) == 50)
    first = texts(page, f"{ROW} td:first-child a")
    page.find_element(By.LINK_TEXT, "Older").click()
    wait(page, lambda: "before=" in page.current_url and len(texts(page, ROW)) == CALLS - 50)
    assert texts(page, f"{ROW} td:first-child a") != first
    assert page.find_element(By.LINK_TEXT, "Newest")
    page.get(f"{served.console_url}/calls?taem=x")
    wait(page, lambda: "did you mean team?" in texts(page, "#health")[0])


@pytest.mark.thorough
@pytest.mark.parametrize("path", ["/", "/calls"])
def test_an_open_page_is_light_and_keeps_its_focus(
    served: processes.Serving, page: webdriver.Chrome, path: str
) -> None:
    """A new row comes without moving whoever stands on one; a minute costs less than 100 kB."""
    page.get(served.console_url + path)
    wait(page, lambda: texts(page, ROW))
    stand = "const e = document.querySelector(arguments[0]); e.focus(); e.stood = true"
    page.execute_script(stand, f"{ROW}[tabindex], {ROW} a")
    page.execute_script("performance.clearResourceTimings()")
    began = time.monotonic()
    say_hello(served, path)
    [row] = rows_when(served, 1, f"feature={path}")
    wait(page, lambda: texts(page, f'#calls tr[data-call="{row["call_id"]}"]'))
    assert page.execute_script("return document.activeElement.stood")
    time.sleep(max(0.0, 12 - (time.monotonic() - began)))
    assert 0 < page.execute_script(SENT) / (time.monotonic() - began) * 60 < 100_000


@pytest.mark.thorough
@pytest.mark.parametrize("path", ["/", "/calls"])
@pytest.mark.parametrize(("period", "calls"), [("last month", "0"), ("this month", "[1-9].*")])
def test_periods_of_the_calendar(
    served: processes.Serving, page: webdriver.Chrome, path: str, period: str, calls: str
) -> None:
    """The calls of just now are of this month, and none is of the last one."""
    page.get(served.console_url + path)
    wait(page, lambda: texts(page, ROW))
    Select(page.find_element(By.ID, "period")).select_by_visible_text(period)
    wait(page, lambda: any(re.match(f"{calls}\nCalls", text) for text in texts(page, ".tile")))


@pytest.mark.thorough
def test_a_budget_burns_down(served: processes.Serving, page: webdriver.Chrome) -> None:
    """Its curve ends at what it has spent; it is made, changed and removed on the page."""
    for width in (WIDE, PHONE):
        resize(page, width)
        page.get(f"{served.console_url}/budgets?name=all")
        wait(page, lambda: page.find_elements(By.CSS_SELECTOR, "#burn .spent"))
        assert page.find_elements(By.CSS_SELECTOR, "#burn .limit")
        assert len(texts(page, "#who tbody tr")) > 2
        assert sideways(page) == 0
    resize(page, WIDE)
    page.get(f"{served.console_url}/budgets")
    wait(page, lambda: len(texts(page, "#budgets tbody tr")) > 2)
    fill_in = """
    document.querySelector("#editor").open = true;
    const { elements } = document.querySelector("#form");
    for (const [name, value] of Object.entries(arguments[0])) elements[name].value = value;
    document.querySelector("#form button").click();
    """
    wrong = {"name": "mine", "scope": "taem=x", "limit": "1"}
    page.execute_script(fill_in, wrong)
    wait(page, lambda: "team" in texts(page, "#answer")[0])
    page.execute_script(fill_in, wrong | {"scope": "team=search, user=*", "limit": "0.5"})
    wait(page, lambda: texts(page, "#answer")[0].startswith("Saved."))
    wait(
        page, lambda: any(row.startswith("mine (user ") for row in texts(page, "#budgets tbody tr"))
    )
    # The form follows the table, and only then is there something to remove.
    wait(page, lambda: page.find_element(By.ID, "remove").is_displayed())
    page.execute_script("document.querySelector('#remove').click()")
    wait(page, lambda: texts(page, "#answer") == ["Removed."])


@pytest.mark.thorough
def test_a_route_shows_its_candidates(served: processes.Serving, page: webdriver.Chrome) -> None:
    """Its rules, what each candidate served and at what cost, and the state of its keys."""
    say_hello(served, "route", route="assistant")
    [row] = rows_when(served, 1, "route=assistant")
    page.get(f"{served.console_url}/routes")
    wait(page, lambda: texts(page, "#routes tbody td:nth-child(2)") == ["open"])
    page.find_element(By.LINK_TEXT, "assistant").click()
    for width in (WIDE, PHONE):
        resize(page, width)
        wait(page, lambda: len(texts(page, "#candidates tbody tr")) == 2)
        candidates = {text.split("\t")[0]: text for text in texts(page, "#candidates tbody tr")}
        assert candidates.keys() == {"openai/gpt-5.4-mini", "openai/gpt-5.4"}
        assert "open\t1\t100 %\t" in candidates[row["candidate"]]
        assert "\t90 %\t" in candidates["openai/gpt-5.4-mini"]
        assert candidates["openai/gpt-5.4-mini"].endswith("input_tokens < 20000")
        assert texts(page, "#pools tbody td:nth-child(2)") == ["open", "open"]
        words = "openai/gpt-5.4 is not known to be worse than the others."
        assert texts(page, "#canary-words") == [words]
        [arm, other] = texts(page, "#arms tbody tr")
        assert arm.startswith("openai/gpt-5.4 canary\t10 %\t")
        assert other.startswith("openai/gpt-5.4-mini\t90 %\t")
        assert mistakes(page) == []
        assert sideways(page) == 0


@pytest.mark.thorough
def test_a_receipt_leads_to_the_tariff(served: processes.Serving, page: webdriver.Chrome) -> None:
    """Whose rates are those of its lines; the list finds it by its words."""
    rows = rows_when(served, CALLS, f"project={PROJECT}&provider=openai&model=gpt-5.4-mini")
    call = next(row for row in rows if row["cost_status"] == "exact")
    page.get(f"{served.console_url}/calls?call={call['call_id']}")
    link = "#receipt dd a[href*='/tariffs?']"
    wait(page, lambda: texts(page, link) == [call["tariff"].rpartition("#")[0]])
    page.execute_script("document.querySelector(arguments[0]).click()", link)
    for width in (WIDE, PHONE):
        resize(page, width)
        wait(page, lambda: texts(page, "#title") == ["openai/gpt-5.4-mini"])
        wait(page, lambda: any("always" in text for text in texts(page, "#current tr")))
        assert "input\t$0.75 per million tokens\talways" in texts(page, "#current tbody tr")
        assert mistakes(page) == []
        assert sideways(page) == 0
    page.get(f"{served.console_url}/tariffs?search=mini+gpt-5.4&provider=openai")
    wait(page, lambda: texts(page, "#tariffs tbody td:first-child")[:1] == ["openai/gpt-5.4-mini"])
    assert (
        page.find_element(By.CSS_SELECTOR, "[name=search]").get_property("value") == "mini gpt-5.4"
    )
    page.get(f"{served.console_url}/tariffs?provider=opena")
    wait(page, lambda: "did you mean openai?" in texts(page, "#health")[0])


@pytest.mark.thorough
def test_own_prices_are_saved_if_they_load(
    served: processes.Serving, page: webdriver.Chrome
) -> None:
    """The example is a file that loads; a mistake is named with its line, and nothing is saved."""
    page.get(f"{served.console_url}/tariffs?own=true")
    wait(page, lambda: "/prices." in texts(page, "#directory")[0])
    assert "No own prices yet" in texts(page, "#tariffs tbody")[0]
    fill_in = """
    const { text } = document.querySelector("#file").elements;
    text.value = text.value.replace(arguments[0], arguments[1]);
    document.querySelector("#file button").click();
    """
    page.execute_script(fill_in, "checked", "chekced")
    wait(page, lambda: "not saved: " in texts(page, "#answer")[0])
    assert "openai.toml:" in texts(page, "#answer")[0]
    assert texts(page, "#files button") == []
    page.execute_script(fill_in, "chekced", "checked")
    wait(page, lambda: texts(page, "#answer")[0].startswith("Saved."))
    assert texts(page, "#files button") == ["openai.toml"]
    for width in (WIDE, PHONE):
        resize(page, width)
        assert mistakes(page) == []
        assert sideways(page) == 0
