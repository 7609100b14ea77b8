#!/usr/bin/env bash
# Installs what the bench compares Keyward with (scripts/peers.sh), and wrk (apt), which loads them.
# A second run finds it there and does nothing.
set -euo pipefail

"$(cd "$(dirname "$0")/../.." && pwd)/scripts/peers.sh"
if ! command -v wrk >/dev/null; then
    printf 'bench: installing wrk (apt)\n' >&2
    if [ "$(id -u)" -ne 0 ]; then sudo=sudo; else sudo=; fi
    $sudo apt-get update -qq
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends wrk >/dev/null
fi
