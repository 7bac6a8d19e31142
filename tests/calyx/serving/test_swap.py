"""Which release of a folder answers, and when another one takes over: real folders, one process."""

import asyncio
import shutil
from dataclasses import replace

import pytest
from support.gateways import HEART_ROW, gateway_on
from support.releases import (
    SIGNERS,
    make_release,
    rewrite,
    sign,
)

from calyx.errors import CalyxError
from calyx.releases.card_parts import FiguresPart
from calyx.releases.manifest import Unverified
from calyx.serving.swap import Floor, Releases, floor_of, raise_floor, read_floor


async def version_of(asked) -> int:
    return (await asked.predict(HEART_ROW)).json()["release"]["version"]


def look(asked) -> int:
    """Let the watcher look once; the version that answers after it."""

    async def once() -> int:
        await asked.watcher.look()
        return await version_of(asked)

    return asyncio.run(once())


def test_a_newer_release_answers_from_the_next_request_on(tmp_path) -> None:
    with gateway_on(tmp_path) as asked:
        assert look(asked) == 1
        make_release(asked.folder / "heart-2", seed=2)
        assert look(asked) == 2
        assert asked.said == ["heart version 2 answers from now on; signed by anna, bela."]
    assert read_floor(tmp_path / "state").version == 2


def spoil_unsigned(folder):
    (folder / "manifest.sig").unlink()


def spoil_one_byte(folder):
    path = folder / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def spoil_fork(folder):
    rewrite(folder, "anna", "bela", parent="0" * 64)


def spoil_stranger(folder):
    (folder / "more.py").write_text("")


def spoil_link(folder):
    real = folder.parent.parent / "elsewhere"
    shutil.move(folder, real)
    folder.symlink_to(real)


@pytest.mark.parametrize(
    "spoil",
    [spoil_unsigned, spoil_one_byte, spoil_fork, spoil_stranger, spoil_link],
    ids=lambda f: f.__name__,
)
def test_a_worse_release_is_refused_once_and_said(tmp_path, spoil) -> None:
    with gateway_on(tmp_path) as asked:
        make_release(asked.folder / "heart-2", seed=2)
        spoil(asked.folder / "heart-2")
        assert [look(asked), look(asked)] == [1, 1]
        (sentence,) = asked.said
        assert sentence.startswith("Refused: ")
        assert sentence.endswith("heart version 1 goes on answering.")
        ready = asyncio.run(asked.client.get("/readyz")).json()
        assert ready["refused"] == ["heart-2"]


def test_a_release_that_is_signed_later_is_taken_then(tmp_path) -> None:
    with gateway_on(tmp_path) as asked:
        make_release(asked.folder / "heart-2", signed_by=("anna",))
        assert look(asked) == 1
        sign(asked.folder / "heart-2", "cleo")
        assert look(asked) == 2
        assert asked.gateway.rejected == ()


def test_versions_that_come_in_the_wrong_order_are_taken_when_all_are_there(tmp_path) -> None:
    with gateway_on(tmp_path) as asked:
        for n in (2, 3):
            make_release(asked.folder / f"heart-{n}", seed=n)
        shutil.move(asked.folder / "heart-2", tmp_path / "later")
        assert look(asked) == 1
        assert "version 2 before it is missing" in asked.said[0]
        shutil.move(tmp_path / "later", asked.folder / "heart-2")
        assert look(asked) == 3
        assert len(asked.said) == 2


def test_what_was_refused_is_not_said_again_when_another_release_comes(tmp_path) -> None:
    with gateway_on(tmp_path) as asked:
        for n in (2, 3):
            make_release(asked.folder / f"heart-{n}", seed=n, signed_by=("anna", "bela")[: 4 - n])
        shutil.move(asked.folder / "heart-2", tmp_path / "later")
        assert look(asked) == 1
        shutil.move(tmp_path / "later", asked.folder / "heart-2")
        assert [look(asked), look(asked)] == [2, 2]
        assert [line.split()[0] for line in asked.said] == ["Refused:", "heart"]
        assert list(asked.gateway.rejected) == [asked.watcher._releases.refused["heart-3"]]


