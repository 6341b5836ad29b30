#!/usr/bin/env bash
# Runs every fuzz target, or the named ones, for some time each, with the seeds of fuzz/seed.sh; as many at
# once as there are CPUs. After a finding it starts no other target and fails. Runs without sanitizers: isn
# has no unsafe code, and assertions and overflow checks are on.
# usage: fuzz/run.sh [SECONDS [TARGET]...]
set -euo pipefail
cd "$(dirname "$0")"
seconds=${1:-60}
shift || true
# cargo-fuzz needs compiler options that are not stable yet.
export RUSTC_BOOTSTRAP=1
targets=("$@")
[ ${#targets[@]} -gt 0 ] || mapfile -t targets < <(cargo fuzz list)

mkdir -p target
./seed.sh
fuzz() { # TARGET: prints its summary in one piece
    local log=target/$1.log said
    if cargo fuzz run --sanitizer none "$1" -- -max_total_time="$seconds" -timeout=10 -max_len=65536 \
        -print_final_stats=1 >"$log" 2>&1; then
        said=$(grep -E 'DONE|^stat::number_of' "$log")
        printf '== %s\n%s\n' "$1" "$said"
    else
        said=$(tail -n 40 "$log")
        printf '== %s\n%s\nFAILED: %s\n' "$1" "$said" "$1"
        # This status makes xargs start no other target.
        return 255
    fi
}
export -f fuzz
export seconds
printf '%s\n' "${targets[@]}" | xargs -P "$(nproc)" -I '{}' bash -c 'fuzz {}'
