"""Runs tests against a mutant, in a fork that imports it in place of the file on disk.

The parent imports no code under test, only pytest and what takes long to import, so that a verdict
costs what its tests take.  A fork that runs out of processor time or memory is a mutant that tests
notice: it loops.
"""

import gc
import importlib
import os
import resource
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from pathlib import Path
from types import ModuleType
from typing import NoReturn

import pytest
from hypothesis import HealthCheck, Phase, settings

from trials.mutation.mutants import Mutant

CPU_S_MAX = 5
MEMORY_BYTES_MAX = 1 << 30  # of address space
PLUGINS = ("pytest_asyncio.plugin", "_hypothesis_pytestplugin")
EXAMPLES = 25  # of a property that does not say how many it wants
IMPORTED = ("msgspec", "rich.console", "rich.progress", "tiktoken", *PLUGINS)
OPTIONS = (
    *("-x", "-q", "--noconftest", "-m", "not slow", "--assert=plain", "-p", "no:cacheprovider"),
    *("-p", "no:unraisableexception", "-p", "no:threadexception"),  # collect all garbage, slowly
    *(f"-p{plugin}" for plugin in PLUGINS),
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Which test file noticed a mutant; "" if none did."""

    noticed_by: str


def prepare() -> None:
    """Import what every fork needs, and make properties small and the same each time."""
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    for name in IMPORTED:
        importlib.import_module(name)
    settings.register_profile(
        "mutation",
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )
    settings.load_profile("mutation")
    sys.dont_write_bytecode = False  # of what is not changed; a mutant is compiled from its text
    gc.freeze()


def verdict(root: Path, tests: Sequence[str], mutant: Mutant | None) -> Verdict:
    """Run test files in turn until one fails; None is the code as it is."""
    readable, writable = os.pipe()
    process = os.fork()
    if not process:
        os.close(readable)
        _in_fork(root, tests, mutant, writable)
    os.close(writable)
    with os.fdopen(readable) as stream:
        begun = stream.read().splitlines()
    _, status = os.waitpid(process, 0)
    if os.waitstatus_to_exitcode(status) == 0:
        return Verdict("")
    return Verdict(begun[-1] if begun else tests[0])


def _in_fork(root: Path, tests: Sequence[str], mutant: Mutant | None, report: int) -> NoReturn:
    """Exits with 0 if all tests pass."""
    code = 1
    try:
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_S_MAX, CPU_S_MAX))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))
        null = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(null, stream)
        if mutant is not None:
            sys.meta_path.insert(0, _Finder(root, mutant))
        for test in tests:
            os.write(report, f"{test}\n".encode())
            code = pytest.main([*OPTIONS, f"--rootdir={root}", str(root / test)])
            if code:
                break
    finally:
        os._exit(code)


class _Finder(Loader):
    """Finds one module: the mutant."""

    def __init__(self, root: Path, mutant: Mutant) -> None:
        self._path = root / mutant.change.module
        self._name = mutant.change.module.removesuffix(".py").replace("/", ".")
        self._text = mutant.text

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """As the import system asks for it."""
        if name != self._name:
            return None
        return spec_from_loader(name, self, origin=str(self._path))

    def create_module(self, spec: ModuleSpec) -> None:
        """The usual kind of module."""

    def exec_module(self, module: ModuleType) -> None:
        """Run the mutant's text."""
        module.__file__ = str(self._path)  # the book finds the shipped tariffs beside it
        exec(compile(self._text, str(self._path), "exec"), module.__dict__)
