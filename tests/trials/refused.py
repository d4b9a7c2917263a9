"""What SDKs make of a blocked call: how often they try, what they raise, and when.

`python -m trials.refused CACHE`, with tests/ in PYTHONPATH.  Installs the SDKs into CACHE,
lets each make one call with its defaults on a budget that is spent until the end of the month, and
prints the table in docs/budgets.md.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import replace as changed
from decimal import Decimal
from pathlib import Path

from pricing.budget import Budget
from support.budget_bench import machine_in
from support.relay_bench import answering, bench
from trials.clients import installing

PYTHON = ("openai", "anthropic", "google-genai", "cohere", "boto3")
NODE = ("openai", "@anthropic-ai/sdk", "@google/genai", "ai", "@ai-sdk/openai")
REPEAT_429 = ("Vercel AI SDK (Node)", "cohere (Python)")  # or wait, whatever its headers say
HANGS_S = 60.0
SPENT = Budget(name="spent", limit_usd=Decimal(1), action="block", period="month")
BRIEF = changed(SPENT, action="throttle")
CHAT = """{ model: "gpt-4.1", messages: [{ role: "user", content: "hi" }] }"""
NODE_TELLS = """
} catch (error) {
  const told = error.lastError ?? error;
  const status = told.status ?? told.statusCode;
  console.log(JSON.stringify([`${error.constructor.name} ${status}`, String(told.message)]));
}
"""
PYTHON_TELLS = """
except Exception as error:
    answer = getattr(error, "response", None)
    status = getattr(error, "status_code", None) or getattr(error, "code", None)
    if isinstance(answer, dict):
        status = answer["ResponseMetadata"]["HTTPStatusCode"]
    print(json.dumps([f"{type(error).__name__} {status}", str(error)]))
