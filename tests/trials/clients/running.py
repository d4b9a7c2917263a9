"""Runs one client directly and through the product, and compares the two."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from evaluation.standin import processes
from support import roundtrip
from trials.clients import installing
from trials.clients.listed import Client

CALLS = Path(__file__).with_name("calls")
RUN_TIMEOUT_S = 600.0  # a busy machine takes its time
ERROR_CHARS_MAX = 500
KEY = "sk-standin-clients"
KEPT = ("PATH", "HOME", "LANG", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR")  # of our environment
KEYS = (
    "OPENAI_API_KEY",
    "ANTHROPIC_API_KEY",
    "GEMINI_API_KEY",
    "CO_API_KEY",
    "GROQ_API_KEY",
    "DASHSCOPE_API_KEY",
)
ENVIRONMENT = {
    "NO_PROXY": "127.0.0.1",
    "PYTHONUTF8": "1",
    "PYTHONHASHSEED": "0",  # boto3 lists its features in the order of a set
    "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": KEY,
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    # Without these, some clients would call others than their provider.
    "OPENAI_AGENTS_DISABLE_TRACING": "1",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "AI_SDK_LOG_WARNINGS": "false",
}


class RunError(Exception):
    """A client's script failed; the message has the end of its errors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientResult:
    """The result of one client; `changed` and `wrong` are empty if all is well."""

    name: str
    version: str = ""
    calls: int = 0
    changed: tuple[str, ...] = ()  # requests and results that differ
    wrong: tuple[str, ...] = ()  # in the rows
    skipped: str = ""  # the reason, if it did not run

    @property
    def right(self) -> bool:
        """Whether it ran without a finding."""
        return not (self.skipped or self.changed or self.wrong)


@dataclass(frozen=True, slots=True)
class ClientReady:
    """An installed client: the command that runs its script, where, and its version."""

    command: tuple[str, ...]
    folder: Path | None
    version: str


def prepare(script: Path, packages: tuple[str, ...], cache: Path) -> ClientReady:
    """Install what a client's script needs, the client itself first.  Raises InstallError."""
    if script.suffix == ".py":
        interpreter = installing.python(cache, packages)
        version = installing.python_version(interpreter, packages[0])
        # -P: scripts are named after packages and must not shadow them.
        return ClientReady((str(interpreter), "-P", str(script)), None, version)
    if script.suffix == ".mjs":
        node, folder = installing.node(cache, packages)
        copy = folder / script.name  # Node looks for packages next to the script
        shutil.copyfile(script, copy)
        return ClientReady((node, str(copy)), folder, installing.node_version(folder, packages[0]))
    program = script.stem
    if not shutil.which(program):
        raise installing.InstallError(f"{program} is not installed")
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    return ClientReady(("sh", str(script)), None, said.split()[1])


def run(
    client: Client, ready: ClientReady, upstream: str, served: processes.Serving
) -> ClientResult:
    """Run it both ways; returns the findings."""
    feature = re.sub(r"[^a-z0-9]+", "-", client.name.lower()).strip("-")

    def call(base_url: str, headers: Mapping[str, str]) -> object:
        if headers:  # through the product; not every client can set headers
            host, _, provider = base_url.rpartition("/")
            base_url = f"{host}/~feature={feature}/{provider}"
        arguments = (base_url, *client.arguments)
        environ = environment(client.variables, base_url)
        return output(client.script, ready, arguments, environ)

    try:
        trip = roundtrip.make(
            call, upstream=upstream, served=served, provider=client.provider, feature=feature
        )
    except RunError as failure:
        return ClientResult(name=client.name, version=ready.version, wrong=(str(failure),))
    wrong = roundtrip.mismeasured(trip)
    if not client.priced:
        wrong = [fault for fault in wrong if not fault.startswith("no cost: ")]
    if not trip.behind:
        wrong.append("no call was made")
    return ClientResult(
        name=client.name,
        version=ready.version,
        calls=len(trip.behind),
        changed=tuple(roundtrip.changes(trip, roundtrip.UNCOMPARED | client.fresh)),
        wrong=tuple(wrong),
    )


def environment(variables: Mapping[str, str], base_url: str) -> dict[str, str]:
    """The whole environment of a client's script; `{base}` in a variable is the base URL."""
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    settings = {name: value.format(base=base_url) for name, value in variables.items()}
    return kept | dict.fromkeys(KEYS, KEY) | ENVIRONMENT | settings


def output(
    script: str, ready: ClientReady, arguments: Sequence[str], environ: Mapping[str, str]
) -> object:
    """What a script prints: a JSON value, or a command's text.  Raises RunError."""
    try:
        done = subprocess.run(
            [*ready.command, *arguments],
            cwd=ready.folder,
            env=dict(environ),
            capture_output=True,
            text=True,
            timeout=RUN_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as failure:
        raise RunError(f"{script} did not end in {RUN_TIMEOUT_S:g} s") from failure
    if done.returncode:
        raise RunError(f"{script}: {done.stderr.strip()[-ERROR_CHARS_MAX:]}")
    try:
        return json.loads(done.stdout)
    except ValueError:
        return done.stdout  # a command prints text
