#!/usr/bin/env bash
# The Python package. ruff and mypy check its code; one command builds its wheel, and the module's stub
# is compared with the module; the wheel is installed into clean environments of the oldest and the
# newest available Python and tested there, with JAX, Keras and Hugging Face's datasets, and with PyTorch
# if Debian's is installed.
# usage: interop/python.sh WORK
set -euo pipefail
cd "$(dirname "$0")/.."
work=$1
unset ISN_REGISTRY ISN_HOME ISN_CACHE PYTHONPATH

tools="$work/python-tools"
python3 -m venv "$tools"
"$tools/bin/pip" install -q --disable-pip-version-check 'maturin>=1.9,<2' ruff==0.17.6 mypy==2.4.1
(
    cd python
    "$tools/bin/ruff" format -q --check
    "$tools/bin/ruff" check -q
    "$tools/bin/mypy" --no-error-summary
)
# A test build: optimised only where it decodes and hashes. (Users run `pip wheel ./python`.) The main
# package's target folder already has most dependencies.
CARGO_TARGET_DIR="$PWD/target" "$tools/bin/maturin" build -q --profile dev --manifest-path python/Cargo.toml \
    --out "$work/wheels"
wheel=$(ls "$work"/wheels/isn-*.whl)
echo "wheel: $(basename "$wheel"), $(stat -c %s "$wheel") bytes"
"$tools/bin/pip" install -q --disable-pip-version-check "$wheel"
(cd "$work" && "$tools/bin/python" -m mypy.stubtest isn._isn)

# Version and path of every CPython from 3.9 on, once each, ordered by version.
pythons() {
    local candidates=(/usr/bin/python3 "$(command -v python3)" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.*/bin/python3)
    for python in "${candidates[@]}"; do
        [ -x "$python" ] && "$python" -c 'import sys, venv, ensurepip
if sys.version_info >= (3, 9) and sys.implementation.name == "cpython":
    print("%d.%02d" % sys.version_info[:2], sys.executable)' 2>/dev/null
    done | sort -u -k1,1
}
check() { # python, arguments for venv
    venv="$work/python-$(basename "$(dirname "$(dirname "$1")")")-$RANDOM"
    "$@" "$venv"
    "$venv/bin/pip" install -q --disable-pip-version-check "$wheel" numpy pillow pytest blake3
    # Run outside the source folder, so that the installed package is tested.
    (cd "$work" && "$venv/bin/python" -m pytest -q -p no:cacheprovider "$OLDPWD/python/tests" | tail -4)
    "$venv/bin/isn" info demobirds@1.0 >/dev/null
}
oldest=$(pythons | head -1) newest=$(pythons | tail -1)
for one in "$oldest" "$newest"; do
    echo "-- CPython ${one%% *}"
    check "${one##* }" -m venv
    [ "$oldest" = "$newest" ] && break
done

echo "-- Hugging Face, Keras on JAX"
"$venv/bin/pip" install -q --disable-pip-version-check datasets jax keras
(cd "$work" && "$venv/bin/python" -m pytest -q -p no:cacheprovider "$OLDPWD/python/tests" -k hugging_face | tail -1)
KERAS_BACKEND=jax "$venv/bin/python" interop/recipes.py JAX Keras
# Such environments have gigabytes.
rm -rf "$venv"

echo "-- PyTorch"
if ! /usr/bin/python3 -c 'import torch' 2>/dev/null && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    { apt-get install -y -qq --no-install-recommends python3-torch python3-venv || {
        apt-get update -qq && apt-get install -y -qq --no-install-recommends python3-torch python3-venv; }; } >/dev/null 2>&1 || true
fi
if /usr/bin/python3 -c 'import torch' 2>/dev/null; then
    venv="$work/python-torch"
    /usr/bin/python3 -m venv --system-site-packages "$venv"
    "$venv/bin/pip" install -q --disable-pip-version-check "$wheel" pillow pytest blake3
    (cd "$work" && "$venv/bin/python" -m pytest -q -p no:cacheprovider "$OLDPWD/python/tests" | tail -1)
    "$venv/bin/python" examples/birds.py
    "$venv/bin/python" interop/recipes.py torchvision
    # Runs the training script of docs/python.md on two ranks; then again from a checkpoint in the middle of
    # an epoch, with the same result. (Debian's torchrun is broken without --redirects and --tee, and
    # OMP_NUM_THREADS is what it would set.)
    mkdir "$work/train"
    awk '/^# train.py/ { on = 1 } on && /^```/ { exit } on' docs/python.md >"$work/train/train.py"
    for run in first again; do
        (cd "$work/train" && OMP_NUM_THREADS=1 timeout 120 "$venv/bin/python" -m torch.distributed.run --standalone \
            --nproc_per_node 2 --redirects 1 --tee 1 --log_dir "$work/train" train.py) | tee "$work/train/$run"
    done
    [ "$(grep -o 'goes on in epoch 2 after step 4' "$work/train/again" | wc -l)" = 2 ]
    [ "$(grep -o 'accuracy.*' "$work/train/first")" = "$(grep -o 'accuracy.*' "$work/train/again")" ]
else
    echo "NOT RUN: no PyTorch here"
fi