"""
# Name → the language, and what makes one call.
CALLS = {
    "openai (Python)": (
        "python",
        'import openai\nopenai.OpenAI().chat.completions.create(model="gpt-4.1", '
        'messages=[{"role": "user", "content": "hi"}])',
    ),
    "anthropic (Python)": (
        "python",
        'import anthropic\nanthropic.Anthropic().messages.create(model="claude-sonnet-4-5", '
        'max_tokens=10, messages=[{"role": "user", "content": "hi"}])',
    ),
    "google-genai (Python)": (
        "python",
        'import os\nfrom google import genai\noptions = {"base_url": os.environ["GEMINI"]}\n'
        "client = genai.Client(http_options=options)\n"
        'client.models.generate_content(model="gemini-2.5-flash", contents="hi")',
    ),
    "cohere (Python)": (
        "python",
        'import os, cohere\nclient = cohere.ClientV2("key", base_url=os.environ["COHERE"])\n'
        'client.chat(model="command-a-03-2025", messages=[{"role": "user", "content": "hi"}])',
    ),
    "boto3 (Python)": (
        "python",
        'import os, boto3\nbedrock = boto3.client("bedrock-runtime", region_name="us-east-1", '
        'endpoint_url=os.environ["BEDROCK"])\n'
        'bedrock.converse(modelId="amazon.nova-lite-v1:0", '
        'messages=[{"role": "user", "content": [{"text": "hi"}]}])',
    ),
    "openai (Node)": (
        "node",
        'const { default: OpenAI } = await import("openai");\n'
        f"await new OpenAI().chat.completions.create({CHAT});",
    ),
    "@anthropic-ai/sdk (Node)": (
        "node",
        'const { default: Anthropic } = await import("@anthropic-ai/sdk");\n'
        'await new Anthropic().messages.create({ model: "claude-sonnet-4-5", max_tokens: 10, '
        'messages: [{ role: "user", content: "hi" }] });',
    ),
    "@google/genai (Node)": (
        "node",
        'const { GoogleGenAI } = await import("@google/genai");\n'
        "const ai = new GoogleGenAI({ httpOptions: { baseUrl: process.env.GEMINI } });\n"
        'await ai.models.generateContent({ model: "gemini-2.5-flash", contents: "hi" });',
    ),
    "Vercel AI SDK (Node)": (
        "node",
        'const { generateText } = await import("ai");\n'
        'const { createOpenAI } = await import("@ai-sdk/openai");\n'
        "const openai = createOpenAI({ baseURL: process.env.OPENAI_BASE_URL });\n"
        'await generateText({ model: openai.chat("gpt-4.1"), prompt: "hi" });',
    ),
}


@dataclass(frozen=True)
class Seen:
    """What one client did."""

    client: str
    budget: str
    tries: int
    seconds: float
    error: str  # class and status; "": it hung
    names_budget: bool  # its message does


def script(language: str, call: str) -> str:
    """A program that makes the call and prints what it raised."""
    if language == "node":
        return f"try {{\n{call}\n{NODE_TELLS}"
    lines = "\n".join(f"    {line}" for line in call.splitlines())
    return f"import json\ntry:\n{lines}\n{PYTHON_TELLS}"


async def run(command: list[str], folder: Path, port: int) -> list[str]:
    """What the program printed; [] if it hung."""
    base = f"http://127.0.0.1:{port}"
    environ = os.environ | {
        **{f"{name}_API_KEY": "sk-test" for name in ("OPENAI", "ANTHROPIC", "GEMINI", "GOOGLE")},
        "OPENAI_BASE_URL": f"{base}/openai/v1",
        "ANTHROPIC_BASE_URL": f"{base}/anthropic",
        "GEMINI": f"{base}/gemini",
        "COHERE": f"{base}/cohere",
        "BEDROCK": f"{base}/bedrock",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }
    environ.pop("PYTHONPATH", None)
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *command, cwd=folder, env=environ, stdout=pipe, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), HANGS_S)
    except TimeoutError:
        process.kill()
        await process.wait()
        return []
    found: list[str] = json.loads(output.splitlines()[-1])
    return found


async def look(cache: Path, data: Path, only: str) -> list[Seen]:
    """Every client whose name holds `only`, on every budget."""
    python = installing.python(cache, PYTHON)
    node, folder = installing.node(cache, NODE)
    kinds = {
        "`block`": SPENT,
        "`block`, `status = 402`": changed(SPENT, status=402),
        "`throttle`": BRIEF,
    }
    found = []
    for label, budget in kinds.items():
        for client, (language, call) in CALLS.items():
            if only not in client:
                continue
            path = folder / "call.mjs" if language == "node" else data / "call.py"
            path.write_text(script(language, call))
            command = [node, str(path)] if language == "node" else [str(python), str(path)]
            with machine_in(data / f"{label}{client}".replace("/", "-")) as machine:
                keeper = machine.keeper(budget)
                machine.publish({("spent", ()): "1"})
                async with bench(data, answering(b"HTTP/1.1 500 No\r\n\r\n"), keeper) as b:
                    began = time.monotonic()
                    told = await run(command, path.parent, b.port)
                    tries = len(b.journal.begun)
            seconds = time.monotonic() - began
            error, message = told or ("", "")
            found.append(Seen(client, label, tries, seconds, error, "budget spent" in message))
            print(found[-1], file=sys.stderr)
    return found


def table(found: list[Seen]) -> Iterator[str]:
    """As docs/budgets.md has it: tries, and the error."""
    kinds = list(dict.fromkeys(one.budget for one in found))
    yield f"| client | {' | '.join(kinds)} |"
    yield f"|---|{'---|' * len(kinds)}"
    for client in dict.fromkeys(one.client for one in found):
        cells = []
        for kind in kinds:
            (one,) = (each for each in found if (each.client, each.budget) == (client, kind))
            tries = "once" if one.tries == 1 else f"{one.tries} times"
            cells.append(f"{tries}: `{one.error}`" if one.error else "waits as told")
        yield f"| {client} | {' | '.join(cells)} |"


def main() -> None:
    """Entry point.  Exits with 1 if a blocked call was tried again, hung, or hid its reason."""
    parser = argparse.ArgumentParser(prog="python -m trials.refused")
    parser.add_argument("cache", type=Path, help="where the SDKs are installed")
    parser.add_argument("--client", default="", help="only those whose names hold this")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as data:
        found = asyncio.run(look(options.cache, Path(data), options.client))
    print("\n".join(table(found)))
    blocked = [one for one in found if "block" in one.budget]
    again = [
        one
        for one in blocked
        if not (one.tries == 1 and one.error and one.names_budget)
        and ("402" in one.budget or one.client not in REPEAT_429)
    ]
    for one in again:
        print(f"wrong: {one}", file=sys.stderr)
    sys.exit(1 if again else 0)


if __name__ == "__main__":
    main()
