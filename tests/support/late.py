"""Libraries that are imported when a test first uses one, since each takes a second of CPU time.

Every worker collects every test file, so what a file imports is paid for once per worker.
"""

from importlib import import_module
from importlib.util import find_spec


class Late:
    """Stands for the module `name`, whose code runs when a public name of it is first asked for.

    `LazyLoader` would not do: pytest asks all that a test file holds for `_mock_name`.
    """

    def __init__(self, name: str) -> None:
        if find_spec(name.partition(".")[0]) is None:
            raise ModuleNotFoundError(f"{name} is not installed", name=name)
        self._name = name

    def __getattr__(self, attribute: str) -> object:
        if attribute.startswith("_"):
            raise AttributeError(attribute)
        found: object = getattr(import_module(self._name), attribute)
        return found
