"""A run's rounds on disk: written beside the next ones, told when they are durable, whole after any crash."""

import errno
import os
import threading
from contextlib import suppress
from dataclasses import replace

import pytest
from support.run_folders import round_of

from calyx.files.plain import read_lines
from calyx.run.folder import RunFolder
from client.learning.store import KEPT
from server import round_log
from server.checkpoints import RunState, load_newest, save
from server.round_log import RoundLog, restore

ROUNDS = 4


class Died(BaseException):
    """kill -9 of the server."""


def state(round):
    return RunState("run", "digest", round, {}, {}, None)


def lines(folder):
    return [row["round"] for row in read_lines(folder.rounds)]


def run_rounds(folder, tell, first=1):
    """Rounds `first` to `ROUNDS`, each of no time at all."""
    with RoundLog(folder, 2, tell) as log:
        for number in range(first, ROUNDS + 1):
            log.add(round_of(number))
            log.keep(state(number))


@pytest.fixture
def folder(tmp_path):
    save(tmp_path / "checkpoints", state(0), 2)
    return RunFolder(tmp_path)


def test_a_round_is_told_once_in_order_and_after_its_checkpoint_and_its_line(folder):
    told = []

    def tell(row):
        told.append(row.round)
        assert load_newest(folder.checkpoints)[0].round >= row.round
        assert row.round in lines(folder)

    run_rounds(folder, tell)
    assert told == lines(folder) == [1, 2, 3, 4]


@pytest.mark.parametrize("crash", range(1, 22))
def test_a_crash_at_any_write_loses_no_round_that_was_told(folder, monkeypatch, crash):
    """Writes are counted by their fsync; later ones do not happen. Oracle: rounds 1 to 4, each once."""
    told, writes, fsync = [], [], os.fsync

    def dying(descriptor):
        writes.append(descriptor)
        if len(writes) >= crash:
            raise Died
        fsync(descriptor)

    with monkeypatch.context() as patch, suppress(Died):
        patch.setattr(round_log, "REST", 0)
        patch.setattr(os, "fsync", dying)
        run_rounds(folder, lambda row: told.append(row.round))
    resumed = restore(folder, load_newest(folder.checkpoints)[0])
    assert resumed.round >= len(told)
    assert lines(folder) == [*range(1, resumed.rows + 1)]
    run_rounds(folder, lambda row: None, first=resumed.round + 1)
    assert lines(folder) == [1, 2, 3, 4]


def test_a_full_disk_ends_the_rounds_with_the_name_of_what_cannot_be_written(folder, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="full") as stopped:
        run_rounds(folder, pytest.fail)
    assert stopped.value.filename.startswith(str(folder.checkpoints / "round-00000"))


def test_a_round_that_others_have_waited_for_is_told_at_once(folder, monkeypatch):
    monkeypatch.setattr(round_log, "PROMPT_S", 0.0)
    told = []
    with RoundLog(folder, 2, told.append) as log:
        log.add(round_of(1))
        log.keep(state(1))
        assert told == [round_of(1)]


def test_a_checkpoint_is_never_so_far_behind_that_clients_have_dropped_what_it_needs(folder):
    """Oracle: how many rounds a client keeps of what a strategy lets it keep."""
    with RoundLog(folder, 2, lambda row: None) as log:
        for number in range(1, 3 * KEPT):
            assert number - load_newest(folder.checkpoints)[0].round < KEPT
            log.keep(state(number))


def test_a_fork_waits_until_nothing_is_being_written(folder, monkeypatch):
    """So that a process that is forked in mid-run holds no lock of a thread that it has not."""
    begun = threading.Event()

    def slow(*arguments):
        begun.set()
        threading.Event().wait(0.05)
        save(*arguments)

    monkeypatch.setattr(round_log, "save", slow)
    with RoundLog(folder, 2, lambda row: None) as log:
        log.keep(state(1))
        begun.wait()
        child = os.fork()
        if not child:
            os._exit(load_newest(folder.checkpoints)[0].round)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1


def test_rows_that_only_the_checkpoint_holds_are_written_and_later_ones_dropped(folder):
    kept = replace(state(2), untold=(round_of(1), round_of(2)))
    save(folder.checkpoints, kept, 2)
    folder.rounds.write_bytes(b"")
    loaded, _ = load_newest(folder.checkpoints)
    assert loaded.untold == kept.untold
    assert restore(folder, loaded).untold == ()
    assert lines(folder) == [1, 2]
    restore(folder, replace(loaded, round=1, untold=()))
    assert lines(folder) == [1]
