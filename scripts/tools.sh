#!/usr/bin/env bash
# Makes sure that what a build needs is here; installs what is missing through apt or cargo, and says so.
set -euo pipefail

say() { printf 'tools: %s\n' "$*" >&2; }

apt_install() {
    say "installing $* (apt)"
    if [ "$(id -u)" -ne 0 ]; then sudo=sudo; else sudo=; fi
    $sudo apt-get update -qq
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

command -v cargo >/dev/null || { say "cargo is missing: install Rust 1.95 or newer from https://rustup.rs"; exit 1; }
command -v gcc >/dev/null || apt_install gcc libc6-dev
command -v curl >/dev/null || apt_install curl
command -v cargo-nextest >/dev/null || { say "installing cargo-nextest (cargo)"; cargo install --locked cargo-nextest; }