def test_a_kill_between_remembering_and_taking_leaves_what_can_be_started(tmp_path) -> None:
    with gateway_on(tmp_path) as asked:
        make_release(asked.folder / "heart-2", seed=2)
        floor = floor_of(Releases(asked.folder, SIGNERS).choose(None))
    raise_floor(tmp_path / "state", floor)  # and there the process ends
    with gateway_on(tmp_path) as asked:
        assert asyncio.run(version_of(asked)) == 2


def test_code_other_than_the_releases_is_refused(tmp_path) -> None:
    with gateway_on(tmp_path) as asked:
        make_release(asked.folder / "heart-2", code="0" * 64)
        assert look(asked) == 1
        assert "code" in asked.said[0]


@pytest.mark.parametrize(("may_change", "version"), [(False, 1), (True, 2)])
def test_other_columns_or_classes_take_over_only_where_that_is_said(
    tmp_path, may_change, version
) -> None:
    with gateway_on(tmp_path, new_schema=may_change) as asked:
        old = asked.gateway.served.predictor
        old.schema = replace(old.schema, classes=("well", "ill"))
        make_release(asked.folder / "heart-2")
        assert look(asked) == version
        assert ("other columns or classes" in asked.said[0]) == (not may_change)


@pytest.mark.parametrize(
    ("new", "worse_by", "version"), [(0.74, 0.05, 1), (0.76, 0.05, 2), (0.74, 0.1, 2)]
)
def test_a_model_that_tested_clearly_worse_does_not_take_over(
    tmp_path, new, worse_by, version
) -> None:
    def test_of(score):
        return FiguresPart(
            of="a model", figures={"accuracy": score}, absent={}, rows=None, score="accuracy"
        )

    with gateway_on(tmp_path, worse_by=worse_by) as asked:
        served = asked.gateway.served
        card = replace(served.release.card, test=test_of(0.8))
        asked.gateway.served = replace(served, release=replace(served.release, card=card))
        make_release(asked.folder / "heart-2", test=test_of(new))
        assert look(asked) == version
        assert ("accuracy is 0.740" in asked.said[0]) == (version == 1)


def test_a_model_that_does_not_load_is_refused_and_not_tried_again(tmp_path) -> None:
    with gateway_on(tmp_path) as asked:
        from calyx.serving import running

        make_release(asked.folder / "heart-2")
        tried = []

        def fail(release, cfg):
            tried.append(release.manifest.version)
            raise CalyxError("It does not load.")

        real, running.make_served = running.make_served, fail
        try:
            assert [look(asked), look(asked)] == [1, 1]
        finally:
            running.make_served = real
        assert tried == [2]
        assert asked.gateway.rejected[0].name == "heart-2"


def test_no_restart_goes_below_what_has_answered(tmp_path) -> None:
    with gateway_on(tmp_path) as asked:
        make_release(asked.folder / "heart-2")
        assert look(asked) == 2
    shutil.rmtree(tmp_path / "releases" / "heart-2")
    with pytest.raises(Unverified, match="no way back"):
        Releases(tmp_path / "releases", SIGNERS).choose(read_floor(tmp_path / "state"))


def test_a_version_that_was_replaced_is_refused_at_the_start(tmp_path) -> None:
    with gateway_on(tmp_path):
        pass
    shutil.rmtree(tmp_path / "releases" / "heart-1")
    make_release(tmp_path / "releases" / "heart-1", seed=9)
    with pytest.raises(Unverified, match="was replaced"):
        Releases(tmp_path / "releases", SIGNERS).choose(read_floor(tmp_path / "state"))


def test_the_newest_that_verifies_is_served_at_the_start(tmp_path) -> None:
    (tmp_path / "releases").mkdir()
    for n in (1, 2, 3):
        make_release(tmp_path / "releases" / f"heart-{n}", signed_by=("anna", "bela")[: 4 - n])
    releases = Releases(tmp_path / "releases", SIGNERS)
    assert releases.choose(None).manifest.version == 2
    assert list(releases.refused) == ["heart-3"]


def test_a_floor_of_another_chain_is_said(tmp_path) -> None:
    (tmp_path / "releases").mkdir()
    make_release(tmp_path / "releases" / "heart-1")
    with pytest.raises(Unverified, match="has served digits"):
        Releases(tmp_path / "releases", SIGNERS).choose(
            Floor(name="digits", version=1, digest="0" * 64)
        )
