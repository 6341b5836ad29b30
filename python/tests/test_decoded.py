"""``cache="decoded"``: the pixels of images, kept in one file and copied from there."""

import multiprocessing
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import isn
from test_dataset import PIN, run


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache of its own for each test."""
    monkeypatch.setenv("ISN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def decoded_file(cache):
    (file,) = (cache / "decoded").glob("*")
    return file


def same(one, other):
    return all(a.tobytes() == b.tobytes() and la == lb for (a, la), (b, lb) in zip(one, other))


@pytest.fixture(scope="module")
def kinds(tmp_path_factory):
    """The version in the package, and one whose images are JPEGs of several sizes."""
    work = tmp_path_factory.mktemp("kinds")
    run("demo", "source", work / "source", "--quiet")
    recipe = (Path(__file__).parents[2] / "registry/recipes/demobirds/recipe.toml").read_text()
    recipe = recipe.replace('encode = "png"', "encode = { jpeg = 90 }")
    shutil.copy(Path(__file__).parents[2] / "registry/recipes/demobirds/corrections.csv", work)
    (work / "recipe.toml").write_text(recipe)
    run("build", work / "recipe.toml", "--source", work / "source", "--out", work / "build", "--quiet")
    assert isn.load(work / "build", decode="bytes")[0][0][:2] == b"\xff\xd8"
    return [PIN, str(work / "build")]


@pytest.mark.parametrize("size", [None, 40])
@pytest.mark.parametrize(
    "part", [{}, {"split": "val"}, {"split": ["train", "val"], "classes": ["n01616318"]}]
)
def test_the_same_as_without(kinds, size, part):
    for reference in kinds:
        plain = isn.load(reference, size=size, **part)
        kept = isn.load(reference, size=size, cache="decoded", quiet=True, **part)
        assert len(plain) == len(kept) and same(plain, kept) and same(plain, kept)
        image, _ = kept[0]
        assert image.dtype == np.uint8 and image.flags.writeable and image.flags.c_contiguous
        # What is done to an array is not done to the file.
        image[:] = 7
        assert not (kept[0][0] == 7).all() and same(plain, kept)
        assert kept[-1][0].tobytes() == plain[-1][0].tobytes() and len(kept[1:3]) == 2
        for options in (
            {"size": 40},
            {"size": 40, "flip": True},
            {"size": (24, 32)},
            {"size": 33, "crop": "random", "flip": True},
        ):
            for layout in ("NCHW", "NHWC"):
                both = (
                    ds.batches(16, out="numpy", layout=layout, epoch=2, **options) for ds in (plain, kept)
                )
                for (images, labels), (others, other_labels) in zip(*both):
                    assert np.array_equal(images, others) and np.array_equal(labels, other_labels)


def test_other_forms(kinds):
    for options in (
        {"decode": "pil"},
        {"decode": "pil", "size": 24},
        {"transform": lambda image: image[::2]},
    ):
        plain = isn.load(PIN, "val", **options)
        kept = isn.load(PIN, "val", cache="decoded", quiet=True, **options)
        assert all(np.array_equal(one, other) for (one, _), (other, _) in zip(plain, kept))
    kept = isn.load(PIN, "val", size=24, cache="decoded")
    assert np.array_equal(kept.to_numpy()[0], isn.load(PIN, "val", size=24).to_numpy()[0])
    # A size that is set later is not in the file.
    kept.size = 20
    assert np.array_equal(kept[5][0], isn.load(PIN, "val", size=20)[5][0])


def test_torch(kinds):
    torch = pytest.importorskip("torch")
    from isn.torch import EpochBatches

    for size in (None, 24):
        plain, kept = (isn.load(PIN, "val", size, decode="torch", cache=cache) for cache in (None, "decoded"))
        assert all(torch.equal(one, other) for (one, _), (other, _) in zip(plain, kept))
        assert kept[0][0].stride() == plain[0][0].stride()
    loader = torch.utils.data.DataLoader(kept, batch_size=8, num_workers=2)
    assert torch.equal(
        torch.cat([images for images, _ in loader]), torch.stack([image for image, _ in plain])
    )
    for how in ("fork", "spawn"):
        stream = EpochBatches(kept, 8, seed=3)
        loader = torch.utils.data.DataLoader(
            stream, batch_size=None, num_workers=2, multiprocessing_context=how
        )
        for (images, labels), (others, other_labels) in zip(loader, plain.batches(8, seed=3)):
            assert torch.equal(images, others) and torch.equal(labels, other_labels)


def test_it_is_made_once(cache):
    kept = isn.load(PIN, "val", 40, cache="decoded")
    assert kept._reader.checks == 40
    list(kept), list(kept)
    assert kept._reader.checks == 80
    again = isn.load(PIN, "val", 40, cache="decoded")
    assert again._reader.checks == 0
    list(again), list(again)
    assert again._reader.checks == 40
    for verify, checks in (("always", 80), ("never", 0)):
        opened = isn.load(PIN, "val", 40, cache="decoded", verify=verify)
        list(opened), list(opened)
        assert opened._reader.checks == checks
    # The rest of the version goes into the same file.
    everything = isn.load(PIN, size=40, cache="decoded")
    assert everything._reader.checks == 163
    info = run("cache", "info", "--json").stdout
    assert '"decoded":{"bytes":' in info.replace(" ", "") and decoded_file(cache).exists()
    assert "  decoded " in run("cache", "info").stdout
    run("cache", "verify")


def test_pickles_and_processes(cache):
    kept = isn.load(PIN, "val", cache="decoded")
    expected = [image.tobytes() for image, _ in isn.load(PIN, "val")]
    again = pickle.loads(pickle.dumps(kept))
    assert (again.cache, again._reader.checks) == ("decoded", 0) and len(pickle.dumps(kept)) < 1000
    assert [image.tobytes() for image, _ in again] == expected
    for how in ("fork", "spawn"):
        with multiprocessing.get_context(how).Pool(3) as pool:
            assert pool.map(_bytes, [(kept, image) for image in range(40)]) == expected


def _bytes(asked):
    dataset, image = asked
    return dataset[image][0].tobytes()


def test_damage_is_never_an_image(cache):
    expected = [image.tobytes() for image, _ in isn.load(PIN, "val")]
    isn.load(PIN, "val", cache="decoded")
    file = decoded_file(cache)
    good = file.read_bytes()
    for at in (0, 50, 4095, 4096 + 163 * 48, 4096 + 170 * 48 + 35, len(good) - 70_000, len(good) - 100):
        file.write_bytes(good[:at] + bytes([good[at] ^ 16]) + good[at + 1 :])
        run_verify = run("cache", "verify", check=False)
        kept = isn.load(PIN, "val", cache="decoded", quiet=True)
        assert [image.tobytes() for image, _ in kept] == expected
        assert [image.tobytes() for image, _ in kept] == expected
        assert run_verify.returncode in (0, 3)
        shutil.rmtree(cache / "quarantine", ignore_errors=True)
    last = len(good) - 100
    file.write_bytes(good[:last] + bytes([good[last] ^ 16]) + good[last + 1 :])
    assert run("cache", "verify", check=False).returncode == 3 and not file.exists()
    # The file of other images, under the name of this one.
    isn.load(PIN, "val", 64, cache="decoded")
    decoded_file(cache).rename(file)
    kept = isn.load(PIN, "val", cache="decoded", quiet=True)
    assert [image.tobytes() for image, _ in kept] == expected
    # Removed while it is read: nothing changes for whoever has it open.
    run("cache", "gc", "--max-size", "0")
    assert not list((cache / "decoded").glob("*"))
    assert [image.tobytes() for image, _ in kept] == expected


def test_a_file_that_is_cut_is_an_error(cache):
    kept = isn.load(PIN, "val", cache="decoded")
    list(kept)
    with decoded_file(cache).open("r+b") as file:
        file.truncate(100_000)
    with pytest.raises(isn.IntegrityError, match="ends too early: another program has cut it") as cut:
        list(kept)
    assert str(decoded_file(cache)) in str(cut.value) and "isn.load" in cut.value.help
    with pytest.raises(isn.IntegrityError):
        list(kept.batches(8, size=32, out="numpy"))
    # Neither one that was not read before, nor one that is never checked, ends the process.
    isn.load(PIN, "val", cache="decoded", quiet=True)
    unread, never = (isn.load(PIN, "val", cache="decoded", verify=how) for how in ("once", "never"))
    decoded_file(cache).write_bytes(b"")
    for opened in (unread, never):
        for size in (None, 32):
            with pytest.raises(isn.IntegrityError, match="ends too early"):
                list(opened) if size is None else list(opened.batches(8, size=size, out="numpy"))
    assert same(isn.load(PIN, "val", cache="decoded", quiet=True), isn.load(PIN, "val"))


MAKE = """
import sys, isn
print("begun", flush=True)
print(isn.load({reference!r}, size={size}, cache="decoded", quiet=True)._reader.checks)
"""


def test_several_processes_make_it_together(cache):
    run("info", PIN)
    command = [sys.executable, "-c", MAKE.format(reference=PIN, size=200)]
    makers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    checks = sorted(int(maker.communicate(timeout=120)[0].split()[1]) for maker in makers)
    assert checks == [0, 0, 203]


def test_what_a_killed_process_made_is_kept(cache):
    isn.load(PIN)
    command = [sys.executable, "-c", MAKE.format(reference=PIN, size=1500)]
    before = None
    for _ in range(50):
        maker = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        while not list((cache / "decoded").glob("[0-9a-f]*")):
            time.sleep(0.005)
        while decoded_file(cache).stat().st_blocks < 100_000 and maker.poll() is None:
            time.sleep(0.005)
        maker.send_signal(signal.SIGKILL)
        if maker.wait() == -signal.SIGKILL:
            before = True
            break
        run("cache", "gc", "--max-size", "0")
    assert before, "no process could be killed in time"
    kept = isn.load(PIN, size=1500, cache="decoded", quiet=True)
    assert 0 < kept._reader.checks < 203
    plain = isn.load(PIN, size=1500)
    for image in range(0, 203, 13):
        assert np.array_equal(kept[image][0], plain[image][0])
    assert isn.load(PIN, size=1500, cache="decoded")._reader.checks == 0


def test_arguments(cache, monkeypatch):
    for wrong in (
        lambda: isn.load(PIN, cache="encoded"),
        lambda: isn.load(PIN, cache=True),
        lambda: isn.load(PIN, decode="bytes", cache="decoded"),
        lambda: isn.load(PIN, size=0, cache="decoded"),
    ):
        with pytest.raises(isn.UsageError):
            wrong()
    # Larger than any disk: an error before anything is written, with what it would take.
    with pytest.raises(
        isn.IsnError, match=r"free, but .* are needed for decoded images|cannot be written to"
    ):
        isn.load(PIN, size=60_000, cache="decoded")
    if os.getuid() != 0:
        isn.load(PIN, "val", 32, cache="decoded")
        decoded_file(cache).chmod(0o400)
        assert len(list(isn.load(PIN, "val", 32, cache="decoded"))) == 40
        with pytest.raises(isn.IsnError, match="may only be read"):
            isn.load(PIN, size=32, cache="decoded")
