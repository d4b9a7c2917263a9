"""Images, videos, transcription and speech.

https://developers.openai.com/api/docs/api-reference/images, /videos, /audio.  Newer models bill
tokens and report them.  DALL-E bills images by size and quality, Whisper and Sora seconds, TTS
characters; these report little or nothing, so that the request is the only evidence.
"""

from collections.abc import Mapping

from pricing.usage import Meter, Quantity, TermValue
from proxy.dialects.contract import Ask, Endpoint, EndpointPath, Json
from proxy.dialects.draft import Draft
from proxy.dialects.openai.costs import stated_usd
from proxy.dialects.openai.fields import COSTS, DURATION
from proxy.dialects.openai.usage import has_usage, tally_usage
from proxy.dialects.tally import Tally, seconds
from proxy.dialects.values import decimal, mapping, mappings, text
from proxy.exchange import Operation, Reading


class ImagesReader:
    """Reads generations, edits and variations, whole or streamed."""

    def __init__(self, ask: Ask, endpoint: Endpoint) -> None:
        self._draft = Draft(ask, endpoint)
        self._draft.countable = False

    def read(self, document: Json, at_ns: int, event: str = "") -> None:
        """See `Reader.read`."""
        draft = self._draft
        body = mapping(document)
        kind = text(body.get("type")) or event
        if draft.fail(document):
            return
        if kind.endswith(".partial_image"):
            draft.times.token(at_ns)
            return
        draft.response_model = text(body.get("model")) or draft.response_model
        draft.service_tier = text(body.get("service_tier")) or draft.service_tier
        usage = mapping(body, "usage")
        draft.reported_usd = stated_usd(body, draft.reported_usd)
        if has_usage(usage):
            tally = tally_usage(usage, draft.ask, default_output=Meter.OUTPUT_IMAGE)
            draft.part(tally, terms=self._terms(body))
        elif images := len(mappings(body.get("data"))):
            tally = Tally(usage, COSTS)
            tally.add(Meter.IMAGES, images)
            draft.part(tally, terms=self._terms(body))
        draft.complete = draft.complete or not draft.ask.stream or kind.endswith(".completed")

    def _terms(self, body: Mapping[str, object]) -> dict[str, TermValue]:
        """Size and quality as the response states them, else as requested; `auto` states none."""
        request = mapping(self._draft.ask.request)
        said = {name: text(body.get(name)) or text(request.get(name)) for name in _TERMS}
        return {name: value[:32] for name, value in said.items() if value not in ("", "auto")}

    def close(self) -> Reading:
        """See `Reader.close`."""
        return self._draft.reading()


_TERMS = ("size", "quality")


class VideosReader:
    """Reads the start of a video job; the answer states its seconds.  Polls are free."""

    def __init__(self, ask: Ask, endpoint: Endpoint) -> None:
        self._draft = Draft(ask, endpoint)
        self._draft.countable = False

    def read(self, document: Json, at_ns: int, event: str = "") -> None:
        """See `Reader.read`."""
        draft = self._draft
        body = mapping(document)
        if body.get("error") and draft.fail(document):
            return
        request = mapping(draft.ask.request)
        draft.response_model = text(body.get("model")) or draft.response_model
        draft.response_id = text(body.get("id")) or draft.response_id
        draft.complete = bool(body)
        draft.reported_usd = stated_usd(body)
        length = _seconds(body.get("seconds")) or _seconds(request.get("seconds"))
        if length is not None and body:
            tally = Tally(mapping(body, "usage"), {**DURATION, **COSTS})
            tally.add(Meter.VIDEO_SECONDS, length)
            size = text(body.get("size")) or text(request.get("size"))
            draft.part(tally, terms={"size": size[:32]} if size else {})

    def close(self) -> Reading:
        """See `Reader.close`."""
        return self._draft.reading()


