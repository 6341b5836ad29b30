#!/usr/bin/env bash
# Registries in buckets, against independent servers: moto's S3 (publish, pull, two concurrent
# publishers, mirrors to and from it), s3rver, which ignores If-None-Match and must be refused, and
# azurite for az://. No server for gs:// is available. Installs them with pip and npm below WORK; all of
# them listen on 127.0.0.1 only.
# usage: interop/stores.sh ISN WORK        (an isn with the feature cloud)
set -euo pipefail
isn=$(realpath "$1") work=$2/stores
here=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$work" && cd "$work"
export ISN_HOME=$work/home
unset ISN_REGISTRY AWS_PROFILE
servers=()
trap '[ ${#servers[@]} = 0 ] || kill "${servers[@]}" 2>/dev/null || true' EXIT

port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
wait_for() { # port name
    for _ in $(seq 300); do
        (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null && return
        sleep 0.1
    done
    echo "FAILED: $2 does not listen after 30 seconds"; cat "$2.log"; exit 1
}
fails() { # code text command...
    local code=$1 text=$2 got=0; shift 2
    "$@" >said 2>&1 || got=$?
    [ $got = "$code" ] && grep -qF "$text" said && return
    echo "FAILED: '$*' gave $got, expected $code and '$text':"; cat said; exit 1
}
count() { python3 - "$1" "$2" <<'PYTHON'
import json, sys
print(json.loads(open(sys.argv[1]).read().splitlines()[-1])[sys.argv[2]])
PYTHON
}

python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check 'moto[server]' boto3
npm install --silent --no-audit --no-fund --prefix node s3rver azurite >npm.log 2>&1 || { cat npm.log; exit 1; }

# Two versions of a dataset, the second with one more image; and one of 40 MB, whose shards
# are uploaded in parts.
python3 - <<'PYTHON'
import random, struct, zlib
from pathlib import Path
def png(seed, side):
    noise = random.Random(seed)
    rows = b"".join(b"\0" + noise.randbytes(3 * side) for _ in range(side))
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    head = chunk(b"IHDR", struct.pack(">2I5B", side, side, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b"")
def recipe(name, version, side):
    Path(f"{name}-{version}.toml").write_text(f'''format = "isn-recipe/1"
name = "{name}"
version = "{version}"
title = "Noise"
description = "For tests."
licence = "CC0-1.0"
authors = ["isn"]
[source]
kind = "imagefolder"
[image]
size = {side}
[split]
policy = "pool"
val = 0.2
salt = "noise"
[[class]]
id = "ant"
label = "ant"
[[class]]
id = "bee"
label = "bee"
''')
for raw, side, images in (("raw1", 160, 20), ("raw2", 160, 21), ("rawbig", 480, 30)):
    for c, label in enumerate(("ant", "bee")):
        for i in range(images):
            path = Path(raw, label, f"{label}_{i}.png")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(png(1000 * c + i, side))
recipe("noise", "1.0", 160), recipe("noise", "1.1", 160), recipe("big", "1.0", 480)
PYTHON
"$isn" --quiet build noise-1.0.toml --source raw1 --out out1 >/dev/null
"$isn" --quiet build noise-1.1.toml --source raw2 --out out2 >/dev/null 2>said
"$isn" --quiet build big-1.0.toml --source rawbig --out outbig >/dev/null
"$isn" key new me --no-passphrase >/dev/null

echo "- moto's S3"
moto=$(port)
venv/bin/moto_server -H 127.0.0.1 -p "$moto" >moto.log 2>&1 &
servers+=($!)
wait_for "$moto" moto
export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_DEFAULT_REGION=us-east-1 AWS_ENDPOINT_URL=http://127.0.0.1:$moto
s3() { venv/bin/python - "$@" <<'PYTHON'
import sys, boto3
s3, (verb, bucket, *rest) = boto3.client("s3"), sys.argv[1:]
if verb == "make":
    s3.create_bucket(Bucket=bucket)
keys = [o["Key"] for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket) for o in page.get("Contents", [])]
if verb == "keys":
    print("\n".join(keys))
if verb == "etags":
    for key in keys:
        if key.startswith("reg/objects/"):
            print(s3.head_object(Bucket=bucket, Key=key)["ETag"])
PYTHON
}
s3 make isn-first; s3 make isn-second
R=s3://isn-first/reg
fails 6 "s3://isn-first/reg is not a registry" "$isn" list --registry $R
"$isn" --quiet publish out1 --registry $R --key me | tee published
"$isn" --quiet publish out2 --registry $R --key me >/dev/null
"$isn" --quiet publish outbig --registry $R --key me >/dev/null
# An ETag with a hyphen belongs to a multipart upload.
s3 etags isn-first >etags
grep -q -- "-" etags || { echo "FAILED: no object was sent in parts"; exit 1; }
log=$(grep -o 'isn.local/[^ ]*' published | head -1)
"$isn" trust add $R "$log" >/dev/null
for version in noise@1.0 noise@1.1 big@1.0; do
    "$isn" --quiet pull $version --registry $R --no-cache --to "tree-$version" >/dev/null
    "$isn" --quiet verify "tree-$version" --expect $version --registry $R >/dev/null
done
diff <(cd tree-noise@1.0 && find . -type f | sort | xargs sha256sum) \
    <("$isn" --quiet pull noise@1.0 --registry $R --to again >/dev/null && cd again && find . -type f | sort | xargs sha256sum)
"$isn" --quiet yank noise@1.0 --reason "labels are wrong" --registry $R --key me >/dev/null
"$isn" --quiet registry check $R
fails 5 "was not contacted, because isn is offline" "$isn" --offline list --registry $R
# A rebuild-only version: an empty object marks it.
B=s3://isn-first/bare
"$isn" --quiet publish out1 --registry $B --key me --rebuild-only >/dev/null
"$isn" trust add $B "$("$isn" key show me)" >/dev/null
"$isn" --quiet registry check $B | grep -qF "rebuild-only, without images: noise@1.0"
fails 7 "it was published to be built from your own source" "$isn" --quiet pull noise@1.0 --registry $B --no-cache --to bare
"$isn" --quiet pull noise@1.0 --registry $B --no-cache --source raw1 --to bare >/dev/null
diff -r --exclude ISN.json bare tree-noise@1.0

echo "- two homes that publish at once, five datasets each"
cp -r home home2
for name in a1 a2 a3 a4 a5 b1 b2 b3 b4 b5; do
    sed "s/name = \"noise\"/name = \"$name\"/" noise-1.0.toml >$name.toml
    "$isn" --quiet build $name.toml --source raw1 --out out-$name >/dev/null
done
race() { # home names
    local home=$1; shift
    for name in "$@"; do
        ISN_HOME=$home "$isn" --quiet publish out-$name --registry $R --key me >/dev/null || return 1
    done
}
race "$work/home" a1 a2 a3 a4 a5 & one=$!
race "$work/home2" b1 b2 b3 b4 b5 & two=$!
wait $one; wait $two
"$isn" --quiet --json log verify --registry $R >log.json
"$isn" --quiet list --registry $R >listed
for name in a1 a2 a3 a4 a5 b1 b2 b3 b4 b5; do
    grep -q "$name" listed || { echo "FAILED: $name is not listed"; cat listed; exit 1; }
    "$isn" --quiet pull $name@1.0 --registry $R --no-cache --to tree-$name >/dev/null
done
# Owner and release of 2 + 10 names, one more version, one yank: each is in the log once.
[ "$(count log.json size)" = 26 ] || { echo "FAILED: the log has not 26 entries"; cat log.json; exit 1; }

echo "- mirrors: to a folder, on to another bucket, and back"
"$isn" --quiet --json mirror $R folder >mirrored
"$isn" --quiet --json mirror folder s3://isn-second >mirrored2
"$isn" --quiet mirror s3://isn-second back >/dev/null
diff -r -x '.isn-*' folder back
[ "$(count mirrored copied)" = "$(count mirrored2 copied)" ]
"$isn" --quiet --json mirror $R s3://isn-second >mirrored3
[ "$(count mirrored3 copied)" = 0 ] && [ "$(count mirrored3 there)" = "$(count mirrored2 copied)" ]
"$isn" --quiet registry check s3://isn-second
"$isn" --quiet mirror s3://isn-second some noise@1.1 >/dev/null
"$isn" trust add some "$log" >/dev/null
"$isn" --quiet pull noise@1.1 --registry some --no-cache --to tree-some 2>/dev/null >/dev/null
# ISN.json names the registry that the version came from.
diff -r -x ISN.json tree-noise@1.1 tree-some
[ "$(s3 keys isn-first | grep -c isn-probe)" = 0 ] || { echo "FAILED: probes are left"; exit 1; }
fails 5 "is not there: is the bucket's name right?" "$isn" publish out1 --registry s3://isn-nobody --key me

echo "- s3rver, which ignores If-None-Match"
deaf=$(port)
mkdir deaf
node node/node_modules/.bin/s3rver -d deaf -a 127.0.0.1 -p "$deaf" --configure-bucket isn-deaf >s3rver.log 2>&1 &
servers+=($!)
wait_for "$deaf" s3rver
deaf() { AWS_ENDPOINT_URL=http://127.0.0.1:$deaf AWS_ACCESS_KEY_ID=S3RVER AWS_SECRET_ACCESS_KEY=S3RVER "$@"; }
for verb in "publish out1 --key me --registry s3://isn-deaf/reg" "registry init s3://isn-deaf/reg" "mirror folder s3://isn-deaf/reg"; do
    # shellcheck disable=SC2086
    deaf fails 1 "its store ignores If-None-Match" "$isn" $verb
done
[ -z "$(find deaf -type f)" ] || { echo "FAILED: something is left:"; find deaf -type f; exit 1; }

echo "- azurite"
azure=$(port)
mkdir azure
node node/node_modules/.bin/azurite-blob --silent --skipApiVersionCheck --location azure --blobHost 127.0.0.1 --blobPort "$azure" >azurite.log 2>&1 &
servers+=($!)
wait_for "$azure" azurite
export AZURE_STORAGE_USE_EMULATOR=true AZURITE_BLOB_STORAGE_URL=http://127.0.0.1:$azure
# The key of every azurite, as published in its documentation.
cat >container.js <<'JS'
const { StorageSharedKeyCredential, BlobServiceClient } = require("@azure/storage-blob");
const key = new StorageSharedKeyCredential("devstoreaccount1",
  "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==");
new BlobServiceClient(`${process.env.AZURITE_BLOB_STORAGE_URL}/devstoreaccount1`, key).getContainerClient("isn").create()
  .catch((e) => { console.error(String(e)); process.exit(1); });
JS
npm install --silent --no-audit --no-fund --prefix node @azure/storage-blob >>npm.log 2>&1
NODE_PATH=node/node_modules node container.js
"$isn" --quiet publish out1 --registry az://isn/reg --key me >/dev/null
"$isn" --quiet publish out2 --registry az://isn/reg --key me >/dev/null
"$isn" --quiet publish outbig --registry az://isn/reg --key me >/dev/null
"$isn" --quiet registry check az://isn/reg
"$isn" --quiet mirror folder az://isn/mirror >/dev/null
"$isn" --quiet registry check az://isn/mirror

echo "NOT TRIED: gs://, of which there is no server to be had here"
echo "ok: stores"
