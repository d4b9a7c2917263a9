# syntax=docker/dockerfile:1
FROM python:3.11-slim-bookworm AS build
WORKDIR /src
RUN python -m venv /opt/taximeter
# Dependencies seldom change: their layer is cached until pyproject.toml does.
COPY pyproject.toml constraints.txt README.md LICENSE ./
RUN /opt/taximeter/bin/pip install --no-cache-dir --disable-pip-version-check \
    --constraint constraints.txt ".[embedded]"
COPY pricing pricing
COPY exporters exporters
COPY proxy proxy
COPY evaluation evaluation
RUN /opt/taximeter/bin/pip install --no-cache-dir --disable-pip-version-check \
    --no-deps --force-reinstall .

FROM python:3.11-slim-bookworm
COPY --from=build /opt/taximeter /opt/taximeter
RUN useradd --system --uid 10001 --home-dir /nonexistent --shell /usr/sbin/nologin taximeter \
 && install -d -o taximeter -g taximeter -m 0700 /data
USER 10001
# In a container the address is the container's own, hence "insecure".  Publish it with care: as
# -p 127.0.0.1:4000:4000, or with TAXIMETER_PROXY_TOKEN and TAXIMETER_CONSOLE_TOKEN (or …_TOKEN_FILE).
ENV PATH=/opt/taximeter/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    TAXIMETER_DATA=/data \
    TAXIMETER_PROXY_HOST=0.0.0.0 \
    TAXIMETER_PROXY_INSECURE=true \
    TAXIMETER_CONSOLE_HOST=0.0.0.0 \
    TAXIMETER_CONSOLE_INSECURE=true \
    TAXIMETER_LAME_DUCK_S=5
VOLUME /data
EXPOSE 4000 4001
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["python", "-c", \
  "import urllib.request as u; u.urlopen('http://127.0.0.1:4000/readyz', timeout=4)"]
# Calls in flight may finish: give `docker stop` drain_timeout_s and 40 s more, with --time.
STOPSIGNAL SIGTERM
ENTRYPOINT ["taximeter"]
CMD ["serve"]
