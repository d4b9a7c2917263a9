"""Where `taximeter export --output` writes: a path of this machine, or `s3://BUCKET/KEY`."""

import os
from importlib.util import find_spec
from pathlib import Path

from exporters.clickhouse.file_writer import Target
from exporters.clickhouse.s3_object import PREFIX, parse
from proxy.query.asked import Mistake


def target(text: str) -> Target:
    """What `--output` says.  Raises Mistake, also if nothing here can write to it."""
    if not text.startswith(PREFIX):
        return Path(text)
    needs_engine("storage that speaks S3")
    try:
        return parse(text, os.environ)
    except ValueError as error:
        wrong, _, hint = str(error).partition("; ")
        raise Mistake(wrong, hint, "output") from None


def needs_engine(what: str) -> None:
    """Raises Mistake if chDB is not installed."""
    if find_spec("chdb") is None:
        hint = "install it with pip install 'taximeter[embedded]'"
        raise Mistake(f"{what} is written by chDB, which is not installed", hint, "output")


def within(to: Target, name: str) -> Target:
    """`name` in a directory."""
    return to / name if isinstance(to, Path) else to.beside(name)
