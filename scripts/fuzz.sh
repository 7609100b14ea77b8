#!/usr/bin/env bash
# Each fuzz target for FUZZ_SECONDS with libFuzzer (TARGETS="form html" picks some). Runs on stable: the flags are what
# cargo-fuzz passes, without a sanitizer, which there is nothing for in code that forbids `unsafe`. Needs a C++ compiler.
set -euo pipefail
cd "$(dirname "$0")/../fuzz"
host=$(rustc -vV | sed -n 's/^host: //p')
found=$PWD/artifacts
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}/fuzz
export RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing -Cdebug-assertions"
# With --target, so that build scripts and macros are built without these flags.
cargo build --release --target "$host"
mkdir -p "$found"
failed=0
for target in ${TARGETS:-$(ls seeds)}; do
  mkdir -p "corpus/$target"
  echo "== $target"
  "$CARGO_TARGET_DIR/$host/release/$target" "corpus/$target" "seeds/$target" -max_total_time="${FUZZ_SECONDS:-30}" \
    -max_len=4096 -timeout=20 -rss_limit_mb=1024 -artifact_prefix="$found/$target-" -verbosity=0 -print_final_stats=1 \
    2>&1 | grep -E "^stat::(number_of_executed_units|peak_rss_mb)|ERROR|panicked|Test unit" || true
  if compgen -G "$found/$target-*" > /dev/null; then failed=1; fi
done
exit $failed
