#!/bin/sh
# Installs what builds the web interface, exactly as package-lock.json says, without running any package's scripts.
# `--check` only says whether Node and npm are there and new enough.
set -eu
cd "$(dirname "$0")"
major=$(node --version 2>/dev/null | sed 's/^v\([0-9]*\).*/\1/')
if [ "${major:-0}" -lt 20 ] || ! command -v npm >/dev/null; then
  [ "${1:-}" = --check ] || echo "ui: Node 20 or newer and npm are needed: https://nodejs.org" >&2
  exit 1
fi
[ "${1:-}" != --check ] || exit 0
if [ -f node_modules/.installed ] && cmp -s package-lock.json node_modules/.installed; then
  exit 0
fi
npm ci --ignore-scripts --no-audit --no-fund
cp package-lock.json node_modules/.installed
