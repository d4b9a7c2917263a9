"""A file in S3 or in storage that speaks like it: `s3://BUCKET/KEY`.

The endpoint and the region are those of the environment, by the names that AWS's tools use:
https://docs.aws.amazon.com/sdkref/latest/guide/settings-reference.html (read 2026-11-30).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

PREFIX = "s3://"
ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
REGIONS = ("AWS_REGION", "AWS_DEFAULT_REGION")
REGION = "us-east-1"
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
# The characters of keys that need no escaping; the engine takes `*` and `{}` for patterns.
_KEY = re.compile(r"[A-Za-z0-9!_.'()=/-]{1,1024}")
_REGION = re.compile(r"[a-z0-9-]+")


@dataclass(frozen=True, slots=True)
class S3Object:
    """One object; `str()` of it is `s3://BUCKET/KEY`."""

    bucket: str
    key: str
    endpoint: str

    @property
    def url(self) -> str:
        """Its address with the bucket in the path, as every such storage takes it."""
        return f"{self.endpoint}/{self.bucket}/{self.key}"

    def beside(self, name: str) -> "S3Object":
        """`name` in what this one names as a directory."""
        return S3Object(self.bucket, f"{self.key.rstrip('/')}/{name}", self.endpoint)

    def __str__(self) -> str:
        return f"{PREFIX}{self.bucket}/{self.key}"


def parse(text: str, environ: Mapping[str, str]) -> S3Object:
    """Read `s3://BUCKET/KEY`.  Raises ValueError with what to do."""
    bucket, _, key = text.removeprefix(PREFIX).partition("/")
    if not _BUCKET.fullmatch(bucket):
        raise ValueError(f"{text} names no bucket; write {PREFIX}BUCKET/KEY")
    if not _KEY.fullmatch(key):
        raise ValueError(f"{text} has no key, or odd characters in it; write {PREFIX}BUCKET/KEY")
    return S3Object(bucket, key, _endpoint(environ))


def _endpoint(environ: Mapping[str, str]) -> str:
    for name in ENDPOINTS:
        if text := environ.get(name, "").rstrip("/"):
            parts = urlsplit(text)
            if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
                raise ValueError(f"{name} is no address; write https://HOST, without a password")
            return text
    region = next((found for name in REGIONS if (found := environ.get(name))), REGION)
    if not _REGION.fullmatch(region):
        raise ValueError(f"{' or '.join(REGIONS)} is not the name of a region")
    return f"https://s3.{region}.amazonaws.com"
