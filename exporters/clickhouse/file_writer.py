"""Writes files with the engine that is there anyway, to a disk or to S3: no library of our own.

It streams, and speaks to S3 itself with the credentials that it finds where AWS's tools do, such as
AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY: they are in none of our SQL, and so in no error.
"""

from pathlib import Path

from clickhouse_connect.driver.exceptions import Error as ClientError

from exporters.clickhouse import connection
from exporters.clickhouse.dsn import Dsn
from exporters.clickhouse.migrations import quoted
from exporters.clickhouse.s3_object import S3Object

Target = Path | S3Object
# What is there is replaced at the end.  The default is 500 attempts, with pauses of minutes.
# https://clickhouse.com/docs/operations/settings/settings#s3_retry_attempts
SETTINGS = {
    "engine_file_truncate_on_insert": 1,
    "output_format_parquet_string_as_string": 1,
    "s3_truncate_on_insert": 1,
    "s3_retry_attempts": 4,
    "s3_connect_timeout_ms": 10_000,
}


class NotWritten(OSError):
    """The engine could not write a file; says where to and why."""


def write_parquet(rows: Path, structure: str, to: Target, scratch: Path) -> None:
    """Write a file of JSON lines as Parquet; `structure` has the columns with their types.

    `scratch` is a directory for an engine, if this process has none yet.  Raises NotWritten and
    TransientError.
    """
    columns = quoted(structure)
    _write(to, scratch, f"'Parquet', {columns}", rows, f"'JSONEachRow', {columns}")


def copy_text(file: Path, to: S3Object, scratch: Path) -> None:
    """Copy a file of whole lines, byte for byte.  Raises as `write_parquet` does."""
    _write(to, scratch, "'TSVRaw', 'line String'", file, "'LineAsString', 'line String'")


def _write(to: Target, scratch: Path, written: str, rows: Path, read: str) -> None:
    place = f"s3({quoted(to.url)}" if isinstance(to, S3Object) else f"file({_path(to)}"
    client = connection.connect(Dsn(directory=connection.engine_directory(scratch)))
    try:
        client.command(
            f"INSERT INTO FUNCTION {place}, {written}) SELECT * FROM file({_path(rows)}, {read})",
            settings=SETTINGS,
        )
    except ClientError as error:
        raise NotWritten(f"{to}: {connection.short(error)}") from error
    finally:
        client.close()


def _path(path: Path) -> str:
    """As SQL; the engine takes a relative path to be in its own directory."""
    return quoted(str(path.absolute()))
