"""How a command says that it was asked wrongly, or that it cannot read what it needs."""

import sys
from collections.abc import Callable
from typing import TypeVar

from exporters.record import TransientError
from proxy.commands import terminal
from proxy.commands.terminal import Exit

T = TypeVar("T")


def attempted(command: str, what: str, make: Callable[[], T | Exit]) -> T | Exit:
    """What `make` made; or why it could not, which has been said, as an exit code.

    `what` is read: the calls.
    """
    try:
        return make()
    except ValueError as error:
        terminal.say(f"{command}: {error}", sys.stderr)
        return Exit.MISTAKE
    except (TransientError, OSError) as error:
        terminal.say(f"Cannot read {what}: {error}", sys.stderr)
        return Exit.FAILED
