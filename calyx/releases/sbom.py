"""sbom.json: what a release needs to be served, as CycloneDX 1.6 (ECMA-424).

The model is a component with its hash; packages are those installed where it was released, each with
what it needs in turn. A package that was not installed there stands without a version, and says so.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from calyx.releases.packages import Package


@dataclass(frozen=True)
class Subject:
    """The release that a bill of materials is of."""

    name: str
    version: int
    model_sha256: str
    calyx: str  # version of Calyx
    code: str  # SHA-256, in hex, of Calyx's files


def sbom_bytes(subject: Subject, packages: Sequence[Package], created: datetime) -> bytes:
    """The file's bytes: equal for equal arguments. `created` has a time zone."""
    release = Component(
        name=subject.name,
        version=str(subject.version),
        type=ComponentType.APPLICATION,
        bom_ref=f"release:{subject.name}@{subject.version}",
    )
    model = Component(
        name="model.safetensors",
        version=str(subject.version),
        type=ComponentType.MACHINE_LEARNING_MODEL,
        bom_ref=f"model:{subject.model_sha256}",
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=subject.model_sha256)],
    )
    calyx = Component(
        name="calyx",
        version=subject.calyx,
        type=ComponentType.APPLICATION,
        bom_ref=f"calyx:{subject.code}",
        properties=[Property(name="calyx:code_sha256", value=subject.code)],
    )
    libraries = {one.name: _component_of(one) for one in packages}
    bom = Bom(serial_number=uuid5(NAMESPACE_URL, f"calyx:{release.bom_ref}:{subject.model_sha256}"))
    bom.metadata.timestamp = created.replace(microsecond=0)
    bom.metadata.component = release
    bom.components.update((model, calyx, *libraries.values()))
    bom.register_dependency(release, [model, calyx])
    bom.register_dependency(calyx, list(libraries.values()))
    for one in packages:
        bom.register_dependency(libraries[one.name], [libraries[name] for name in one.needs])
    return JsonV1Dot6(bom).output_as_string(indent=1).encode() + b"\n"


def _component_of(one: Package) -> Component:
    """A package of the index, by its purl (https://github.com/package-url/purl-spec)."""
    purl = PackageURL("pypi", name=one.name, version=one.version)
    absent = [Property(name="calyx:absent", value="not installed where it was released")]
    return Component(
        name=one.name,
        version=one.version,
        type=ComponentType.LIBRARY,
        bom_ref=purl.to_string(),
        purl=purl,
        properties=[] if one.version else absent,
    )
