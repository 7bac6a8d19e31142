"""A release is whole or absent: after a full disk, after a kill at any step, and while it is replaced."""

import os
import resource
import shutil
import signal
import sys
import threading

import pytest
from support.releases import SIGNERS, card_of, make_release, model_bytes, sign

from calyx.errors import CalyxError, UserError
from calyx.files.plain import lock_file
from calyx.releases.card import card_bytes
from calyx.releases.manifest import Unverified, entry_of
from calyx.releases.reading import read_draft, read_release
from calyx.releases.writing import plan_release, write_release


def plan(folder):
    """A place and its files, of which nothing is written yet."""
    place, model = plan_release(folder, None, "heart"), model_bytes()
    card = card_bytes(card_of(model, place))
    return place, {"model.safetensors": model, "card.json": card, "big": b"x" * 100_000}


def left(folder):
    return sorted(path.name for path in folder.iterdir() if path.name != ".calyx-releases.lock")


def test_a_full_disk_leaves_nothing(tmp_path):
    place, files = plan(tmp_path / "heart-1")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
    try:
        with pytest.raises(CalyxError, match="heart-1 cannot be written: File too large") as caught:
            write_release(place, files)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert caught.value.exit_code == 1
    assert left(tmp_path) == []


def kill_at(step, folder, work):
    """Do `work` in a process that is killed before the `step`th thing it does with files in `folder`.

    Whether it was.
    """
    child = os.fork()
    if child == 0:
        steps = [0]

        def count(event, args):
            named = any(isinstance(a, str | os.PathLike) and str(folder) in str(a) for a in args)
            if named and event.startswith(("open", "os.")):
                steps[0] += 1
                if steps[0] == step:
                    os.kill(os.getpid(), signal.SIGKILL)

        try:
            sys.addaudithook(count)
            work()
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def test_a_kill_at_any_step_leaves_a_whole_release_or_none(tmp_path):
    place, files = plan(tmp_path / "heart-1")
    step = 1
    while kill_at(step, tmp_path, lambda: write_release(place, files)):
        whole = left(tmp_path) == ["heart-1"]
        assert whole or "heart-1" not in left(tmp_path)
        if not whole:  # the next call removes what is left, and is not in its way
            write_release(place, files)
            assert left(tmp_path) == ["heart-1"]
        assert set(read_draft(tmp_path / "heart-1").files) == set(files)
        shutil.rmtree(tmp_path / "heart-1")
        step += 1
    assert step > 10


def test_a_kill_while_signing_leaves_the_signatures_that_were(tmp_path):
    folder = tmp_path / "heart-1"
    make_release(folder, signed_by=("anna",))
    step = 1
    while kill_at(step, tmp_path, lambda: sign(folder, "bela")):
        release = read_draft(folder)  # nothing that is not signed lies in it
        assert release.manifest.version == 1
        step += 1
    assert read_release(folder, SIGNERS).signed_by == ("anna", "bela")
    sign(folder, "cleo")
    assert left(tmp_path) == ["heart-1"]
    assert step > 3


def test_two_at_once_do_not_write_there(tmp_path):
    place, files = plan(tmp_path / "heart-1")
    child = os.fork()
    ready, go = tmp_path / "ready", tmp_path / "go"
    if child == 0:
        try:
            with lock_file(tmp_path / ".calyx-releases.lock"):
                ready.touch()
                while not go.exists():
                    pass
        finally:
            os._exit(0)
    while not ready.exists():
        pass
    try:
        with pytest.raises(UserError, match="Another `calyx release` is at work"):
            write_release(place, files)
    finally:
        go.touch()
        os.waitpid(child, 0)


def test_a_release_that_is_replaced_while_it_is_read_is_one_of_the_two_or_none(tmp_path):
    folder, others = tmp_path / "served", [tmp_path / "a" / "x", tmp_path / "b" / "x"]
    for seed, other in enumerate(others):
        make_release(other, seed=seed)
    shutil.copytree(others[0], folder)
    stop = threading.Event()

    def replace():
        while not stop.is_set():
            for other in others:
                for file in other.iterdir():
                    shutil.copy(file, folder / file.name)

    thread = threading.Thread(target=replace)
    thread.start()
    try:
        for _ in range(50):
            try:
                release = read_release(folder, SIGNERS)
            except Unverified:
                continue
            for name, data in release.files.items():
                assert entry_of(data) == release.manifest.files[name]
    finally:
        stop.set()
        thread.join()


def test_nothing_is_written_over(tmp_path):
    make_release(tmp_path / "heart-1")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to("heart-1")
    for name in ("heart-1", "file", "link"):
        with pytest.raises(UserError, match="there already"):
            plan_release(tmp_path / name, None, "heart")
