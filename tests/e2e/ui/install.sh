#!/bin/sh
# Installs what drives the browser in these tests, exactly as package-lock.json says, without running any package's scripts.
set -eu
cd "$(dirname "$0")"
if [ -f node_modules/.installed ] && cmp -s package-lock.json node_modules/.installed; then
  exit 0
fi
npm ci --ignore-scripts --no-audit --no-fund
cp package-lock.json node_modules/.installed
