#!/bin/sh
# Installs the SDKs of Node that the tests of held calls use, exactly as package-lock.json says, without running any
# package's scripts. OpenAI's stays at the last version that runs on Node 20.
set -eu
cd "$(dirname "$0")"
if [ -f node_modules/.installed ] && cmp -s package-lock.json node_modules/.installed; then
  exit 0
fi
npm ci --ignore-scripts --no-audit --no-fund
cp package-lock.json node_modules/.installed
