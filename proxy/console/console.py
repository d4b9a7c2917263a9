"""The whole console, as the meter's process serves it: every route behind one admission."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from aiohttp import web

from exporters.clickhouse.evaluations import Evaluations
from exporters.clickhouse.feedback import FeedbackTable
from exporters.clickhouse.store import Row, Store
from exporters.series import Family
from pricing import TariffBook
from proxy.access.page_token import PageTokens
from proxy.access.tokens import Tokens
from proxy.budgets.budgets import Budgets
from proxy.console import api
from proxy.console.access_api import AccessApi
from proxy.console.admission import admission
from proxy.console.audit_api import AuditApi
from proxy.console.backup_api import BacksUp, BackupApi
from proxy.console.budgets_api import BudgetsApi
from proxy.console.command_token import CommandToken
from proxy.console.content_api import ContentApi
from proxy.console.evaluation_api import EvaluationApi
from proxy.console.evidence_api import EvidenceApi
from proxy.console.export_api import ExportApi
from proxy.console.feedback_api import FeedbackApi
from proxy.console.invoice_api import InvoiceApi
from proxy.console.notices_api import NoticesApi
from proxy.console.probes import Probes
from proxy.console.reconcile_api import ReconcileApi
from proxy.console.report_api import Period
from proxy.console.reprice_api import RepriceApi
from proxy.console.results_api import ResultsApi
from proxy.console.routes_api import RoutesApi
from proxy.console.tariff_files_api import TariffFilesApi
from proxy.console.tariffs_api import TariffsApi
from proxy.delivery.audit import AuditDelivery
from proxy.delivery.contents import ContentDelivery
from proxy.evidence.heads import Heads
from proxy.notices.notices import Notices
from proxy.notices.targets import loss_targets
from proxy.repricing.run import Repricing
from proxy.retention.eraser import Eraser
from proxy.settings.config import Config
from proxy.settings.places import Places


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the console shows and changes."""

    store: Store
    book: TariffBook
    status: Callable[[], Mapping[str, Row]]
    metrics: Callable[[], list[Family]]
    alerts: Callable[[], Mapping[str, object]]
    check: api.Check
    unpriced: Period
    counted: Period
    repricing: Repricing
    eraser: Eraser
    content: ContentDelivery | None
    audit: AuditDelivery
    probes: Probes
    budgets: Budgets
    backs_up: BacksUp
    evaluations: Evaluations
    feedback: FeedbackTable
    notices: Notices
    heads: Heads
    caught_up: Callable[[], Awaitable[None]]


def console(config: Config, parts: Parts) -> web.Application:
    """The application.  Raises OSError if the commands' token cannot be written."""
    places, pages, audit = Places(config.data), PageTokens(), parts.audit.audit
    tokens = Tokens(places.access, config.console.token)
    command = CommandToken(places.command_token)
    return api.application(
        parts.store,
        parts.status,
        config.console,
        metrics=parts.metrics,
        alerts=parts.alerts,
        check=parts.check,
        unpriced=parts.unpriced,
        counted=parts.counted,
        tariffs=config.metering.tariffs,
        admits=admission(
            config.console, tokens, command, pages, base_path=config.console.base_path
        ),
        base_path=config.console.base_path,
        audit=audit,
        more=[
            *parts.probes.routes(),
            *RepriceApi(parts.repricing, audit).routes(),
            *ContentApi(parts.store, parts.eraser, parts.content, audit).routes(),
            *AccessApi(places.access, pages, audit).routes(),
            *BackupApi(parts.backs_up, audit).routes(),
            *BudgetsApi(parts.budgets, parts.store, audit).routes(),
            *RoutesApi(config).routes(),
            *TariffsApi(parts.book, config.metering.tariffs).routes(),
            *TariffFilesApi(config, audit).routes(),
            *ResultsApi(config.data, config.console.base_path).routes(),
            *EvaluationApi(parts.store, parts.evaluations).routes(),
            *InvoiceApi(parts.store, config.fixed_costs).routes(),
            *ReconcileApi(parts.store, config.invoices).routes(),
            *ExportApi(parts.store, config.content, audit).routes(),
            *FeedbackApi(parts.feedback, config.node).routes(),
            *NoticesApi(parts.notices, loss_targets(config)).routes(),
            *AuditApi(parts.store, audit, parts.audit).routes(),
            *EvidenceApi(parts.store, parts.heads, audit, caught_up=parts.caught_up).routes(),
        ],
    )
