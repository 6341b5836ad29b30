"""Datasets: what they are, what they give, how they fail."""

import functools
import http.server
import io
import multiprocessing
import os
import pickle
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from blake3 import blake3
from PIL import Image

import isn

PIN = "demobirds@1.0#b3:2a470dfd86048a024c838852321c5f0d12366410cba289fc262d7c3135d3b9a8"


def run(*arguments, check=True):
    done = subprocess.run([sys.executable, "-m", "isn", *map(str, arguments)], capture_output=True, text=True)
    assert not check or done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="session")
def tree(tmp_path_factory):
    """The same as a folder, as the command pulls it."""
    to = tmp_path_factory.mktemp("tree") / "demobirds"
    run("pull", "demobirds@1.0", "--to", to, "--quiet")
    return to


def test_import_is_light():
    code = "import sys, isn; assert not {'numpy', 'torch', 'PIL'} & set(sys.modules), sorted(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_it_is(train):
    assert (train.name, train.version, train.pin) == ("demobirds", "1.0", PIN)
    assert train.hash == PIN.split("#")[1]
    assert train.classes == sorted(train.classes) and len(train.classes) == 5
    assert train.class_to_idx[train.classes[3]] == 3
    assert train.class_names[0] == "bald eagle" and set(train.groups) == {"birds"}
    assert PIN.replace("#", "\\#") in train.citation
    assert train.licence == "CC0-1.0" and train.title.startswith("DemoBirds")


def test_it_is_the_tree_that_the_command_pulls(train, tree):
    everything = isn.load(PIN)
    assert len(everything) == 203 and len(train) == 163
    assert len(isn.load("demobirds", split=["train", "val"])) == 203
    files = sorted(str(p.relative_to(tree)) for p in tree.glob("*/*/*"))
    assert everything.paths == files
    raw = isn.load("demobirds@1.0", decode="bytes")
    for number, path in enumerate(files):
        image, label = everything[number]
        assert label == everything.targets[number] == everything.class_to_idx[path.split("/")[1]]
        assert image.dtype == np.uint8 and image.flags.writeable
        assert np.array_equal(image, np.asarray(Image.open(tree / path)))
        assert raw[number][0] == (tree / path).read_bytes()
    assert [Path(path).stem for path in everything.paths] == everything.ids


@pytest.fixture(scope="session")
def build(tmp_path_factory):
    """The same as a build, which nobody has released."""
    work = tmp_path_factory.mktemp("build")
    run("demo", "source", work / "raw", "--quiet")
    run("build", "demobirds", "--source", work / "raw", "--out", work / "birds-build", "--quiet")
    return work / "birds-build"


def test_folders_are_read_where_they_lie(tree, build, tmp_path, monkeypatch):
    everything = isn.load(PIN)
    ids = everything.ids
    monkeypatch.setenv("ISN_REGISTRY", str(tmp_path / "nowhere"))
    unreleased = f"unreleased:demobirds/{everything.hash}"
    for folder, pin in [(tree, PIN), (build, unreleased)]:
        opened = isn.load(folder)
        assert (opened.pin, opened.hash, opened.version) == (pin, everything.hash, "1.0")
        assert pin.replace("#", "\\#") in opened.citation
        assert opened.paths == everything.paths and opened.targets == everything.targets
        assert list(opened.epoch(3)) == list(everything.epoch(3))
        for dataset in (opened, pickle.loads(pickle.dumps(opened))):
            for number in (0, 100, 202):
                assert np.array_equal(dataset[number][0], everything[number][0])
        val = isn.load(str(folder), "val", size=32)
        images = np.concatenate([images for images, _ in val.batches(8, out="numpy")])
        assert images.shape == (40, 32, 32, 3)
    assert isn.load(build).ids == ids
    # From another folder, too, and not once it is another version.
    monkeypatch.chdir(build.parent)
    with pytest.warns(isn.IsnWarning, match="birds-build is taken for the build in this folder"):
        pickled = pickle.dumps(isn.load("birds-build"))
    monkeypatch.chdir(tmp_path)
    assert len(pickle.loads(pickled)) == 203
    damaged = tmp_path / "damaged"
    shutil.copytree(tree, damaged)
    pickled = pickle.dumps(isn.load(damaged))
    (damaged / "classes.csv").write_bytes((tree / "classes.csv").read_bytes() + b"other\n")
    with pytest.raises(isn.IntegrityError):
        pickle.loads(pickled)
    with pytest.raises(isn.NotFoundError, match="nowhere"):
        _ = isn.load(tree).ids


