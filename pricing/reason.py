"""Why a charge is what it is: a closed list, each reason with what it means for the amount.

A reason that is not on the list cannot be given, so none can leave a charge exact by being
forgotten.  docs/reasons.md is drawn from this list.
"""

from enum import Enum, unique


class Effect(Enum):
    """What a reason means for the amount of a charge, from the least to the worst."""

    NONE = "none"  # explains something that does not touch the amount
    FREE = "free"  # says why nobody bills the call; does not touch the amount of one that is billed
    GUESS = "guess"  # the amount is whole, and rests on an assumption
    MISSING = "missing"  # something that is billed is not in the amount: a lower bound
    UNKNOWN = "unknown"  # what the reason is about has no amount at all


NONE, FREE, GUESS, MISSING, UNKNOWN = Effect


@unique
class Reason(Enum):
    """One reason: its effect, and a sentence for people that says what to do if anything can be.

    The text of a reason is its name in lower case: rows keep it, so never rename one.
    """

    effect: Effect
    sentence: str
    text: str

    def __init__(self, effect: Effect, sentence: str) -> None:
        self.effect = effect
        self.sentence = sentence
        self.text = self.name.lower()

    # Why nobody bills the call.
    HTTP_ERROR = FREE, "The provider answered with an error or a redirect, which it does not bill."
    ERROR_IN_BODY = FREE, "The response reports an error; only output made before it is billed."
    REFUSED_BEFORE_OUTPUT = FREE, "The model declined before it made any output, which is free."
    UNREACHABLE = FREE, "Nothing of the request reached the provider, so it bills nothing."
    REFUSED_BY_BUDGET = FREE, "A budget refused the call before anything of it was sent."
    GIVEN_UP = FREE, "The gateway gave the client's call up; its attempts have their own rows."
    TOKEN_COUNTING = FREE, "The call only counts or converts tokens, which is free."
    NO_CHARGE_ENDPOINT = FREE, "Providers do not charge for this kind of call."
    NO_USAGE_STATED = FREE, "The call states neither usage nor cost."
    FREE_OF_CHARGE = FREE, "The provider offers this endpoint free of charge."
    GATEWAY_CACHE = FREE, "A gateway answered from its own cache, and no provider was called."
    POLL = FREE, "The call only asks whether a job is done."
    CHARGED_WHEN_POLLED = FREE, "It starts a job; the call that fetches the result is charged."
    FETCHED_AGAIN = FREE, "Another call was charged for this response already."
    REPEATS_USAGE = FREE, "The call repeats the usage of one that was charged before."
    BILLED_BY_ITEM = FREE, "Each item of the batch is charged in a row of its own."
    BILLED_BY_RESPONSE = FREE, "Each response of the socket is charged in a row of its own."
    NO_ITEM_SUCCEEDED = FREE, "No item of the batch succeeded, and failed items are free."
    BATCH_RESULTS_ELSEWHERE = FREE, "The batch's results go to a bucket; its cost is in no row."
    FILE_DOWNLOAD = FREE, "The downloaded file is not the output of a batch."
    PLAN = (
        FREE,
        "This flat plan paid for the call; list_usd is what it would cost without the plan.",
    )
    LOCAL = FREE, "A machine of your own served the call; to charge its time, give it a tariff."

    # Explains something.
    CONTAINER_SESSION_ELSEWHERE = NONE, "Another call started, and paid for, the code container."

    # The usage is whole, but counted, or divided among meters or terms by an assumption.
    USAGE_COUNTED = (
        GUESS,
        "The provider reported no usage; tokens were counted by the provider's method.",
    )
    USAGE_ESTIMATED = GUESS, "The provider reported no final usage; tokens were estimated."
    COUNTED = GUESS, "Tokens were counted with this vocabulary, which is the model's own."
    ESTIMATED = GUESS, "Tokens were estimated with this vocabulary; docs/tokens.md has the margins."
    COUNT_TRUNCATED = (
        GUESS,
        "Text beyond metering.count_bytes_max was not counted but extrapolated.",
    )
    IMAGE_SIZE_UNKNOWN = GUESS, "The size of an image is unknown; a usual size was counted."
    MODEL_VOCABULARY_UNKNOWN = (
        GUESS,
        "The model's vocabulary is unknown; tokens were counted with another one.",
    )
    USAGE_NOT_FINAL = GUESS, "The stream ended before its final usage; output so far was counted."
    CUT_SHORT = GUESS, "The stream was cut, so more may be billed than was seen."
    USAGE_SUM_MISMATCH = GUESS, "The reported counts do not add up to the reported total."
    USAGE_NEGATIVE = (
        GUESS,
        "The reported counts contradict each other; a negative one was left out.",
    )
    ITERATIONS_DO_NOT_SUM = GUESS, "The usage is not the sum of its iterations, which were charged."
    CACHE_MODALITY_UNKNOWN = GUESS, "Cached tokens are not split by modality; text was taken first."
    CACHED_MODALITY_ASSUMED = GUESS, "The modality of cached tokens is assumed, not reported."
    CACHE_WRITE_TTL_UNKNOWN = GUESS, "A cache write states no lifetime; the default was assumed."
    CACHE_WRITE_SPLIT_EXCEEDS_TOTAL = GUESS, "Cache writes by lifetime exceed their reported total."
    SERVICE_TIER_NOT_STATED = (
        GUESS,
        "A service tier was asked for; the response does not say which one served it.",
    )
    SERVED_TIER_UNKNOWN = (
        GUESS,
        "A service tier was asked for; Gemini does not say which one served it.",
    )
    SERVED_MODEL_UNKNOWN = (
        GUESS,
        "The model that served has no tariff, so the one asked for was priced; add a tariff.",
    )
    IMAGE_MODEL_UNKNOWN = (
        GUESS,
        "The model of the image tool is unknown; it was priced as image_generation.",
    )
    TRANSCRIPTION_MODEL_UNKNOWN = (
        GUESS,
        "The model that transcribed is unknown; the session's own was priced.",
    )
    GROUNDING_UNIT_UNKNOWN = (
        GUESS,
        "The Gemini generation is unknown; grounded prompts were charged, not searches.",
    )
    SEARCH_RESULTS_MAYBE_FREE = (
        GUESS,
        "Tokens of search results were charged as input, although they may be free.",
    )
    PAGES_COUNTED_FROM_BODY = (
        GUESS,
        "The billed pages are not reported; those returned were counted.",
    )
    FALLBACK_CREDIT_REDEEMED = (
        GUESS,
        "A fallback credit lowers the bill; no count shows by how much.",
    )
    VIDEO_NOT_YET_MADE = (
        GUESS,
        "The video was charged as requested; whether it was made is unknown.",
    )
    REQUEST_BODY_TOO_LARGE = (
        GUESS,
        "The request exceeds metering.document_bytes_max: what it asks for is unknown.",
    )
    REQUEST_DECODED_BODY_TOO_LARGE = (
        GUESS,
        "The decompressed request is too large: see metering.document_bytes_max.",
    )
    REQUEST_CONTENT_ENCODING_UNKNOWN = GUESS, "The content encoding of the request is unknown."
    REQUEST_CONTENT_ENCODING_CORRUPT = GUESS, "The request could not be decompressed in full."
    UNKNOWN_HOLIDAYS = (
        GUESS,
        "The calendar does not cover the day, so a price at peak hours is a guess; extend it.",
    )
    PLAN_UNCLEAR = (
        GUESS,
        "The call came by this plan, and no header says that the plan paid.",
    )
    BEFORE_PRICE_KNOWN = (
        GUESS,
        "The price is known from this day on; add that of earlier calls.",
    )
    UNKNOWN_PROMPT_LENGTH = (
        GUESS,
        "The usage sums up prompts, so a price tier for long prompts may apply to one.",
    )
    REPORTED_COST_ONLY = (
        GUESS,
        "No price is known, so the cost that the provider reported is the charge; add a tariff.",
    )
    ODD_REPORTED_COST = GUESS, "The provider reported an invalid cost, which was ignored."

    # Something that is billed is not in the sum.
    MISSING_RATE = MISSING, "The tariff has no rate for this meter; add one."
    UNKNOWN_TERM = (
        MISSING,
        "The tariff does not know this term; add a rate or factor, or list it in same_price.",
    )
    UNKNOWN_COUNTER = (
        MISSING,
        "Earlier use, which sets a price by volume, was not known; run taximeter reprice.",
    )
    MISSING_CURRENCY = (
        MISSING,
        "No exchange rate is known for that time; add an earlier [[currencies]] entry.",
    )
    QUANTITY_TOO_LARGE = MISSING, "The response states an impossible quantity, which was left out."
    BYTES_DROPPED = MISSING, "Part of the call could not be recorded, so usage may be missing."
    READING_FAILED = (
        MISSING,
        "A bug in Taximeter stopped it from reading all of the call; please report it.",
    )
    BODY_TOO_LARGE = (
        MISSING,
        "Part of the response exceeds metering.document_bytes_max and was not read.",
    )
    BODY_TOO_INTRICATE = MISSING, "The response has too many lines or brackets to read it in full."
    BODY_NOT_JSON = MISSING, "The response starts like JSON and is invalid: it was cut or damaged."
    DECODED_BODY_TOO_LARGE = (
        MISSING,
        "The decompressed response is too large: see metering.document_bytes_max.",
    )
    CONTENT_ENCODING_UNKNOWN = MISSING, "The response's content encoding is unknown."
    CONTENT_ENCODING_CORRUPT = MISSING, "The response could not be decompressed in full."
    EVENT_STREAM_CORRUPT = MISSING, "The event stream is damaged, and its rest could not be read."
    TOO_MANY_PARTS = (
        MISSING,
        "The call states usage more often than can be kept; the rest was not charged.",
    )
    LIMIT_REACHED = (
        MISSING,
        "The response has more of these than can be told apart; the rest was not charged.",
    )
    USAGE_INPUT_MISSING = MISSING, "The reported usage has no input tokens."
    INPUT_TOKENS_NOT_REPORTED = MISSING, "The server did not report the input tokens."
    CONTAINER_TIME_NOT_REPORTED = (
        MISSING,
        "Code ran in a container; its time is billed and not reported.",
    )
    GUARDRAIL_NOT_METERED = MISSING, "A guardrail policy ran that Taximeter has no meter for."
    GUARDRAIL_UNITS_NOT_REPORTED = (
        MISSING,
        'A guardrail ran without reporting units; set "trace" to "enabled" in guardrailConfig.',
    )
    UNKNOWN_USAGE_FIELD = (
        MISSING,
        "The usage holds a quantity that Taximeter does not know, which may be billed; report it.",
    )
    UNKNOWN_MODALITY = MISSING, "The usage holds tokens of a modality that Taximeter does not know."
    UNKNOWN_TOOL = MISSING, "A tool of the provider ran whose fee Taximeter does not know."
    UNKNOWN_OUTPUT_ITEM = (
        MISSING,
        "The response holds an output item that Taximeter does not know, which may bear a fee.",
    )
    TOOL_OF_UNKNOWN_RESPONSE = (
        MISSING,
        "A tool ran while several responses were in progress, and nothing says for which one.",
    )
    BILLED_UNIT_UNKNOWN = MISSING, "The provider billed a unit that Taximeter has no meter for."
    MACHINE_TIME_UNKNOWN = MISSING, "The tariff charges the call's time, which is unknown."
    CACHE_STORAGE_NOT_REPORTED = (
        MISSING,
        "Storing a cache is billed by time, which no response states.",
    )
    IMAGE_TOOL_USAGE_MISSING = MISSING, "The image tool ran, and its usage is not in the response."
    ITEM_WITHOUT_USAGE = MISSING, "An item of the batch succeeded and states no usage."
    RESPONSE_WITHOUT_USAGE = MISSING, "A response of the session completed and states no usage."
    TRANSCRIPTION_WITHOUT_USAGE = MISSING, "Speech was transcribed, and no usage was stated for it."
    AUDIO_NOT_COUNTED = MISSING, "The prompt contains audio, whose tokens could not be counted."
    VIDEO_NOT_COUNTED = MISSING, "The prompt contains video, whose tokens could not be counted."
    DOCUMENT_NOT_COUNTED = (
        MISSING,
        "The prompt contains a document, whose tokens could not be counted.",
    )
    HOSTED_TOOL_NOT_COUNTED = (
        MISSING,
        "The definition of a hosted tool is not public, so it was not counted.",
    )
    STORED_CONTEXT_NOT_COUNTED = (
        MISSING,
        "The provider stores part of the prompt, which could not be counted.",
    )
    OUTPUT_INCOMPLETE = MISSING, "Not all of the output was seen, so not all of it was counted."
    REASONING_NOT_COUNTED = (
        MISSING,
        "The model's reasoning is hidden, so its tokens could not be counted.",
    )
    REQUEST_NOT_COUNTED = MISSING, "The request could not be read, so its tokens were not counted."
    UNRECOGNIZED = (
        MISSING,
        "Another version of Taximeter gave a reason that this one does not know.",
    )

    # Nothing is known of what it would cost.
    UNKNOWN_MODEL = UNKNOWN, "No tariff names this model; add its price: `taximeter tariffs add`."
    NO_PRICE_AT_THE_TIME = UNKNOWN, "The tariff of this model has no price for that time; add one."
    NO_USAGE = UNKNOWN, "The provider reported no usage; without counted tokens, no cost is known."
    NO_RESPONSE = (
        UNKNOWN,
        "The request went out and no response came: what is billed is unknown, and may be nothing.",
    )
    ERROR_WITH_USAGE = UNKNOWN, "The provider's error states usage, so it may have billed the call."
    UNKNOWN_ENDPOINT = UNKNOWN, "The endpoint is unknown, and its response states no usage."
    BACKGROUND_USAGE_COMES_LATER = (
        UNKNOWN,
        "The call starts a job; the call that fetches its result is charged for it.",
    )
    METERING_FAILED = UNKNOWN, "A bug in Taximeter kept it from pricing the call; please report it."

    def __str__(self) -> str:
        return self.text

    @property
    def reason(self) -> "Reason":
        """Itself: a reason is its own cause."""
        return self

    @property
    def detail(self) -> str:
        """What it is about: nothing in particular."""
        return ""
