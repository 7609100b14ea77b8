#!/bin/sh
# Scores the masker on the evaluation corpora and prints the table: bench/mask/score.sh [BINARY] [CORPUS] [score.py's options]
# The corpora are third-party data beside the checkout; without them this says so and ends well.
set -eu
here=$(cd "$(dirname "$0")/../.." && pwd)
corpora="$here/../shared/corpora"
if [ ! -f "$corpora/score.py" ]; then
    echo "skipped: no corpora in ../shared/corpora"
    exit 0
fi
if [ $# -gt 0 ]; then
    binary=$1
    shift
else
    binary="${CARGO_TARGET_DIR:-$here/target}/release/keyward"
fi
case "${1:-}" in
    "" | --*) corpus="$corpora/dev" ;;
    *) corpus=$1; shift ;;
esac
exec python3 "$corpora/score.py" "$binary" "$corpus" "$@"
