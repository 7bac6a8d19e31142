"""sbom.json: what serving a release needs, by the standard's own strict schema; and the lock of a card."""

import hashlib
import json
import tomllib
from datetime import UTC, datetime
from importlib.metadata import requires, version
from pathlib import Path

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from calyx.releases.packages import SERVING, Package, hash_lock, list_installed, list_needed
from calyx.releases.sbom import Subject, sbom_bytes

SUBJECT = Subject(name="heart", version=2, model_sha256="ab" * 32, calyx="0.1.0", code="cd" * 32)
NOW = datetime(2026, 1, 31, 12, 30, 15, 250_000, tzinfo=UTC)
PYPROJECT = Path(__file__).resolve().parents[3] / "pyproject.toml"


def test_a_bill_of_materials_is_valid_and_names_the_model_by_its_hash():
    data = sbom_bytes(SUBJECT, list_needed(), NOW)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(data.decode()) is None
    bill = json.loads(data)
    (model,) = [c for c in bill["components"] if c["type"] == "machine-learning-model"]
    assert model["hashes"] == [{"alg": "SHA-256", "content": "ab" * 32}]
    assert bill["metadata"]["timestamp"] == "2026-01-31T12:30:15+00:00"
    purls = {c.get("purl") for c in bill["components"]}
    assert f"pkg:pypi/numpy@{version('numpy')}" in purls
    assert {"pkg:pypi/flwr", "pkg:pypi/hydra-core"}.isdisjoint(
        {str(p).split("@")[0] for p in purls}
    )


def test_equal_releases_have_equal_bills():
    assert sbom_bytes(SUBJECT, list_needed(), NOW) == sbom_bytes(SUBJECT, list_needed(), NOW)


def test_a_package_that_is_not_installed_says_so_and_has_no_version():
    data = sbom_bytes(SUBJECT, [Package("no-such-package", None)], NOW)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(data.decode()) is None
    (absent,) = [c for c in json.loads(data)["components"] if c["name"] == "no-such-package"]
    assert "version" not in absent
    assert absent["properties"][0]["value"] == "not installed where it was released"


def test_all_that_a_needed_package_needs_is_needed():
    """Oracle: what the metadata of each package says, read here by itself."""
    needed = {one.name: one for one in list_needed()}
    for name, one in needed.items():
        lines = requires(name) or [] if one.version else []
        wanted = [Requirement(line) for line in lines]
        plain = {
            canonicalize_name(r.name)
            for r in wanted
            if r.marker is None or r.marker.evaluate({"extra": ""})
        }
        assert plain <= set(one.needs) <= needed.keys()


def test_what_the_extra_serve_asks_for_is_in_the_bill():
    extra = tomllib.loads(PYPROJECT.read_text())["project"]["optional-dependencies"]["serve"]
    assert {canonicalize_name(Requirement(line).name) for line in extra} <= set(SERVING)


def test_the_lock_is_one_hash_over_names_and_versions():
    lock = hash_lock({"b": "2", "a": "1"})
    assert lock == hashlib.sha256(b"a==1\nb==2\n").hexdigest()
    assert list_installed()["numpy"] == version("numpy")