def test_map_style(train):
    assert [label for _, label in train[[5, 3, -1]]] == [train[5][1], train[3][1], train[162][1]]
    assert len(train[10:20]) == 10 and len(train[np.arange(3)]) == 3
    assert np.array_equal(train[10:12][1][0], train[np.int64(11)][0])
    assert sum(1 for _ in train) == 163
    for bad in (163, -164):
        with pytest.raises(IndexError):
            train[bad]


def test_decoding(train):
    torch = pytest.importorskip("torch")
    image = train[7][0]
    tensor = isn.load("demobirds@1.0", "train", decode="torch")[7][0]
    assert tensor.dtype == torch.uint8 and np.array_equal(tensor.permute(1, 2, 0).numpy(), image)


def test_decoding_without_torch(train):
    image = train[7][0]
    picture = isn.load("demobirds@1.0", "train", decode="pil")[7][0]
    assert picture.mode == "RGB" and np.array_equal(np.asarray(picture), image)
    file = isn.load("demobirds@1.0", "train", decode="bytes")[7][0]
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(file))), image)
    half = isn.load("demobirds@1.0", "train", transform=lambda pixels: pixels[::2])[7][0]
    assert np.array_equal(half, image[::2])
    small = isn.load("demobirds@1.0", "train", size=32)
    assert all(image.shape == (32, 32, 3) for image, _ in small)


def test_all_at_once(train):
    images, labels = train.to_numpy(size=32)
    assert images.shape == (163, 32, 32, 3) and labels.tolist() == train.targets
    assert np.array_equal(images[9], isn.load("demobirds@1.0", "train", size=32)[9][0])
    with pytest.raises(isn.IsnError, match="needs a crop"):
        train.to_numpy()


def test_hugging_face(train, monkeypatch, tmp_path):
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path)
    theirs = train.to_hf()
    assert len(theirs) == 163 and train.pin in theirs.info.description
    for (image, label), row in zip(train, theirs):
        assert np.array_equal(np.asarray(row["image"]), image) and row["label"] == label
    assert theirs.features["label"].names == train.classes


def test_tensorflow(train):
    tf = pytest.importorskip("tensorflow")
    theirs = train.to_tf()
    image, label = theirs.element_spec
    assert (image, label) == (tf.TensorSpec((None, None, 3), tf.uint8), tf.TensorSpec((), tf.int64))
    assert theirs.cardinality() == len(train) == sum(1 for _ in theirs)
    for (image, label), (same_image, same_label) in zip(train, theirs.as_numpy_iterator()):
        assert np.array_equal(image, same_image) and label == same_label
    # Whatever the dataset decodes to itself; and where it has a size, batches do without padding.
    sized = isn.load("demobirds@1.0", "val", size=32, decode="pil")
    assert sized.to_tf().element_spec[0].shape == (32, 32, 3)
    (images, labels), *more = sized.to_tf().batch(40).as_numpy_iterator()
    expected, expected_labels = sized.to_numpy()
    assert not more and np.array_equal(images, expected) and np.array_equal(labels, expected_labels)
    with pytest.raises(isn.UsageError, match="map"):
        isn.load("demobirds@1.0", "val", transform=len).to_tf()


