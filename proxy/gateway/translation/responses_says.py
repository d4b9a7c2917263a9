"""Says answers as OpenAI's Responses: a response, and the events of its stream.

https://platform.openai.com/docs/api-reference/responses-streaming (2026-11).  An answer is a list
of items; text and thoughts come one after another, while several calls may be open at once.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from proxy.gateway.translation import namespaces, openai_says
from proxy.gateway.translation.events import (
    Argues,
    Begin,
    Calls,
    Counts,
    Ends,
    Event,
    Fails,
    Finish,
    Said,
    Signed,
    Thinks,
    Used,
)
from proxy.gateway.translation.framing import data_event
from proxy.gateway.translation.gathering import Answer, spread
from proxy.gateway.translation.signatures import marked
from proxy.gateway.translation.values import is_object

Json = dict[str, object]
# What a response repeats of its request, and what each is where that says nothing.
ECHOED: Mapping[str, object] = {
    "instructions": None,
    "max_output_tokens": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "reasoning": {"effort": None, "summary": None},
    "temperature": None,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_p": None,
    "truncation": "disabled",
    "user": None,
}
PREFIXES = {"message": "msg", "reasoning": "rs", "function_call": "fc"}
PARTS = {"output_text": "text", "refusal": "refusal", "summary_text": "text"}  # kind → its key
KINDS = {False: "output_text", True: "refusal"}


@dataclass(slots=True, kw_only=True, eq=False)
class _Item:
    """An item of the output that may still grow."""

    at: int  # its place
    document: Json
    kind: str
    part: str = ""  # the kind of the part that is open
    said: str = ""  # of that part, or of a call's arguments


class ResponsesSays:
    """One answer.  `asked` is the request, which it repeats; `at` is Unix time, for answers that do
    not say when they were made."""

    def __init__(self, *, asked: Mapping[str, object], at: int) -> None:
        self._asked = {name: asked.get(name, usual) for name, usual in ECHOED.items()}
        self._named = namespaces.apart(asked.get("tools"))
        self._at = at
        self._begin = Begin()
        self._used = Used()
        self._ends: Ends | None = None
        self._number = 0  # of the next event
        self._output: list[Json] = []
        self._open: list[_Item] = []
        self._calls: dict[int, _Item] = {}

    def whole(self, answer: Answer) -> Json:
        """A response: what the events of a stream would have made."""
        for event in spread(answer):
            for _ in self.event(event):
                pass
        self._ends = self._ends or Ends(finish=answer.finish)
        for _ in self._shut_all():
            pass
        return self._end()

    def event(self, event: Event) -> Iterator[bytes]:
        """What this adds to a stream."""
        if isinstance(event, Begin):
            self._begin, self._used = event, event.used
            for kind in ("response.created", "response.in_progress"):
                yield self._event(kind, response=self._response("in_progress"))
        elif isinstance(event, Said):
            yield from self._said(KINDS[event.refusal], event.text)
        elif isinstance(event, Thinks):
            yield from self._said("summary_text", event.text)
        elif isinstance(event, Signed):
            yield from self._signed(event)
        elif isinstance(event, Calls):
            yield from self._call(event)
        elif isinstance(event, Argues):
            yield from self._argue(self._calls[event.index], event.text)
        elif isinstance(event, Counts):
            self._used = event.used
        elif isinstance(event, Ends):
            self._ends = event

    def close(self) -> Iterator[bytes]:
        """The end, if the provider said that it is one."""
        if self._ends is not None:
            yield from self._shut_all()
            response = self._end()
            yield self._event(f"response.{response['status']}", response=response)

    def failed(self, fails: Fails) -> bytes:
        """An error inside a stream: as SDKs raise it, and the end of the response."""
        document = openai_says.error(fails.status, fails.message, fails.kind)
        code = fails.kind or openai_says.TYPES.get(fails.status, "server_error")
        told: Json = {"code": code, "message": fails.message}
        first = self._event("error", **told, param=None, **document)
        response = self._response("failed") | {"error": told}
        return first + self._event("response.failed", response=response)

    # -- items ----------------------------------------------------------------------------------

    def _add(self, kind: str, **fields: object) -> tuple[_Item, bytes]:
        at = len(self._output)
        named = f"{PREFIXES[kind]}_{self._id}_{at}"
        document: Json = {"id": named, "type": kind, **fields}
        item = _Item(at=at, document=document, kind=kind)
        self._output.append(document)
        self._open.append(item)
        return item, self._event("response.output_item.added", output_index=at, item={**document})

    def _said(self, part: str, text: str) -> Iterator[bytes]:
        """More of a message or of a thought."""
        kind = "reasoning" if part == "summary_text" else "message"
        item = self._open[-1] if self._open else None
        if item is None or item.kind != kind:
            yield from self._shut_whole()
            fields: Json = {"summary": []}
            if kind == "message":
                fields = {"role": "assistant", "status": "in_progress", "content": []}
            item, added = self._add(kind, **fields)
            yield added
        if item.part != part:
            yield from self._shut_part(item)
            item.part = part
            yield self._of(item, f"{_name(part)}_part.added", 0, part=_part(part, ""))
        item.said += text
        more: Json = {"logprobs": []} if part == "output_text" else {}
        yield self._of(item, f"{_name(part, text=True)}.delta", 0, delta=text, **more)

    def _signed(self, event: Signed) -> Iterator[bytes]:
        item = self._open[-1] if self._open else None
        if item is None or item.kind != "reasoning" or event.hidden:
            yield from self._shut_whole()
            item, added = self._add("reasoning", summary=[])
            yield added
        item.document["encrypted_content"] = marked(event.signature, "responses")
        yield from self._shut(item)

    def _call(self, event: Calls) -> Iterator[bytes]:
        """A call's signature is an item before it."""
        if event.signature is not None:
            yield from self._signed(Signed(event.signature, hidden=True))
        yield from self._shut_whole()
        namespace, name = self._named.get(event.name, ("", event.name))
        named: Json = {"call_id": event.id, "name": name}
        named |= {"namespace": namespace} if namespace else {}
        item, added = self._add("function_call", status="in_progress", **named, arguments="")
        self._calls[event.index] = item
        yield added

    def _argue(self, item: _Item, text: str) -> Iterator[bytes]:
        if item in self._open:  # else it had its end: what follows an object is space
            item.said += text
            yield self._of(item, "function_call_arguments.delta", delta=text)

    def _shut_whole(self) -> Iterator[bytes]:
        """Shut what is over when something else begins."""
        for item in list(self._open):
            if item.kind != "function_call" or is_object(item.said):
                yield from self._shut(item)

    def _shut_all(self) -> Iterator[bytes]:
        for item in list(self._open):
            yield from self._shut(item)

    def _shut(self, item: _Item) -> Iterator[bytes]:
        self._open.remove(item)
        if item.kind == "function_call":
            if not item.said:
                item.said = "{}"
                yield self._of(item, "function_call_arguments.delta", delta=item.said)
            item.document["arguments"] = item.said
            yield self._of(item, "function_call_arguments.done", arguments=item.said)
        else:
            yield from self._shut_part(item)
        if "status" in item.document:
            cut = self._ends is not None and self._ends.finish is Finish.LENGTH
            item.document["status"] = "incomplete" if cut else "completed"
        done: Json = {"output_index": item.at, "item": {**item.document}}
        yield self._event("response.output_item.done", **done)

    def _shut_part(self, item: _Item) -> Iterator[bytes]:
        part = item.part
        if not part:
            return
        said, item.said, item.part = item.said, "", ""
        parts = item.document["summary" if part == "summary_text" else "content"]
        more: Json = {"logprobs": []} if part == "output_text" else {}
        yield self._of(item, f"{_name(part, text=True)}.done", 0, **{PARTS[part]: said}, **more)
        yield self._of(item, f"{_name(part)}_part.done", 0, part=_part(part, said))
        if isinstance(parts, list):
            parts.append(_part(part, said))

    # -- events ---------------------------------------------------------------------------------

    def _of(self, item: _Item, kind: str, *of_part: int, **fields: object) -> bytes:
        """An event about an item, or about the part of it that is open."""
        at: Json = {"item_id": item.document["id"], "output_index": item.at}
        if of_part:
            key = "summary" if item.kind == "reasoning" else "content"
            parts = item.document[key]
            at[f"{key}_index"] = len(parts) if isinstance(parts, list) else 0
        return self._event(f"response.{kind}", **at, **fields)

    def _event(self, kind: str, **fields: object) -> bytes:
        document = {"type": kind, "sequence_number": self._number, **fields}
        self._number += 1
        return data_event(document, kind)

    def _end(self) -> Json:
        """The response, whole."""
        ends = self._ends or Ends(finish=Finish.STOP)
        refused = any(_refuses(item) for item in self._output)
        reason = {Finish.LENGTH: "max_output_tokens"}.get(ends.finish, "")
        if ends.finish is Finish.REFUSAL and not refused:
            reason = "content_filter"
        response = self._response("incomplete" if reason else "completed")
        if reason:
            response["incomplete_details"] = {"reason": reason}
        return response | {"output": list(self._output), "usage": usage(self._used)}

    @property
    def _id(self) -> str:
        return self._begin.id or f"{self._at:x}"

    def _response(self, status: str) -> Json:
        return {
            "id": self._begin.id or f"resp_{self._id}",
            "object": "response",
            "created_at": self._begin.created or self._at,
            "status": status,
            "background": False,
            "error": None,
            "incomplete_details": None,
            "model": self._begin.model,
            "output": [],
            "previous_response_id": None,
            "store": False,
            "usage": None,
            **self._asked,
        }


def _name(part: str, *, text: bool = False) -> str:
    """What events call a part, or its text."""
    if part == "summary_text":
        return "reasoning_summary_text" if text else "reasoning_summary"
    return part if text else "content"


def _part(kind: str, said: str) -> Json:
    more: Json = {"annotations": [], "logprobs": []} if kind == "output_text" else {}
    return {"type": kind, PARTS[kind]: said, **more}


def _refuses(item: Json) -> bool:
    """Whether the model says that it will not."""
    parts = item.get("content")
    listed = parts if isinstance(parts, list) else ()
    return any(part["type"] == "refusal" for part in listed)


def usage(used: Used) -> Json:
    """OpenAI's, by the names of this API."""
    chat = openai_says.usage(used)
    return {
        "input_tokens": chat["prompt_tokens"],
        "input_tokens_details": chat["prompt_tokens_details"],
        "output_tokens": chat["completion_tokens"],
        "output_tokens_details": chat["completion_tokens_details"],
        "total_tokens": chat["total_tokens"],
    }
