"""The gateway's log of decisions: what is written, and what anybody's edit of it shows."""

import hashlib
import json
import resource
import shutil
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from calyx.errors import UserError
from calyx.secagg.keys import identity_of
from calyx.serving.decisions import Decision, DecisionLog
from calyx.serving.log_check import Chain, check_chain
from calyx.serving.log_config import LogConfig
from calyx.serving.log_files import NotLogged
from calyx.serving.log_lines import list_files

KEY = bytes(range(32))
RELEASE = "ab" * 32
DECISION = Decision(
    request="0b5e", caller="ward 3", asked="predict", outcome="answered", status=200,
    release=RELEASE, version=2, rows=4, unusual=1, microseconds=950,
)  # fmt: skip


def begin_log(folder: Path, replica: int = 1, config: LogConfig | None = None) -> DecisionLog:
    return DecisionLog(folder, KEY, RELEASE, config or LogConfig(), replica=replica)


def write_log(folder: Path, *counts: int) -> None:
    """A log of as many files as there are counts, each with so many decisions and a clean end."""
    for count in counts:
        with begin_log(folder) as log:
            for n in range(count):
                log.append(replace(DECISION, request=f"r{n}", rows=n))


def check(folder: Path, *heads: str) -> Chain:
    return check_chain(list_files(folder)[1], [identity_of(KEY)], heads, replica=1)


def lines_of(folder: Path) -> list[tuple[str, int, bytes]]:
    """File, place in it, and text of every line."""
    return [
        (path.name, place, line)
        for path in list_files(folder)[1].values()
        for place, line in enumerate(path.read_bytes().splitlines(), start=1)
    ]


def test_every_line_is_canonical_and_names_the_hash_of_the_one_before(tmp_path: Path) -> None:
    write_log(tmp_path, 2, 1)
    before = "0" * 64
    for number, (_, _, line) in enumerate(lines_of(tmp_path), start=1):
        fields = json.loads(line)
        assert rfc8785.dumps(fields) == line
        assert (fields["line"], fields["before"]) == (number, before)
        before = hashlib.sha256(line).hexdigest()


def test_a_log_over_several_files_is_read_as_one_chain_to_its_clean_end(tmp_path: Path) -> None:
    write_log(tmp_path, 3, 2)
    chain = check(tmp_path)
    assert (chain.damages, chain.decisions, chain.signatures, chain.files) == ([], 5, 4, 2)
    assert chain.has_ended
    assert chain.signed_line == chain.head_line == 11  # 2 × (begin, 2 signatures), 5 decisions


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("log")
    write_log(folder, 4, 3, 4)
    return folder


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_single_edit_is_seen_and_its_line_is_named(written: Path, data: st.DataObject) -> None:
    lines = lines_of(written)
    at = data.draw(st.integers(0, len(lines) - 1), label="line")
    file, place, text = lines[at]
    edit = data.draw(st.sampled_from(["change", "take out", "put in", "swap"]), label="edit")
    path, folder = written / file, written.with_name(f"{written.name}-edited")
    own = path.read_bytes().splitlines(keepends=True)
    named = {place}
    if edit == "change":
        byte = data.draw(st.integers(0, len(text) - 1), label="byte")
        new = data.draw(st.binary(max_size=3).filter(lambda b: b != text[byte : byte + 1]))
        own[place - 1] = text[:byte] + new + text[byte + 1 :] + b"\n"
    elif edit == "take out":
        if at == len(lines) - 1:
            return  # nobody can know without a remembered head: the test after this one
        del own[place - 1]
        named = {place, 1}  # what stands there now, or at the head of the next file
    elif edit == "put in":
        strange = data.draw(st.sampled_from([line for *_, line in lines])) + b"\n"
        own.insert(place, strange)
        named = {
            n for n, line in enumerate(own, start=1) if line == strange
        }  # or it, or what it copies
    else:
        if place == len(own):
            return
        own[place - 1], own[place] = own[place], own[place - 1]
        named = {place, place + 1}
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(written, folder)
    (folder / file).write_bytes(b"".join(own))
    damage = check(folder).damages[0]
    assert damage.line in named
    assert damage.file == file or damage.line == 1


def test_a_cut_end_is_seen_by_whoever_remembers_the_head(written: Path, tmp_path: Path) -> None:
    head = check(written).head
    shutil.copytree(written, tmp_path / "log")
    last = list_files(tmp_path / "log")[1][3]
    last.write_bytes(b"".join(last.read_bytes().splitlines(keepends=True)[:-1]))
    cut = check(tmp_path / "log", head)
    assert check(written, head).heads == {head}
    assert (cut.heads, cut.has_ended) == (set(), False)


