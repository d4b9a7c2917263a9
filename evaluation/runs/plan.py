"""What a run will ask, of whom, and what that can cost at most.  No I/O."""

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import msgspec

from evaluation.checks import kinds
from evaluation.checks.case import Answer, Case, digest
from evaluation.checks.judged import MAX_TOKENS as JUDGE_TOKENS
from evaluation.checks.judged import Judged
from evaluation.runs import wire
from evaluation.suites.suite import Suite
from pricing import Meter, TariffBook
from pricing.plan import LOCAL
from pricing.quote import Workload, quotes
from proxy.settings.config import Provider

# A tokenizer that works on bytes gives at most a token a byte; providers add some of their own
# around messages, and Anthropic some hundred for the first tool.
# https://docs.claude.com/en/docs/agents-and-tools/tool-use/overview#pricing
CALL_TOKENS, MESSAGE_TOKENS, TOOLS_TOKENS = 64, 8, 1_000
ANSWER_BYTES_PER_TOKEN = 4  # of an answer that is shown to the judge, by its own tokenizer

Key = tuple[str, str, int]  # model, case id, sample


class PlanError(ValueError):
    """The run cannot be made as asked; the message has a line for each reason."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model behind a configured provider."""

    provider: Provider
    model: str

    @property
    def name(self) -> str:
        return f"{self.provider.name}/{self.model}"

    @property
    def family(self) -> str:
        """Who made the model, as far as its name shows: a judge of the same is no judge."""
        maker, slash, _ = self.model.partition("/")
        return maker.lower() if slash else self.provider.name


@dataclass(frozen=True, slots=True)
class Item:
    """One answer to get."""

    candidate: Candidate
    case: Case
    sample: int

    @property
    def key(self) -> Key:
        return self.candidate.name, self.case.id, self.sample


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A run: a suite, the models that answer it, how often, and who judges."""

    suite: Suite
    candidates: Sequence[Candidate]
    samples: int
    judge: Candidate | None

    @property
    def identity(self) -> str:
        """Equal for the same command over the same cases: such a run can be resumed."""
        judge = self.judge.name if self.judge else ""
        names = sorted(candidate.name for candidate in self.candidates)
        return digest([self.suite.name, self.suite.version, names, self.samples, judge])

    def items(self) -> Iterator[Item]:
        """Everything to ask: models in turn, so that a run that stops early compares them."""
        for sample in range(1, self.samples + 1):
            for case in self.suite.cases:
                for candidate in self.candidates:
                    yield Item(candidate, case, sample)

    def judges(self, candidate: Candidate) -> bool:
        """Whether the judge may judge this candidate."""
        return self.judge is not None and self.judge.family != candidate.family


def candidates(names: str, providers: Mapping[str, Provider]) -> list[Candidate]:
    """The models of `provider/model,…`.  Raises PlanError."""
    found: dict[str, Candidate] = {}
    wrong = []
    for name in filter(None, (name.strip() for name in names.split(","))):
        provider, slash, model = name.partition("/")
        if not slash or not model:
            wrong.append(f"{name}: write PROVIDER/MODEL, such as openai/gpt-5.4-mini")
        elif provider not in providers:
            wrong.append(f"{name}: unknown provider {provider}; known: {', '.join(providers)}")
        elif not wire.speaks(providers[provider]):
            dialects = ", ".join(wire.WRITERS)
            wrong.append(f"{name}: cannot call this dialect; it must be one of {dialects}")
        elif not providers[provider].base_url:
            wrong.append(f"{name}: set providers.{provider}.base_url first")
        else:
            found[name] = Candidate(providers[provider], model)
    if wrong or not found:
        raise PlanError("\n".join(wrong) or "give models: --models PROVIDER/MODEL,PROVIDER/MODEL")
    return list(found.values())


def call_bound(said: wire.Conversation) -> tuple[int, int]:
    """(input, output) tokens of one call, at most."""
    size = sum(len(message.content.encode()) + MESSAGE_TOKENS for message in said.messages)
    tools = len(msgspec.json.encode(said.tools)) + TOOLS_TOKENS if said.tools else 0
    return size + tools + CALL_TOKENS, said.max_tokens


class Prices:
    """The most that calls can cost, by the tariffs in force at one instant."""

    def __init__(self, book: TariffBook, at: datetime) -> None:
        self._book, self._at = book, at
        self._known: dict[tuple[str, str, int, int], Decimal | None] = {}

    def most(self, candidate: Candidate, tokens: tuple[int, int]) -> Decimal | None:
        """USD for one call of so many tokens in and out; None if part of it has no price."""
        if candidate.provider.billing == LOCAL:
            return Decimal(0)
        key = (candidate.provider.name, candidate.model, *tokens)
        if key not in self._known:
            quantities = {Meter.INPUT: tokens[0], Meter.OUTPUT: tokens[1]}
            work = Workload(quantities=quantities, calls=1, at=self._at)
            (quote,) = quotes(self._book, [key[:2]], work)
            self._known[key] = quote.usd if quote.whole else None
        return self._known[key]


@dataclass(frozen=True, slots=True)
class Line:
    """What one model costs at most; `usd` is None if its price is not known."""

    name: str
    calls: int
    usd: Decimal | None


def quoted(plan: Plan, prices: Prices, done: Container[Key] = ()) -> list[Line]:
    """What the run costs at most without retries: each model, then the judge.

    Answers in `done` are there already.
    """
    lines = []
    judge_calls, judge_usd = 0, Decimal(0) if plan.judge else None
    for candidate in plan.candidates:
        calls, usd = 0, Decimal(0)
        known = True
        for case in plan.suite.cases:
            keys = ((candidate.name, case.id, number + 1) for number in range(plan.samples))
            times = sum(key not in done for key in keys)
            for tokens in _calls(case):
                calls += times
                cost = prices.most(candidate, tokens)
                known = known and cost is not None
                usd += times * (cost or 0)
            if plan.judge and plan.judges(candidate):
                for tokens in _judgements(case):
                    judge_calls += times
                    cost = prices.most(plan.judge, tokens)
                    if cost is None or judge_usd is None:
                        judge_usd = None
                    else:
                        judge_usd += times * cost
        lines.append(Line(candidate.name, calls, usd if known else None))
    if plan.judge and judge_calls:
        lines.append(Line(f"{plan.judge.name} (judge)", judge_calls, judge_usd))
    return lines


def _calls(case: Case) -> Iterator[tuple[int, int]]:
    """Bounds of each call of a case: in a script, earlier answers are read again."""
    earlier = 0
    for at in case.script:
        said = wire.Conversation(
            model="",
            messages=case.messages[: at + 1],
            max_tokens=case.max_tokens,
            tools=case.tools,
        )
        size, output = call_bound(said)
        yield size + earlier, output
        earlier += output + MESSAGE_TOKENS


def _judgements(case: Case) -> Iterator[tuple[int, int]]:
    longest = Answer(text="x" * case.max_tokens * ANSWER_BYTES_PER_TOKEN)
    for check in case.checks:
        if kinds.is_judged(check):
            assert isinstance(check, Judged)
            for question in check.questions(case, longest):
                yield len(question.encode()) + CALL_TOKENS, JUDGE_TOKENS
