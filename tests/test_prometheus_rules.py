"""The rules for a Prometheus of one's own say what our own alerts say, of metrics that exist."""

import json
import re
import shutil
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml

from evaluation.standin import processes
from pricing.reason import Reason
from proxy.health.watch import KNOWN
from proxy.settings.config import AlertOptions
from support.patience import PATIENCE_S

RULES = Path(__file__).parents[1] / "grafana" / "prometheus_rules.yaml"
METRIC = re.compile(r"\btaximeter_\w+(?=[\[{ ]|$)")
UNPRICED = f'taximeter_unpriced_calls_total{{taximeter_reason="{Reason.UNKNOWN_MODEL}"}}'
LABELS = {
    *("taximeter_journal", "taximeter_reason", "taximeter_exporter"),
    *("taximeter_result", "taximeter_state"),
}
needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool (Debian: prometheus) is not installed"
)


def rules() -> dict[str, dict[str, Any]]:
    """Each rule by its name."""
    (group,) = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return {rule["alert"]: rule for rule in group["rules"]}


def promtool(*arguments: str | Path) -> None:
    """Run it; what it has to say is the failure."""
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def name_of(alert: str) -> str:
    """`frames_dropped` is TaximeterFramesDropped to Prometheus."""
    return "Taximeter" + alert.title().replace("_", "")


def test_every_alert_of_ours_has_its_rule() -> None:
    """Under its name and with its severity; three more are about costs."""
    found = {name: rule["labels"]["severity"] for name, rule in rules().items()}
    assert found.pop("TaximeterUnpricedCalls") == "warning"
    assert found.pop("TaximeterBudgetSpent") == "critical"
    assert found.pop("TaximeterBudgetUnknown") == "warning"
    assert found == {name_of(alert): severity for alert, severity in KNOWN.items()}
    for rule in rules().values():
        assert rule["annotations"].keys() == {"summary", "description"}


def test_the_limits_are_our_defaults() -> None:
    """Nobody is told at one limit here and at another there."""
    limits, found = AlertOptions(), rules()
    assert found["TaximeterJournalNearlyFull"]["expr"].endswith(f">= {limits.journal_share_max:g}")
    assert found["TaximeterExporterBehind"]["expr"].endswith(f"> {limits.lag_max_s:g}")
    quiet = f"{limits.quiet_s / 60:g}m"
    for name, rule in found.items():
        if name not in ("TaximeterUnpricedCalls", "TaximeterBudgetSpent", "TaximeterBudgetUnknown"):
            assert quiet in (rule.get("keep_firing_for"), *re.findall(r"\[(\w+)\]", rule["expr"]))


@pytest.mark.thorough
def test_every_metric_is_served(tmp_path: Path) -> None:
    """A scrape of the real product has each name that a rule reads, after one unpriced call."""
    settings = f"{processes.FAST_ROWS}\n[content]\ncapture = true\n"
    settings += '[budgets.all]\nlimit_usd = 1\naction = "block"\n'
    with (
        processes.stand_in(tmp_path / "stand-in.log") as (upstream, _),
        processes.serve(tmp_path, {"openai": upstream}, settings=settings) as served,
    ):
        asked = urllib.request.Request(
            f"{served.proxy_url}/openai/v1/chat/completions",
            json.dumps({"model": "nobody-knows-it", "messages": []}).encode(),
            {"Content-Type": "application/json"},
        )
        urllib.request.urlopen(asked).close()
        served.calls_when(1)
        read = {name for rule in rules().values() for name in METRIC.findall(rule["expr"])} - LABELS
        assert len(read) >= len(KNOWN) - 1  # two are read from `taximeter_alert`
        deadline = time.monotonic() + PATIENCE_S
        while True:  # budgets are counted a moment after the row
            with urllib.request.urlopen(f"{served.console_url}/metrics") as answer:
                page = answer.read().decode()
            if not (missing := read - set(re.findall(r"^(\w+)", page, re.MULTILINE))):
                break
            assert time.monotonic() < deadline, missing
            time.sleep(0.2)
    assert (
        'taximeter_alert{taximeter_alert="frames_dropped",taximeter_severity="critical"} 0' in page
    )


@needs_promtool
def test_promtool_reads_them() -> None:
    """Syntax, templates and duplicate rules are checked by Prometheus itself."""
    promtool("check", "rules", RULES)


STILL, GROWING = "0+0x40", "0+0x9 3+0x30"  # a sample each minute; three more after the tenth


@needs_promtool
@pytest.mark.parametrize(
    ("alert", "series", "begins", "over"),
    [
        ("frames_dropped", {"taximeter_relay_frames_dropped_total": GROWING}, 10, 16),
        ("calls_lost", {"taximeter_relay_calls_lost_total": GROWING}, 10, 16),
        (
            "rows_set_aside",
            {'taximeter_delivery_set_aside_total{taximeter_exporter="clickhouse"}': GROWING},
            10,
            16,
        ),
        ("content_dropped", {"taximeter_content_dropped_calls_total": GROWING}, 10, 16),
        ("frames_unreadable", {"taximeter_meter_failed_frames_total": GROWING}, 10, 16),
        ("journal_damaged", {"taximeter_meter_damaged_bytes": "0+0x9 7 0+0x30"}, 10, 16),
        (
            "budgets_unreadable",
            {'taximeter_gate_calls_total{taximeter_result="failed_open"}': GROWING},
            10,
            16,
        ),
        ("journal_write_errors", {"taximeter_relay_write_errors_total": GROWING}, 10, 16),
        ("journal_write_errors", {"taximeter_meter_write_errors_total": GROWING}, 10, 16),
        (
            "journal_nearly_full",
            {'taximeter_journal_size_bytes{taximeter_journal="records"}': "0+0x9 800 799+0x30"}
            | {'taximeter_journal_limit_bytes{taximeter_journal="records"}': "1000+0x40"},
            10,
            16,
        ),
        (
            "exporter_behind",
            {'taximeter_delivery_lag_seconds{taximeter_exporter="otel"}': "300+0x9 301+0x2 0+0x30"},
            11,
            18,
        ),
        (
            "unpriced_calls",
            {UNPRICED: GROWING},
            10,
            26,
        ),
    ],
)
def test_rules_fire_and_end(
    alert: str, series: dict[str, str], begins: int, over: int, tmp_path: Path
) -> None:
    """A rule is silent until the minute of the loss, fires then, and is silent again later."""
    severity = rules()[name_of(alert)]["labels"]["severity"]
    labels = f'{{alertname="{name_of(alert)}", severity="{severity}"}}'
    firing = {
        "expr": 'count by (alertname, severity) (ALERTS{alertstate="firing"})',
        "exp_samples": [{"labels": labels, "value": 1}],
    }
    silent = firing | {"exp_samples": []}
    tested = {
        "rule_files": [str(RULES)],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": s, "values": values} for s, values in series.items()],
                "promql_expr_test": [
                    silent | {"eval_time": f"{begins - 1}m"},
                    firing | {"eval_time": f"{begins}m"},
                    firing | {"eval_time": f"{over - 2}m"},
                    silent | {"eval_time": f"{over}m"},
                ],
            }
        ],
    }
    file = tmp_path / "test.yaml"
    file.write_text(yaml.safe_dump(tested), encoding="utf-8")
    promtool("test", "rules", file)
