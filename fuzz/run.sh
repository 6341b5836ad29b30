#!/usr/bin/env bash
# Runs every fuzz target, or those named, for a while each, from the seeds of fuzz/seed.sh; as many at a time
# as there are CPUs. After a finding no other begins, and it fails. Without sanitizers: isn has no unsafe
# code, and assertions and overflow checks are on.
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
fuzz() { # TARGET: prints what matters in one piece
    local log=target/$1.log said
    if cargo fuzz run --sanitizer none "$1" -- -max_total_time="$seconds" -timeout=10 -max_len=65536 \
        -print_final_stats=1 >"$log" 2>&1; then
        said=$(grep -E 'DONE|^stat::number_of' "$log")
        printf '== %s\n%s\n' "$1" "$said"
    else
        said=$(tail -n 40 "$log")
        printf '== %s\n%s\nFAILED: %s\n' "$1" "$said" "$1"
        # With this, xargs begins no other.
        return 255
    fi
}
export -f fuzz
export seconds
printf '%s\n' "${targets[@]}" | xargs -P "$(nproc)" -I '{}' bash -c 'fuzz {}'
