"""The same bytes through nginx and through us: each difference has a reason."""

import shutil
from pathlib import Path

import pytest

from support.relay_bench import answering, bench
from trials.bench.launching import Missing
from trials.fuzz.nginx import compare
from trials.fuzz.streams import exchange, joined


@pytest.mark.slow
async def test_every_difference_from_nginx_is_explained() -> None:
    """Four hundred exchanges, cut anywhere; `python -m trials.fuzz.nginx --only SEED` shows one."""
    if shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/bin") is None:
        pytest.skip("nginx is not installed (apt-get install nginx)")
    try:
        known, unknown = await compare(range(1, 401))
    except Missing as missing:
        pytest.skip(str(missing))
    assert unknown == {}
    assert known


def test_exchanges_come_from_seeds() -> None:
    """The same seed makes the same bytes, so a finding can be shown again."""
    for seed in range(50):
        assert exchange(seed) == exchange(seed)
        assert joined(exchange(seed).request)


@pytest.mark.parametrize(
    ("method", "status"), [(b"HEAD", b"200 OK"), (b"GET", b"304 Not Modified")]
)
async def test_what_follows_a_bodyless_answer(tmp_path: Path, method: bytes, status: bytes) -> None:
    """Some servers end an answer without a body with an empty chunk: it passes without that."""
    answer = b"HTTP/1.1 " + status + b"\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    async with bench(tmp_path, answering(answer)) as b:
        for _ in range(2):  # on another connection, since more came than was asked for
            request = method + b" /openai/v1/x HTTP/1.1\r\nHost: x\r\n\r\n"
            response = await b.send(request, bodyless=True)
            assert response.line == b"HTTP/1.1 " + status