def test_classes_are_a_selection_too(train):
    some = isn.load("demobirds@1.0", "train", classes=["n01616318"])
    assert set(some.targets) == {1} and len(some) == 32 and some.classes == train.classes


def test_pickles(train):
    sized = isn.load("demobirds@1.0", "val", size=40, decode="pil")
    again = pickle.loads(pickle.dumps(sized))
    assert (len(again), again.size, again.decode, again.pin) == (40, 40, "pil", PIN)
    assert len(pickle.dumps(sized)) < 1000
    assert np.array_equal(np.asarray(again[3][0]), np.asarray(sized[3][0]))


def _digest(dataset, queue):
    hasher = blake3()
    for image, label in dataset:
        hasher.update(image.tobytes() + bytes([label]))
    queue.put(hasher.hexdigest())


@pytest.mark.parametrize("how", ["fork", "spawn"])
def test_processes(train, how):
    context = multiprocessing.get_context(how)
    train[0]
    queue = context.Queue()
    workers = [context.Process(target=_digest, args=(train, queue)) for _ in range(3)]
    [worker.start() for worker in workers]
    _digest(train, queue)
    digests = {queue.get(timeout=60) for _ in range(4)}
    [worker.join() for worker in workers]
    assert len(digests) == 1


def test_threads_do_not_hold_each_other_up(train):
    """While images are decoded, other threads run."""
    ticks, stop = [0], threading.Event()

    def tick():
        while not stop.is_set():
            ticks[0] += 1
            time.sleep(0)

    # With the GIL held, the ticking thread would run between two calls alone: every switch interval at best.
    sys.setswitchinterval(10)
    thread = threading.Thread(target=tick)
    try:
        thread.start()
        for _ in range(3):
            for _batch in train.batches(64, size=256, out="numpy", threads=1):
                pass
    finally:
        stop.set()
        thread.join()
        sys.setswitchinterval(0.005)
    assert ticks[0] > 100


def test_verify(train):
    for verify, first, second in [("once", 40, 40), ("always", 40, 80), ("never", 0, 0)]:
        val = isn.load("demobirds@1.0", "val", verify=verify)
        list(val)
        assert val._reader.checks == first
        list(val)
        assert val._reader.checks == second


@pytest.fixture()
def folder(tmp_path):
    """A registry of our own in a folder, whose shards can be damaged: built and published by the command in
    the package."""
    out, registry = tmp_path / "out", tmp_path / "registry"
    run("demo", "source", tmp_path / "source", "--quiet")
    recipe = Path(__file__).parents[2] / "registry/recipes/demobirds/recipe.toml"
    run("build", recipe, "--source", tmp_path / "source", "--out", out, "--quiet")
    if not list((Path(os.environ["ISN_HOME"]) / "keys").glob("test*")):
        run("key", "new", "test", "--no-passphrase")
    run("publish", out, "--registry", registry, "--key", "test", "--quiet")
    key = run("key", "show", "test").stdout.strip().splitlines()[-1]
    return registry, key


