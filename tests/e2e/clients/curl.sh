#!/bin/sh
# curl sends again on 409 only in a loop: --retry leaves 409 alone, and --retry-all-errors would repeat a denied call too.
set -eu
answer=$(mktemp)
trap 'rm -f "$answer"' EXIT
while
  status=$(curl --silent --show-error --output "$answer" --write-out '%{http_code}' \
    "$OPENAI_BASE_URL/chat/completions" \
    --header "authorization: Bearer $OPENAI_API_KEY" --header 'content-type: application/json' \
    --data '{"model": "'"$1"'", "messages": [{"role": "user", "content": "hello"}]}')
  [ "$status" = 409 ]
do
  sleep 1
done
if [ "$status" != 200 ]; then
  printf '%s ' "$status" >&2
  cat "$answer" >&2
  exit 1
fi
cat "$answer"
