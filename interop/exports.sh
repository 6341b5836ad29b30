#!/usr/bin/env bash
# Exports of demobirds and of a JPEG version, read by the libraries they are for; and the Python package with
# TensorFlow, if interop/python.sh has left its wheel in WORK.
# usage: interop/exports.sh ISN WORK (isn with the feature `parquet`)
set -euo pipefail
cd "$(dirname "$0")/.."
isn=$1 work=$2/exports wheel=$(ls "$2"/wheels/isn-*.whl 2>/dev/null || true)
mkdir -p "$work"
export ISN_HOME="$work/home" TF_CPP_MIN_LOG_LEVEL=3 HF_HUB_OFFLINE=1 HF_HOME="$work/hf" XDG_CACHE_HOME="$work/cache"
pip() { "$1/bin/pip" install -q --disable-pip-version-check "${@:2}"; }

sed 's/^encode = .*/encode = { jpeg = 95 }/; s/^name = .*/name = "jpegbirds"/' registry/recipes/demobirds/recipe.toml >"$work/recipe.toml"
cp registry/recipes/demobirds/*.csv "$work/"
"$isn" demo source "$work/raw" -q >/dev/null
"$isn" build "$work/recipe.toml" --source "$work/raw" --out "$work/out" -q >/dev/null
"$isn" key new me --no-passphrase >/dev/null
"$isn" publish "$work/out" --registry "$work/registry" --key me -q >/dev/null
"$isn" trust add "$work/registry" "$("$isn" key show me)" >/dev/null

check() { # python, readers
    local python=$1
    shift
    "$python" interop/exports.py "$isn" registry demobirds@1.0 "$work/of-demobirds" "$@"
    ISN_REGISTRY="$work/registry" "$python" interop/exports.py "$isn" "$work/registry" jpegbirds@1.0 "$work/of-jpegbirds" "$@"
}

python3 -m venv "$work/parquet"
pip "$work/parquet" numpy pillow blake3 pyarrow datasets mlcroissant
check "$work/parquet/bin/python" parquet_pyarrow hf_datasets npz_numpy croissant_mlcroissant tar_webdataset
"$work/parquet/bin/mlcroissant" validate --jsonld "$work/of-demobirds/demobirds-croissant/croissant.json" 2>&1 | tail -1
# Such environments have gigabytes.
rm -rf "$work/parquet"

if python3 -c 'import sys; sys.exit(sys.version_info[:2] > (3, 13))'; then
    python3 -m venv "$work/tensorflow"
    pip "$work/tensorflow" tensorflow-cpu tensorflow-datasets pillow blake3
    check "$work/tensorflow/bin/python" tfrecord_tensorflow tfrecord_tensorflow_datasets
    if [ -n "$wheel" ]; then
        pip "$work/tensorflow" "$wheel" pytest
        check "$work/tensorflow/bin/python" npz_isn
        "$work/tensorflow/bin/python" interop/recipes.py tf.data Keras
        tests="$PWD/python/tests/test_dataset.py"
        (cd "$work" && "$work/tensorflow/bin/python" -m pytest -q -p no:cacheprovider "$tests" -k tensorflow | tail -1)
    fi
    rm -rf "$work/tensorflow"
else
    echo "NOT RUN: no TensorFlow for this Python"
fi

has_torch() { /usr/bin/python3 -c 'import torch, torchvision' 2>/dev/null; }
if ! has_torch && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    apt-get install -y -qq --no-install-recommends python3-torchvision python3-venv >/dev/null 2>&1 || {
        apt-get update -qq && apt-get install -y -qq --no-install-recommends python3-torchvision python3-venv >/dev/null; } || true
fi
if has_torch; then
    /usr/bin/python3 -m venv --system-site-packages "$work/torch"
    pip "$work/torch" 'numpy<2' pillow blake3 webdataset mosaicml-streaming
    check "$work/torch/bin/python" imagefolder_torchvision webdataset_webdataset mds_streaming mds_written
else
    echo "NOT RUN: no PyTorch here"
fi
