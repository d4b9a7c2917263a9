"""Where a call is served, as far as its address says: prices depend on it.  No I/O."""

import re
from urllib.parse import urlsplit

from pricing.usage import TermValue
from proxy.settings.config import Provider

# OpenAI's regional hosts, https://platform.openai.com/docs/guides/your-data
REGIONAL_HOST = re.compile(r"^(eu|us)\.api\.openai\.com$")
# Vertex names the region in the path, https://cloud.google.com/vertex-ai/docs/reference/rest
LOCATION = re.compile(r"/projects/[^/]+/locations/([a-z0-9-]+)/")


def place_terms(upstream: str, target: str, provider: Provider | None) -> dict[str, TermValue]:
    """The terms `region` and `deployment` of a call, as far as they are known."""
    terms: dict[str, TermValue] = {}
    host = urlsplit(upstream).hostname or ""
    if regional := REGIONAL_HOST.match(host) or LOCATION.search(target):
        terms["region"] = regional[1]
    if provider and provider.region:
        terms["region"] = provider.region
    if provider and provider.deployment:
        terms["deployment"] = provider.deployment
    return terms
