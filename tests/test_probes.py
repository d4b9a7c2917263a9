"""What clients send to see whether we are there is no failure and costs nothing."""

from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest

from support.product import Product


@pytest.mark.thorough
@pytest.mark.parametrize("method", ["HEAD", "OPTIONS"])
@pytest.mark.parametrize("path", ["anthropic/nowhere", "openai/v1/nowhere"])
def test_a_probe_of_an_unknown_path_is_no_failure(method: str, path: str, product: Product) -> None:
    """Claude Code asks `HEAD /` of its base URL, and takes any answer for a yes."""
    feature = f"probe-{method}-{path.replace('/', '-')}"
    connection = HTTPConnection(urlsplit(product.served.proxy_url).netloc, timeout=60)
    connection.request(method, f"/{path}", headers={"x-taximeter-feature": feature})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    assert answer.status == 404
    (row,) = product.served.calls_when(1, feature=feature)
    assert (row["http_status"], row["outcome"]) == (404, "ok")
    assert (str(row["cost_usd"]), row["cost_status"]) == ("0", "not_billed")


def test_the_same_path_asked_in_earnest_is_a_failure(product: Product) -> None:
    """A GET wants what is there."""
    connection = HTTPConnection(urlsplit(product.served.proxy_url).netloc, timeout=60)
    connection.request("GET", "/openai/v1/nowhere", headers={"x-taximeter-feature": "in-earnest"})
    assert connection.getresponse().status == 404
    connection.close()
    (row,) = product.served.calls_when(1, feature="in-earnest")
    assert row["outcome"] == "http_error"


def test_probes_of_the_bare_address_are_ours(product: Product) -> None:
    """They reach no provider and make no row."""
    before = len(product.served.calls(limit=10_000))
    connection = HTTPConnection(urlsplit(product.served.proxy_url).netloc, timeout=60)
    connection.request("HEAD", "/")
    assert connection.getresponse().status == 200
    connection.close()
    assert len(product.served.calls(limit=10_000)) == before
