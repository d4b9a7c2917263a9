"""Makes what tests start independent of how they were started themselves."""

import signal


def reset_in_children() -> None:
    """Let children start with SIGHUP at its default, also if we run under nohup.

    An ignored signal is inherited, and `taximeter serve` keeps ignoring it; a handler is not, and
    this one still outlives the terminal.
    """
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: None)
