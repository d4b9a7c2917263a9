"""The providers' SDKs, imported when a test first uses one: each takes a second of CPU time.

Every worker collects every test file, so what a file imports is paid for once per worker.
"""

import sys
from importlib.util import LazyLoader, find_spec, module_from_spec
from types import ModuleType
from typing import TYPE_CHECKING


def _on_first_use(name: str) -> ModuleType:
    """The module `name`, whose code runs when an attribute of it is first asked for."""
    if name in sys.modules:
        return sys.modules[name]
    spec = find_spec(name)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"{name} is not installed", name=name)
    spec.loader = LazyLoader(spec.loader)
    module = sys.modules[name] = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if TYPE_CHECKING:
    import anthropic
    import genai_prices
    import openai
    from google import genai
else:
    anthropic = _on_first_use("anthropic")
    genai = _on_first_use("google.genai")
    genai_prices = _on_first_use("genai_prices")
    openai = _on_first_use("openai")

__all__ = ["anthropic", "genai", "genai_prices", "openai"]
