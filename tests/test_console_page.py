"""The console in a real browser: what people see is what the rows say."""

import asyncio
import json
import os
import time
import urllib.request
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.support.ui import WebDriverWait

from evaluation.standin import processes, traffic
from support.browser import browser
from support.clickhouse import StartServer

ROOT = Path(__file__).parents[1]
# `make screenshots` sets it; the pictures of the README are taken by this very test.
PICTURES = ROOT / "docs" / "images" if os.environ.get("SCREENSHOTS") else None
CALLS = 60


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[processes.Serving]:
    """The product with some traffic behind it."""
    data = tmp_path_factory.mktemp("console")
    with (
        processes.stand_in(data / "stand-in.log") as (upstream, _),
        processes.serve(data, dict.fromkeys(processes.PROVIDERS, upstream)) as served,
    ):
        asyncio.run(traffic.run(served.proxy_url, calls=CALLS, rate=60, seed=7, speed=20))
        served.calls_when(CALLS)
        yield served


def test_the_console_shows_the_calls_and_their_receipts(served: processes.Serving) -> None:
    """Totals, models and newest calls are there; a click opens the receipt that adds up."""
    rows = served.calls(CALLS)
    known = [row for row in rows if row["cost_usd"] not in (None, "0")]
    with browser() as page:
        page.get(served.console_url)
        wait = WebDriverWait(page, 20)
        wait.until(lambda _: len(page.find_elements(By.CSS_SELECTOR, "#calls tr[data-call]")) > 1)
        health = page.find_element(By.ID, "health")
        wait.until(lambda _: health.text == "healthy")
        assert not page.find_element(By.ID, "alerts").is_displayed()
        tiles = {t.split("\n")[1]: t.split("\n")[0] for t in texts(page, ".tile")}
        assert tiles["Calls"] == str(CALLS)
        models = {row["response_model"] or row["request_model"] for row in known}
        assert all(any(model in text for text in texts(page, "#models tr")) for model in models)
        picture(page.save_screenshot, "console.png")

        dearest = max(known, key=lambda row: float(row["cost_usd"]))
        selector = f'#calls tr[data-call="{dearest["call_id"]}"]'
        page.execute_script("document.querySelector(arguments[0]).click()", selector)
        wait.until(lambda _: page.find_element(By.CSS_SELECTOR, "#receipt table").is_displayed())
        [total] = texts(page, "#receipt tfoot tr td:last-child")
        assert total == dearest["cost_usd"]
        lines = texts(page, "#receipt tbody tr td:last-child")
        assert sum(map(Decimal, lines)) == Decimal(total)
        picture(page.save_screenshot, "receipt.png")

        complaints = page.get_log("browser")  # type: ignore[no-untyped-call]  # selenium's
        assert [entry for entry in complaints if entry["level"] == "SEVERE"] == []


def texts(page: WebDriver, selector: str) -> list[str]:
    """At one moment: the page draws its tables anew every two seconds."""
    script = "return [...document.querySelectorAll(arguments[0])].map((e) => e.innerText.trim())"
    return list(page.execute_script(script, selector))


def picture(save: Callable[[str], bool], name: str) -> None:
    """Keep a screenshot, where one is asked for."""
    if PICTURES:
        time.sleep(0.5)  # the fonts and the chart have settled
        assert save(str(PICTURES / name))


def test_alerts_are_a_banner(tmp_path: Path, start_clickhouse: StartServer) -> None:
    """What fires is named with its numbers and what to do, also while the store is away."""
    server = start_clickhouse(tmp_path / "clickhouse")
    settings = (
        f'[store]\ndsn = "{server.dsn}"\n'
        "[alerts]\njournal_share_max = 1e-9\n"  # any journal is nearly full
    )
    with (
        processes.serve(tmp_path, {}, settings=settings) as served,
        browser(width=900) as page,
    ):
        server.kill()
        page.get(served.console_url)
        wait = WebDriverWait(page, 20)
        wait.until(lambda _: len(page.find_elements(By.CSS_SELECTOR, "#alerts > div")) == 2)
        [banner] = page.find_elements(By.CSS_SELECTOR, "[role=alert]")
        firing = processes.get_json(f"{served.console_url}/api/alerts")["firing"]
        said = banner.text
        for alert in firing:
            assert f"journal_nearly_full {alert['labels']['journal']}" in said
            assert alert["action"] in " ".join(said.split())
        assert said.count(" of 4,294,967,296 bytes") == 2
        [first, _] = texts(page, "#alerts > div")
        page.execute_script("document.querySelector('#alerts > div').dataset.kept = 'yes'")
        page.execute_script("document.getElementById('period').dispatchEvent(new Event('change'))")
        time.sleep(1)
        assert page.find_element(By.CSS_SELECTOR, "#alerts > div").get_dom_attribute("data-kept")
        assert first.startswith("journal_nearly_full")
        wide = page.execute_script(
            "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert wide == 0


def test_the_console_fits_a_narrow_window(served: processes.Serving) -> None:
    """Nothing but tables scrolls sideways."""
    with browser(width=900) as page:
        page.get(served.console_url)
        WebDriverWait(page, 20).until(
            lambda _: page.find_elements(By.CSS_SELECTOR, "#calls tr[data-call]")
        )
        wide = page.execute_script(
            "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert wide == 0


TOKEN = "a-token-for-the-console"
SCRIPT = "<script>document.title='run'</script><img src=x onerror=\"document.title='run'\">"


def test_content_is_text_and_nothing_else(tmp_path: Path) -> None:
    """A prompt that is a script is shown as it was written, once somebody opens it, and not run."""
    settings = f'[console]\ntoken = "{TOKEN}"\n[content]\ncapture = true\n{processes.FAST_ROWS}'
    with (
        processes.stand_in(tmp_path / "stand-in.log") as (upstream, _),
        processes.serve(tmp_path, {"openai": upstream}, settings=settings) as served,
    ):
        body = {"model": "gpt-5.4-mini", "messages": [{"role": "user", "content": SCRIPT}]}
        asked = urllib.request.Request(
            f"{served.proxy_url}/openai/v1/chat/completions",
            data=json.dumps(body).encode(),
            headers={"content-type": "application/json", "authorization": "Bearer x"},
        )
        urllib.request.urlopen(asked, timeout=20).close()
        with browser() as page:
            page.get(f"{served.console_url}/?token={TOKEN}")
            wait = WebDriverWait(page, 20)
            wait.until(lambda _: page.find_elements(By.CSS_SELECTOR, "#calls tr[data-call]"))
            page.find_element(By.CSS_SELECTOR, "#calls tr[data-call]").click()
            wait.until(
                lambda _: page.find_element(By.CSS_SELECTOR, "#receipt table").is_displayed()
            )
            assert texts(page, "#receipt .content pre") == []
            wait.until(lambda _: opened(page))
            request, *_ = texts(page, "#receipt .content pre")
            assert json.loads(request)["messages"][0]["content"] == SCRIPT
            assert page.find_elements(By.CSS_SELECTOR, "#receipt script, #receipt img") == []
            assert page.title == "Taximeter"


def opened(page: WebDriver) -> bool:
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