def test_damage_is_an_error_and_not_an_image(folder):
    registry, _key = folder
    with pytest.raises(isn.TrustError) as refused:
        isn.load("demobirds@1.0", registry=registry)
    assert "isn trust add" in refused.value.help and refused.value.exit_code == 4
    # The pin needs no key.
    whole = isn.load(PIN, registry=registry)
    pixels = [image.tobytes() for image, _ in whole]
    (shard,) = [p for p in registry.glob("objects/*/*") if "tar" in p.name]
    contents = bytearray(shard.read_bytes())
    contents[len(contents) // 2] ^= 1
    shard.write_bytes(contents)
    for verify in ("once", "always"):
        damaged, refused = isn.load(PIN, registry=registry, verify=verify), 0
        for number, expected in enumerate(pixels):
            try:
                assert damaged[number][0].tobytes() == expected
            except isn.IntegrityError as error:
                assert str(shard) in str(error) and error.exit_code == 3
                refused += 1
        assert refused == 1
        with pytest.raises(isn.IntegrityError):
            list(damaged.batches(16, size=32, out="numpy", shuffle="none"))


def test_a_damaged_table_is_made_anew(tmp_path, monkeypatch):
    monkeypatch.setenv("ISN_HOME", str(tmp_path / "home"))
    whole = isn.load(PIN)
    (table,) = (tmp_path / "home/cache/tables").glob("*")
    good, paths, targets, found = table.read_bytes(), whole.paths, whole.targets, 0
    pixels = [image.tobytes() for image, _ in whole]
    # At once, or when it is found out: in the second group of the list, and in the rows.
    for at in (0, 20, (16 << 10) + 100, len(good) * 3 // 4, len(good) - 60, len(good) - 1):
        table.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
        damaged = isn.load(PIN)
        assert damaged.targets == targets
        if table.read_bytes() == good:
            assert damaged.paths == paths
        else:
            found += 1
            with pytest.raises(isn.IntegrityError, match="table is damaged") as refused:
                list(damaged)
            assert refused.value.exit_code == 3 and not table.exists()
            with pytest.raises(isn.IntegrityError, match="table is damaged"):
                _ = damaged.paths
        again = isn.load(PIN)
        assert again.paths == paths and [image.tobytes() for image, _ in again] == pixels
        assert table.read_bytes() == good
    assert found == 2
    table.write_bytes(good[:1000])
    assert len(isn.load(PIN)) == 203
    # One that is cut while it is read is an error, in every process.
    cut = isn.load(PIN)
    os.truncate(table, 100)
    with pytest.raises(isn.IntegrityError, match="cannot be read"):
        _ = cut.paths
    assert cut.targets == targets and isn.load(PIN).paths == paths


def test_over_http_and_then_without(folder):
    registry, _ = folder

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    handler = functools.partial(Quiet, directory=str(registry))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.handle_error = lambda *_: None
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    with pytest.raises(isn.NetworkError):
        isn.load(PIN, registry=url, offline=True)
    part = isn.load(PIN, "val", registry=url, quiet=True)
    assert len(part) == 40 and len(list(part)) == 40
    everything = isn.load(PIN, registry=url, quiet=True)
    server.shutdown()
    server.server_close()
    expected = [image.tobytes() for image, _ in isn.load(PIN)]
    # From pieces in the cache, in other processes too.
    with pytest.warns(isn.IsnWarning, match="was passed over, which a pin allows"):
        offline = isn.load(PIN, registry=url, offline=True)
    for dataset in (everything, pickle.loads(pickle.dumps(everything)), offline):
        assert [image.tobytes() for image, _ in dataset] == expected
    assert len(everything.ids) == 203
    pieces = sorted((Path(os.environ["ISN_HOME"]) / "cache/pieces").glob("*/*/*"))
    assert pieces
    contents = bytearray(pieces[0].read_bytes())
    contents[len(contents) // 2] ^= 1
    pieces[0].write_bytes(contents)
    with pytest.raises(isn.IntegrityError) as damaged:
        list(pickle.loads(pickle.dumps(everything)))
    assert str(pieces[0]) in str(damaged.value) and "checks every image" in damaged.value.help
    assert not pieces[0].exists()
    # Now it is not there, and may not be fetched.
    with pytest.raises(isn.NetworkError):
        isn.load(PIN, registry=url, offline=True)


def test_a_version_without_images_is_read_from_its_tree(tmp_path, monkeypatch):
    monkeypatch.setenv("ISN_HOME", str(tmp_path / "home"))
    source, out, registry, tree = (tmp_path / name for name in ("source", "out", "registry", "tree"))
    recipe = Path(__file__).parents[2] / "registry/recipes/demobirds/recipe.toml"
    run("demo", "source", source, "--quiet")
    run("build", recipe, "--source", source, "--out", out, "--quiet")
    run("key", "new", "me", "--no-passphrase")
    run("publish", out, "--registry", registry, "--key", "me", "--rebuild-only", "--quiet")
    with pytest.raises(isn.IsnError) as refused:
        isn.load(PIN, registry=registry)
    assert refused.value.exit_code == 7 and "--source DIR" in refused.value.help
    run("pull", PIN, "--registry", registry, "--source", source, "--to", tree, "--quiet")
    expected = [(image.tobytes(), label) for image, label in isn.load(PIN)]
    built = isn.load(PIN, registry=registry)
    for dataset in (built, pickle.loads(pickle.dumps(built))):
        assert [(image.tobytes(), label) for image, label in dataset] == expected
    for (some, _), (others, _) in zip(
        *(ds.batches(50, size=32, out="numpy") for ds in (built, isn.load(PIN)))
    ):
        assert np.array_equal(some, others)
    file = tree / built.paths[7]
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    with pytest.raises(isn.IntegrityError) as damaged:
        isn.load(PIN, registry=registry)[7]
    assert str(file) in str(damaged.value)


def test_errors_are_those_of_the_command(tmp_path):
    for reference, options, kind in [
        ("nothere@1.0", {}, isn.NotFoundError),
        ("demobirds@9.9", {}, isn.NotFoundError),
        ("imagebirds", {}, isn.NotFoundError),
        ("demobirds@1.0", {"registry": str(tmp_path / "none")}, isn.NotFoundError),
        ("demobirds@1.0", {"registry": "http://127.0.0.1:1"}, isn.NetworkError),
        ("demobirds@1.0#b3:" + "0" * 64, {}, isn.IntegrityError),
    ]:
        with pytest.raises(kind) as raised:
            isn.load(reference, **options)
        flags = ["--registry", options["registry"]] if options else []
        said = run("images", reference, *flags, check=False)
        assert said.returncode == raised.value.exit_code
        assert said.stderr.strip().endswith("error: " + str(raised.value)), said.stderr
        assert isinstance(raised.value, isn.IsnError)


def test_what_leaves_a_transform_out_says_so(train):
    flipped = isn.load(PIN, "train", size=8, transform=np.fliplr)
    for use in (lambda: flipped.batches(8), flipped.to_numpy, flipped.to_hf, flipped.to_tf):
        with pytest.raises(isn.UsageError, match="leaves the transform out: load without it, and"):
            use()


def test_arguments(train):
    for wrong in [
        lambda: isn.load("Demo Birds"),
        lambda: isn.load("demobirds@1.0", split="dev"),
        lambda: isn.load("demobirds@1.0", verify="maybe"),
        lambda: isn.load("demobirds@1.0", decode="jpeg"),
        lambda: isn.load("demobirds@1.0", size=0),
        lambda: isn.load("demobirds@1.0", decode="bytes", size=3),
        lambda: train.epoch(0, rank=2, world_size=2),
        lambda: train.epoch(-1),
        lambda: train.epoch(0, seed=1 << 64),
        lambda: train.epoch(0, shuffle="yes"),
        lambda: train.batches(0),
        lambda: train.batches(4, crop="random"),
        lambda: train.batches(4, crop="none", size=3),
        lambda: train.batches(4, crop="middle", size=3),
        lambda: train.batches(4, crop="random", size=3, scale=(0, 1)),
        lambda: train.batches(4, crop="random", size=3, ratio=(2, 1)),
        lambda: train.batches(4, out="jax"),
        lambda: train.batches(4, layout="CHWN"),
    ]:
        with pytest.raises(isn.UsageError):
            wrong()


def test_the_command():
    assert run("--version").stdout.startswith("isn ")
    assert run("info", "demobirds@1.0", "--json").stdout.count(PIN) >= 1
    assert run("pull", "nothere@1.0", check=False).returncode == 6
    assert run("nonsense", check=False).returncode == 2