class TranscriptionReader:
    """Reads transcriptions and translations, which report tokens, seconds or neither."""

    def __init__(self, ask: Ask, endpoint: Endpoint) -> None:
        self._draft = Draft(ask, endpoint)
        self._draft.countable = False  # audio has no text to count
        self._duration: Json = None
        self._usage: Mapping[str, object] = {}

    def read(self, document: Json, at_ns: int, event: str = "") -> None:
        """See `Reader.read`."""
        draft = self._draft
        body = mapping(document)
        kind = text(body.get("type")) or event
        if draft.fail(document):
            return
        if kind.endswith(".delta"):
            draft.delta(text(body.get("delta")), at_ns)
            return
        draft.response_model = text(body.get("model")) or draft.response_model
        usage = mapping(body, "usage")
        self._usage = usage or self._usage
        draft.reported_usd = stated_usd(body, draft.reported_usd)
        self._duration = usage.get("seconds") or body.get("duration") or self._duration
        if has_usage(usage) and usage.get("seconds") is None:
            draft.part(tally_usage(usage, draft.ask, default_input=Meter.INPUT_AUDIO))
        draft.complete = draft.complete or not draft.ask.stream or kind.endswith(".done")

    def close(self) -> Reading:
        """See `Reader.close`."""
        length = _seconds(self._duration)
        if length is not None and not self._draft.parts:
            tally = Tally(self._usage, DURATION)
            tally.add(Meter.AUDIO_SECONDS, length)
            self._draft.part(tally)
        return self._draft.reading()


def _seconds(value: Json) -> Quantity | None:
    """Seconds, also from text: Sora's "8"."""
    if isinstance(value, str):
        value = int(value) if value.isascii() and value.isdigit() and len(value) < 9 else None
    return seconds(decimal(value))


class SpeechReader:
    """Reads speech: characters of the request, unless a stream reports tokens."""

    def __init__(self, ask: Ask, endpoint: Endpoint) -> None:
        self._draft = Draft(ask, endpoint)
        self._draft.countable = False

    def read(self, document: Json, at_ns: int, event: str = "") -> None:
        """See `Reader.read`."""
        draft = self._draft
        body = mapping(document)
        kind = text(body.get("type")) or event
        if draft.fail(document):
            return
        if kind == "speech.audio.delta":
            draft.times.token(at_ns)
        usage = mapping(body, "usage")
        draft.reported_usd = stated_usd(body, draft.reported_usd)
        if has_usage(usage):
            draft.part(tally_usage(usage, draft.ask, default_output=Meter.OUTPUT_AUDIO))
        draft.complete = draft.complete or kind == "speech.audio.done"

    def close(self) -> Reading:
        """See `Reader.close`."""
        draft = self._draft
        said = text(mapping(draft.ask.request).get("input"))
        if said and not draft.parts and not draft.error_type:
            tally = Tally.inferred()
            tally.add(Meter.CHARACTERS, len(said))
            draft.part(tally)
        draft.complete = draft.complete or not draft.ask.stream  # audio does not mark its end
        return draft.reading()


IMAGES = Endpoint(name="openai.images", operation=Operation.IMAGE_GENERATION, reader=ImagesReader)
VIDEOS = Endpoint(name="openai.videos", operation=Operation.VIDEO_GENERATION, reader=VideosReader)
TRANSCRIPTIONS = Endpoint(
    name="openai.audio.transcriptions",
    operation=Operation.TRANSCRIPTION,
    reader=TranscriptionReader,
)
SPEECH = Endpoint(name="openai.audio.speech", operation=Operation.SPEECH, reader=SpeechReader)
ROUTES = (
    EndpointPath("/images/(?:generations|edits|variations)", IMAGES),
    EndpointPath("/videos(?:/[^/]+/remix)?", VIDEOS),
    EndpointPath("/audio/(?:transcriptions|translations)", TRANSCRIPTIONS),
    EndpointPath("/audio/speech", SPEECH),
)
