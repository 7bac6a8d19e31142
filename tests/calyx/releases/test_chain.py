"""A folder of releases is one chain: versions without gap or fork, each signed, each naming the last."""

import shutil
from dataclasses import replace

import pytest
from support.releases import SIGNERS, make_release, release_at, rewrite

from calyx.errors import UserError
from calyx.releases.chain import read_chain
from calyx.releases.manifest import Unverified
from calyx.releases.reading import read_head
from calyx.releases.writing import plan_release


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Three releases."""
    folder = tmp_path_factory.mktemp("chain") / "releases"
    for version in (1, 2, 3):
        make_release(folder / f"heart-{version}", seed=version)
    return folder


@pytest.fixture
def folder(made, tmp_path):
    return shutil.copytree(made, tmp_path / "releases")


def refused(folder, **asked):
    with pytest.raises(Unverified) as caught:
        read_chain(folder, SIGNERS, **asked)
    return str(caught.value)


def test_a_chain_is_its_newest_release_after_older_ones(made):
    chain = read_chain(made, SIGNERS, at_least=3)
    assert chain.newest.folder == made / "heart-3"
    assert [link.manifest.version for link, _ in chain.older] == [1, 2]
    parents = [link.manifest.parent for link, _ in chain.older] + [chain.newest.manifest.parent]
    digests = [link.digest for link, _ in chain.older]
    assert parents == [None, *digests]


def test_what_lies_beside_the_releases_is_left_alone(folder):
    (folder / "README").write_text("ours")
    (folder / "notes").mkdir()
    (folder / ".calyx-release-0.part").mkdir()
    assert read_chain(folder, SIGNERS).newest.manifest.version == 3


@pytest.mark.parametrize(("version", "missing"), [(1, 1), (2, 2)])
def test_a_gap_is_refused(folder, version, missing):
    shutil.rmtree(folder / f"heart-{version}")
    assert f"version {missing} before it is missing" in refused(folder)


def test_a_chain_without_its_newest_is_refused_by_who_has_seen_it(folder):
    shutil.rmtree(folder / "heart-3")
    assert read_chain(folder, SIGNERS).newest.manifest.version == 2
    assert "no way back" in refused(folder, at_least=3)


def test_two_releases_of_one_version_are_refused(folder):
    shutil.copytree(folder / "heart-3", folder / "again")
    assert "both version 3" in refused(folder)


def test_a_fork_is_refused(folder, tmp_path):
    """Version 3 was made after another version 2, with all signatures that it needs."""
    other = tmp_path / "other"
    for version in (1, 2, 3):
        make_release(other / f"heart-{version}", seed=9)
    shutil.rmtree(folder / "heart-3")
    shutil.copytree(other / "heart-3", folder / "heart-3")
    assert "the chain forks" in refused(folder)


def test_a_replaced_ancestor_is_refused(folder):
    rewrite(folder / "heart-1", "anna", "bela", created="2020-01-01T00:00:00Z")
    assert "another parent" in refused(folder)


def test_each_release_must_be_signed_and_whole(folder):
    (folder / "heart-2" / "manifest.sig").unlink()
    assert "heart-2 does not verify: It is not signed" in refused(folder)


def test_a_changed_file_of_an_old_release_is_refused(folder):
    (folder / "heart-1" / "sbom.json").write_bytes(b"[]")
    assert "sbom.json is not what was signed" in refused(folder)


def test_another_chain_in_the_same_folder_is_refused(folder, tmp_path):
    make_release(tmp_path / "other" / "x", name="liver")
    shutil.copytree(tmp_path / "other" / "x", folder / "x")
    assert "heart and liver" in refused(folder) or "liver and heart" in refused(folder)


def test_a_linked_release_is_refused(folder, tmp_path):
    shutil.move(folder / "heart-2", tmp_path / "elsewhere")
    (folder / "heart-2").symlink_to(tmp_path / "elsewhere")
    assert "is a link" in refused(folder)


def test_older_releases_may_be_of_an_older_calyx_and_the_newest_may_not(tmp_path):
    make_release(tmp_path / "heart-1", code="0" * 64)
    (tmp_path / "heart-1" / "card.json").write_text('{"format":"calyx-card/0"}')
    rewrite(tmp_path / "heart-1", "anna", "bela")
    make_release(tmp_path / "heart-2")
    assert read_chain(tmp_path, SIGNERS).newest.manifest.version == 2
    make_release(tmp_path / "heart-3", code="0" * 64)
    assert "heart-3 does not verify" in refused(tmp_path)


def test_a_new_release_goes_on_from_the_newest(folder):
    place = plan_release(folder / "new", None, "heart")
    assert (place.version, place.parent) == (4, read_head(folder / "heart-3").digest)
    with pytest.raises(UserError, match="not of liver"):
        plan_release(folder / "new", "liver", "heart")
    with pytest.raises(UserError, match="would fork"):
        plan_release(folder / "new", None, "heart", folder / "heart-2")
    with pytest.raises(UserError, match="there already"):
        plan_release(folder / "heart-3", None, "heart")
    with pytest.raises(UserError, match="nothing else may lie"):
        plan_release(folder / "heart-3" / "new", None, "heart")


def test_a_parent_may_lie_elsewhere(folder, tmp_path):
    place = plan_release(tmp_path / "alone", None, "heart", folder / "heart-3")
    assert (place.name, place.version) == ("heart", 4)
    release_at(place)
    assert "version 3 before it is missing" in refused(tmp_path)


@pytest.mark.parametrize("name", ["", "Heart", "../heart", "hé", "a b", "-a", "x" * 101, "heart\n"])
def test_a_name_that_not_every_disk_can_tell_apart_is_refused(tmp_path, name):
    with pytest.raises(UserError, match="cannot be the name of a release"):
        plan_release(tmp_path / "x", name, "heart")


def test_a_name_is_made_of_the_tasks(tmp_path):
    assert plan_release(tmp_path / "x", None, "My_Task é").name == "my-task"


def test_a_release_that_came_meanwhile_is_no_reason_for_a_fork(folder):
    late = plan_release(folder / "late", None, "heart")
    make_release(folder / "heart-4")
    with pytest.raises(UserError, match="another release meanwhile"):
        release_at(late)
    with pytest.raises(UserError, match="another release meanwhile"):
        release_at(replace(late, folder=folder / "heart-4"))
    assert not (folder / "late").exists()
