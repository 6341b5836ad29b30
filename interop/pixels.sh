#!/usr/bin/env bash
# The golden vectors of isn-px/1 on other CPUs: only the crate isn-pixels, built for each of them and run
# under qemu-user. If real images are available, a sample of them is processed and compared, too. Says loudly
# which CPU it could not run; fails if one gives other bits.
#
# usage: interop/pixels.sh [nehalem] [core2duo] [aarch64] [s390x]      default: all but s390x, whose
# std is built too
#
# Debian 12's packages (its newer Rust is `rustc-web`) are unpacked under target/interop; the machine's own
# toolchain and package lists are left alone. About 600 MB of disk for x86-64 alone, 2 GB with all.
set -euo pipefail
cd "$(dirname "$0")/.."
place=$PWD/target/interop root=$PWD/target/interop/root
data="${ISN_TEST_DATA:-../shared/data}"
cpus=("$@")
[ $# -gt 0 ] || cpus=(nehalem core2duo aarch64)
mkdir -p "$place" "$root"
unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS CARGO_BUILD_TARGET RUSTC_WRAPPER
failed=0 ran=0

# Unpacks Debian packages into $root, once each. Their lists are kept separate, with arm64 beside amd64.
packages() {
    local apt=(-qq -o "Dir::State::lists=$place/lists" -o "Dir::Cache=$place/cache"
        -o APT::Architectures::=amd64 -o APT::Architectures::=arm64 -o "APT::Sandbox::User=$(id -un)")
    local missing=() name
    for name in "$@"; do [ -e "$place/have/$name" ] || missing+=("$name"); done
    [ ${#missing[@]} -gt 0 ] || return 0
    command -v apt-get >/dev/null && command -v dpkg >/dev/null || { echo "no apt-get and dpkg here"; return 1; }
    mkdir -p "$place/lists/partial" "$place/cache/archives/partial" "$place/have" "$place/deb"
    [ -e "$place/lists/done" ] || { apt-get "${apt[@]}" update && touch "$place/lists/done"; } || return 1
    rm -f "$place"/deb/*
    (cd "$place/deb" && apt-get "${apt[@]}" download "${missing[@]}") || { rm -f "$place/lists/done"; return 1; }
    for deb in "$place"/deb/*.deb; do dpkg -x "$deb" "$root" || return 1; done
    for name in "${missing[@]}"; do touch "$place/have/$name"; done
    rm -f "$place"/deb/*
}

# Wraps a program of $root so that it finds the libraries of $root: wrapper NAME PROGRAM [ARGUMENT...]
wrapper() {
    local name=$1 program=$2
    shift 2
    printf '#!/bin/sh\nPATH="%s:$PATH" LD_LIBRARY_PATH="%s" exec "%s" %s "$@"\n' \
        "$root/usr/bin" "$root/usr/lib/x86_64-linux-gnu" "$root/usr/bin/$program" "$*" > "$place/$name"
    chmod +x "$place/$name"
}

# Builds tests and program for a target and sets $tests and $program: build
# TARGET DIRECTORY [CARGO ARGUMENT...]
build() {
    local target=$1 out
    shift
    local cargo=(--package isn-pixels --target-dir "$place/build" --release --locked --target "$target" "$@")
    cargo build --quiet --example pixels "${cargo[@]}" || return 1
    out=$(cargo test --lib --no-run "${cargo[@]}" 2>&1) || { echo "$out"; return 1; }
    tests=$(sed -n 's/^ *Executable .*(\(.*\))$/\1/p' <<< "$out")
    program=$place/build/$target/release/examples/pixels
}

# cross GNU_NAME DEBIAN_NAME [CARGO ARGUMENT...]
cross() {
    local gnu=$1 debian=$2 target=${1/-linux/-unknown-linux} upper
    shift 2
    packages rustc-web libstd-rust-web-1.96 libstd-rust-web-dev libllvm22 libisl23 libmpc3 libmpfr6 libgmp10 \
        libjansson4 binutils-common libbinutils "gcc-12-$gnu" "cpp-12-$gnu" "binutils-$gnu" \
        "libgcc-12-dev-$debian-cross" "libc6-dev-$debian-cross" "libc6-$debian-cross" \
        "linux-libc-dev-$debian-cross" || return 1
    wrapper rustc rustc --sysroot "'$root/usr'"
    wrapper "$gnu-gcc" "$gnu-gcc-12"
    wrapper "$gnu-ar" "$gnu-ar"
    target=${target//-/_} upper=${target^^}
    (
        # In a subshell, so that its settings do not reach the next build.
        export RUSTC="$place/rustc" "CC_$target=$place/$gnu-gcc" "AR_$target=$place/$gnu-ar" \
            "CARGO_TARGET_${upper}_LINKER=$place/$gnu-gcc" \
            "CARGO_TARGET_${upper}_RUSTFLAGS=-Ctarget-feature=+crt-static"
        build "${gnu/-linux/-unknown-linux}" "$@" && declare -p tests program > "$place/built"
    ) || return 1
    source <(sed 's/^declare --/declare -g --/' "$place/built")
}

# Runs $tests and $program with a command, and compares with this machine's results: check CPU COMMAND...
check() {
    local cpu=$1 log="$place/$1.log"
    shift
    if ! "$@" "$tests" golden sources resize > "$log" 2>&1; then
        tail -40 "$log"
        echo "FAILED: $cpu: golden vectors"
        failed=1
        return
    fi
    if ! "$@" "$program" "${sample[@]}" > "$place/$cpu.txt" 2> "$place/$cpu.cpu"; then
        cat "$place/$cpu.cpu"
        echo "FAILED: $cpu: the self-check or a sample image"
        failed=1
        return
    fi
    if [ "$cpu" != native ] && ! cmp "$place/native.txt" "$place/$cpu.txt"; then
        diff "$place/native.txt" "$place/$cpu.txt" | head -10 || true
        echo "FAILED: $cpu: other bits than this machine"
        failed=1
        return
    fi
    ran=$((ran + 1))
    printf 'ok: %-9s %-52s %s; %s images give %s\n' "$cpu" "($(cat "$place/$cpu.cpu"))" \
        "$(sed -n 's/^test result: ok. \([0-9]* passed\).*/\1/p' "$log")" "${#sample[@]}" \
        "$(sha256sum < "$place/$cpu.txt" | cut -c1-16)"
}

# Every image of the vectors, and about fifty real ones if there are any.
mapfile -t sample < <(find crates/isn-pixels/vectors -type f ! -name '*.py' ! -name '*.txt' | LC_ALL=C sort)
if [ -d "$data/ilsvrc-slice" ]; then
    mapfile -t real < <(find "$data/ilsvrc-slice" -name '*.JPEG' | LC_ALL=C sort)
    step=$(((${#real[@]} + 49) / 50))
    for ((i = 0; i < ${#real[@]}; i += step)); do sample+=("${real[i]}"); done
else
    echo "NOT COMPARED: real images, there are none at $data"
fi

host=$(rustc -vV | sed -n 's/^host: //p')
build "$host"
check native env
native_tests=$tests native_program=$program
not_run() { echo "NOT RUN: $1: $2"; }
if [ "$host" != x86_64-unknown-linux-gnu ]; then
    for cpu in "${cpus[@]}"; do not_run "$cpu" "only x86-64 Linux can emulate it here"; done
    cpus=()
elif ! packages qemu-user-static; then
    for cpu in "${cpus[@]}"; do not_run "$cpu" "qemu-user-static could not be fetched"; done
    cpus=()
fi
for cpu in "${cpus[@]}"; do
    case $cpu in
        nehalem | core2duo)
            tests=$native_tests program=$native_program
            # CPU models of qemu: Nehalem has SSE4.1 but not AVX, core2duo has neither.
            check "$cpu" "$root/usr/bin/qemu-x86_64-static" -cpu "${cpu/nehalem/Nehalem}"
            ;;
        aarch64)
            if packages libstd-rust-web-dev:arm64 && cross aarch64-linux-gnu arm64; then
                check aarch64 "$root/usr/bin/qemu-aarch64-static"
            else
                not_run aarch64 "it could not be built"
            fi
            ;;
        s390x)
            export RUSTC_BOOTSTRAP=1
            if packages rust-web-src && cross s390x-linux-gnu s390x -Zbuild-std=std,test; then
                check s390x "$root/usr/bin/qemu-s390x-static"
            else
                not_run s390x "it could not be built"
            fi
            unset RUSTC_BOOTSTRAP
            ;;
        *)
            echo "unknown CPU: $cpu" >&2
            exit 2
            ;;
    esac
done
[ $failed = 0 ] || exit 1
echo "$ran CPUs agree"
