"""The page of bills in a real browser: a file goes in, and finance can read what comes out."""

import json
import os
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait
from test_reconcile_command import fill, lines

from evaluation.standin import processes
from support import bills
from support.browser import browser, resize
from support.patience import PATIENCE_S

PICTURES = os.environ.get("SCREENSHOTS_OF_BILL", "")
WIDTHS = (1440, 390)


@pytest.mark.slow  # the product, and a browser
def test_a_bill_is_compared(tmp_path: Path) -> None:
    """Two files, one month: the verdict, the causes, the days and the lines that differ."""
    fill(tmp_path / "data")
    dearer = [
        replace(one, usd=one.usd + Decimal("0.0004")) if one.day.day == 2 else one
        for one in lines()
    ]
    files = []
    for number, text in enumerate(bills.openai(dearer)):
        files.append(tmp_path / f"{number}.json")
        files[-1].write_text(text, encoding="utf-8")
    with (
        processes.serve(tmp_path, {}, settings=processes.FAST_ROWS) as served,
        browser() as page,
    ):
        page.get(f"{served.console_url}/bill")
        page.execute_script(
            "const m = document.getElementById('month'); m.value = '2026-11';"
            "m.dispatchEvent(new Event('change'))"
        )
        page.find_element(By.ID, "files").send_keys("\n".join(map(str, files)))
        page.find_element(By.CSS_SELECTOR, "#bill button").click()
        verdict = page.find_element(By.ID, "verdict")
        WebDriverWait(page, PATIENCE_S).until(lambda _: "explained" in verdict.text)
        assert verdict.text == "Every day is explained to within 0.1 % of its bill."
        causes = page.find_element(By.ID, "causes").text
        assert "+$0.0012 tier or discount not known" in causes
        days = page.find_elements(By.CSS_SELECTOR, "#days tbody tr")
        assert [row.text.split()[0] for row in days] == [
            *(f"2026-11-{day:02}" for day in range(1, 5)),
            "all",
        ]
        assert len(page.find_elements(By.CSS_SELECTOR, "#lines tbody tr")) == 3
        link = page.find_element(By.ID, "focus").get_attribute("href") or ""
        assert link.endswith("/api/export/focus?month=2026-11&format=csv")
        for width in WIDTHS:
            resize(page, width)
            wide = page.execute_script("return document.documentElement.scrollWidth")
            assert wide <= width
            if PICTURES:
                page.save_screenshot(f"{PICTURES}/bill-{width}.png")
        assert [one for one in page.get_log("browser") if one["level"] == "SEVERE"] == []  # type: ignore[no-untyped-call]
        files[0].write_text(json.dumps({"data": 1}), encoding="utf-8")
        page.find_element(By.CSS_SELECTOR, "#bill button").click()
        WebDriverWait(page, PATIENCE_S).until(lambda _: verdict.get_attribute("class") == "bad")
