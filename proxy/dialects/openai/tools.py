"""Server-side tools that a response used: its output items count, not what was declared.

Fees: https://developers.openai.com/api/docs/pricing, "Built-in tools".
"""

from collections.abc import Iterator, Mapping

from pricing.cause import about
from pricing.reason import Reason
from pricing.usage import Meter, TermValue
from proxy.dialects.contract import Ask
from proxy.dialects.fields import HARMLESS, READ, Fields, named
from proxy.dialects.tally import Tally
from proxy.dialects.values import integer, mapping, mappings, text

CONTAINERS_MAX = 256  # distinct ones remembered of one response
UNKNOWN_MAX = 32  # distinct types of items

_CALLER_RUNS = ("function_call", "custom_tool_call", "local_shell_call", "computer_call")
# Items without a fee of their own: what the model said, what the caller runs or brings, and tools
# whose cost is their tokens alone.  https://developers.openai.com/api/docs/api-reference/responses
_NO_FEE = frozenset(
    (
        *_CALLER_RUNS,
        *("message", "reasoning", "compaction", "compaction_summary", "program", "item_reference"),
        *("mcp_call", "mcp_list_tools", "mcp_approval_request", "mcp_approval_response"),
        *("apply_patch_call", "tool_search_call", "search_results", "fetch_url_results"),
        *("function_call_output", "custom_tool_call_output", "local_shell_call_output"),
        *("computer_call_output", "apply_patch_call_output", "tool_search_output"),
        *("shell_call_output", "program_output"),
    )
)
_CONTAINER = ("code_interpreter_call", "shell_call")
# Beside `usage`: a model of the image tool, and how often the web was searched, as the items show.
_TOOL_USAGE: Fields = {
    **named(HARMLESS, "image_gen"),  # a usage block of its own
    "web_search": named(READ, "num_requests"),
}


class Tools:
    """Counts output items.  A response lists them all; a stream also sends them one by one."""

    def __init__(self) -> None:
        self.searches = 0
        self.file_searches = 0
        self.images = 0
        self.calls = 0  # for the caller to run
        self.containers: set[str] = set()
        self.beyond = 0  # items in further containers
        self.unknown: dict[str, None] = {}  # types that may bear a fee

    def add(self, item: Mapping[str, object]) -> None:
        """Count one finished output item; a failed one is free."""
        kind = text(item.get("type"))
        if kind in _CALLER_RUNS:
            self.calls += 1
        if item.get("status") == "failed":
            return
        if kind == "web_search_call":
            # open_page and find_in_page are free; xAI and older responses name no action.
            self.searches += mapping(item, "action").get("type", "search") == "search"
        elif kind == "file_search_call":
            self.file_searches += 1
        elif kind == "image_generation_call":
            self.images += 1
        elif kind in _CONTAINER:
            self._add_container(item)
        elif kind not in _NO_FEE and len(self.unknown) < UNKNOWN_MAX:
            self.unknown[kind] = None

    def _add_container(self, item: Mapping[str, object]) -> None:
        """Code and hosted shells run in containers; a shell without one is the caller's own."""
        container = item.get("container_id") or mapping(item, "environment").get("container_id")
        if isinstance(container, str) and container not in self.containers:
            if len(self.containers) < CONTAINERS_MAX:
                self.containers.add(container)
            else:
                self.beyond += 1

    def tally(self, tally: Tally, body: Mapping[str, object], ask: Ask) -> None:
        """Add the fees.  Where the usage block lists the calls itself, that list counts."""
        tally.check(mapping(body, "tool_usage"), _TOOL_USAGE, "tool_usage")
        tally.flag(*(about(Reason.UNKNOWN_OUTPUT_ITEM, kind) for kind in self.unknown))
        if self.beyond:
            tally.flag(about(Reason.LIMIT_REACHED, f"containers: {self.beyond} more"))
        usage = mapping(body, "usage")
        if not usage.get("server_side_tool_usage_details") and not usage.get("tool_calls_details"):
            preview = any(kind.startswith("web_search_preview") for kind in _declared(body, ask))
            meter = Meter.CALLS_WEB_SEARCH_PREVIEW if preview else Meter.CALLS_WEB_SEARCH
            tally.add(meter, self.searches)
            tally.add(Meter.CALLS_FILE_SEARCH, self.file_searches)
        tally.add(Meter.CALLS_FUNCTION, self.calls)
        # A container that the caller named was begun, and billed, by another call.
        begun = self.containers - {*_named_containers(body, ask)}
        if len(begun) < len(self.containers):
            tally.flag(Reason.CONTAINER_SESSION_ELSEWHERE)
        tally.add(Meter.SESSIONS_CODE_INTERPRETER, len(begun))


def _tools(body: Mapping[str, object], ask: Ask) -> list[Mapping[str, object]]:
    return mappings(body.get("tools")) or mappings(mapping(ask.request).get("tools"))


def _named_containers(body: Mapping[str, object], ask: Ask) -> Iterator[str]:
    """The containers that the tools name: of a shell, in its environment."""
    for tool in _tools(body, ask):
        yield text(tool.get("container"))
        yield text(mapping(tool, "environment").get("container_id"))


def _declared(body: Mapping[str, object], ask: Ask) -> list[str]:
    """The types of the declared tools; call documents may abbreviate a tool to its type."""
    asked = mapping(ask.request).get("tools")
    short = [kind for kind in asked if isinstance(kind, str)] if isinstance(asked, list) else []
    return short + [text(tool.get("type")) for tool in _tools(body, ask)]


def container_terms(body: Mapping[str, object], ask: Ask) -> dict[str, TermValue]:
    """The memory of the code container, if it was requested: `memory_limit` is "4g"."""
    for tool in _tools(body, ask):
        asked = mapping(tool, "container") or mapping(tool, "environment")
        limit = text(asked.get("memory_limit")).lower().removesuffix("g")
        if limit.isascii() and limit.isdigit() and len(limit) < 5:
            return {"container_memory_gb": int(limit)}
    return {}


def image_model(body: Mapping[str, object], ask: Ask) -> str:
    """The declared model of the image tool; "" for its default."""
    tools = (tool for tool in _tools(body, ask) if tool.get("type") == "image_generation")
    return next((text(tool.get("model")) for tool in tools), "")


def image_usage(body: Mapping[str, object]) -> Mapping[str, object]:
    """The usage of the image tool: `tool_usage.image_gen`."""
    usage = mapping(body, "tool_usage", "image_gen")
    return (
        usage if integer(usage.get("total_tokens")) or integer(usage.get("output_tokens")) else {}
    )
