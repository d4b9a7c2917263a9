"""Turns a command's exceptions into messages and exit codes."""

import sys

from pricing import TariffError
from proxy.commands import terminal
from proxy.commands.terminal import Exit
from proxy.settings.sources import SettingsError


def exit_code(error: Exception, *, as_json: bool) -> Exit | None:
    """Print what is wrong and return the exit code; None for a bug, which needs its traceback."""
    if isinstance(error, SettingsError):
        if as_json:
            terminal.emit({"mistakes": error.mistakes})
        for mistake in error.mistakes:
            terminal.say(mistake, sys.stderr)
        return Exit.MISTAKE
    if isinstance(error, TariffError | OSError | ModuleNotFoundError):
        terminal.say(str(error), sys.stderr)
        return Exit.MISTAKE
    return None
