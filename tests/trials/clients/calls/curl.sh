#!/bin/sh
# curl, in the ways that no SDK calls: compressed, in chunks, asking before it sends, in HTTP/1.0.
set -eu
url="$1/v1/chat/completions"
body='{"model":"gpt-5.4-mini","messages":[{"role":"user","content":"time people year"}]}'
call() {
  curl --silent --show-error --fail --noproxy '*' -H 'content-type: application/json' \
    -H "authorization: Bearer $OPENAI_API_KEY" "$@" "$url"
  echo
}
call --compressed -H 'x-standin-encoding: accept' -d "$body"
call -H 'transfer-encoding: chunked' -d "$body"
call -H 'expect: 100-continue' -d "$body"
call --http1.0 -d "$body"
call --no-buffer -d "${body%?},\"stream\":true,\"stream_options\":{\"include_usage\":true}}"