def test_a_file_that_is_missing_in_the_middle_is_named(written: Path, tmp_path: Path) -> None:
    shutil.copytree(written, tmp_path / "log")
    list_files(tmp_path / "log")[1][2].unlink()
    (damage,) = check(tmp_path / "log").damages
    assert damage.file.endswith("000003.jsonl")
    assert "lines 8 to 13" in damage.sentence
    assert "file 2" in damage.sentence


def test_a_chain_written_anew_without_the_key_fails_at_its_next_signature(tmp_path: Path) -> None:
    write_log(tmp_path, 3)
    (path,) = list_files(tmp_path)[1].values()
    forged, before = [], "0" * 64
    for line in path.read_bytes().splitlines():
        fields = json.loads(line) | {"before": before}
        if fields["line"] == 4:
            fields["caller"] = "somebody else"
        forged.append(rfc8785.dumps(fields))
        before = hashlib.sha256(forged[-1]).hexdigest()
    path.write_bytes(b"\n".join(forged) + b"\n")
    (damage,) = check(tmp_path).damages
    assert damage.line == 6
    assert "lines 3 to 6" in damage.sentence  # since the signature in line 2


def test_what_a_crash_cut_off_stays_and_is_noted_in_the_chain(tmp_path: Path) -> None:
    write_log(tmp_path, 2)
    (path,) = list_files(tmp_path)[1].values()
    with path.open("ab") as file:
        file.write(b'{"asked":"pre')
    assert len(check(tmp_path).damages) == 1
    write_log(tmp_path, 1)
    assert check(tmp_path).damages == []
    path.write_bytes(path.read_bytes()[:-1])
    (damage,) = check(tmp_path).damages
    assert "the file before it ends otherwise" in damage.sentence


def test_a_full_disk_refuses_the_line_leaves_nothing_of_it_and_goes_on(tmp_path: Path) -> None:
    with begin_log(tmp_path) as log:
        log.append(DECISION)
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        (path,) = list_files(tmp_path)[1].values()
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 20, hard))
        try:
            with pytest.raises(NotLogged, match="nothing is answered without it"):
                log.append(DECISION)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            signal.signal(signal.SIGXFSZ, before)
        log.append(DECISION)
    chain = check(tmp_path)
    assert (chain.damages, chain.decisions) == ([], 2)


def test_a_second_gateway_on_one_chain_is_refused_and_another_replica_is_not(
    tmp_path: Path,
) -> None:
    with begin_log(tmp_path):
        with pytest.raises(UserError, match="Another gateway writes the log of replica 1"):
            begin_log(tmp_path)
        begin_log(tmp_path, replica=2).close()
    assert sorted(list_files(tmp_path)) == [1, 2]


def test_a_file_that_is_full_is_followed_by_another_of_the_same_chain(tmp_path: Path) -> None:
    with begin_log(tmp_path, config=LogConfig(file_bytes=2**17)) as log:
        for _ in range(300):  # of some 330 bytes: 64 KiB are passed
            log.append(DECISION)
    chain = check(tmp_path)
    assert (chain.damages, chain.files, chain.decisions) == ([], 2, 300)


def test_a_name_that_somebody_chose_stays_on_one_line_and_is_cut(tmp_path: Path) -> None:
    with begin_log(tmp_path) as log:
        log.append(replace(DECISION, caller="a\n\u202e\ud800" + "b" * 10_000))
    (text,) = [json.loads(line)["caller"] for *_, line in lines_of(tmp_path) if b"caller" in line]
    assert text.startswith("a???bb")
    assert len(text) == 200


def test_signatures_come_while_nobody_asks(tmp_path: Path) -> None:
    with begin_log(tmp_path, config=LogConfig(sign_every_s=1)) as log:
        log.append(DECISION)
        deadline = time.monotonic() + 30
        while check(tmp_path).signed_line < 4 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert check(tmp_path).signed_line >= 4  # begin, signature, decision, signature


@pytest.mark.parametrize("damage", [b"", b"{}\n", b"no line", b'{"log":"x"}\nno line\n'])
def test_no_log_goes_on_behind_a_file_that_is_none(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / "decisions-1-000003.jsonl").write_bytes(damage)
    with pytest.raises(UserError, match="is damaged, so that no line can follow"):
        begin_log(tmp_path)
    begin_log(tmp_path, replica=2).close()  # nothing is held
    assert list_files(tmp_path)[1].keys() == {3}
