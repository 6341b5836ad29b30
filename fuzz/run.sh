#!/usr/bin/env bash
# Runs every fuzz target, or those named, for a while each, from the seeds of fuzz/seed.sh; a finding ends it with an error.
# Without sanitizers: isn has no unsafe code, and assertions and overflow checks are on.
# usage: fuzz/run.sh [SECONDS [TARGET]...]
set -euo pipefail
cd "$(dirname "$0")"
seconds=${1:-60}
shift || true
# What cargo-fuzz asks of the compiler is not stable yet.
export RUSTC_BOOTSTRAP=1
targets=("$@")
[ ${#targets[@]} -gt 0 ] || mapfile -t targets < <(cargo fuzz list)

mkdir -p target
./seed.sh
for target in "${targets[@]}"; do
    echo "== $target"
    cargo fuzz run --sanitizer none "$target" -- -max_total_time="$seconds" -timeout=10 -max_len=65536 \
        -print_final_stats=1 2>&1 | tee "target/$target.log" | grep -E 'DONE|SUMMARY|panicked|^stat::number_of|error' ||
        { tail -n 40 "target/$target.log"; exit 1; }
done
