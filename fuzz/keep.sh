#!/usr/bin/env bash
# Keeps what fuzzing has found: packs into corpus.tar.gz, for each target, the fewest inputs of at most 4 KiB
# that reach all code that its corpus reaches. seed.sh unpacks it.
# usage: fuzz/keep.sh
set -euo pipefail
cd "$(dirname "$0")"
# cargo-fuzz needs compiler options that are not stable yet.
export RUSTC_BOOTSTRAP=1
kept=$(mktemp -d)
trap 'rm -rf "$kept"' EXIT
mapfile -t targets < <(cargo fuzz list)
for target in "${targets[@]}"; do
    mkdir "$kept/$target"
    # The first corpus of a merge is the one that is filled.
    cargo fuzz run --sanitizer none "$target" "$kept/$target" "corpus/$target" -- -merge=1 -max_len=4096
done
# Always the same bytes for the same inputs.
tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -C "$kept" -cf - . | gzip -9n > corpus.tar.gz
