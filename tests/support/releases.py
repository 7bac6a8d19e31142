"""A release of an untrained heart model, made in a moment and without a run; and keys that sign it."""

import hashlib
from dataclasses import asdict, replace

from calyx.cli.release.parts import schema_part
from calyx.config.section import canonical_json, digest
from calyx.model.released import describe, with_constants
from calyx.model.weights import initial_model, to_bytes, weights_of
from calyx.pages.card import card_page
from calyx.preprocessing.config import PreprocessingConfig
from calyx.preprocessing.fitting import num_inputs
from calyx.releases.card import FORMAT, Card, card_bytes
from calyx.releases.card_parts import (
    FiguresPart,
    Identity,
    LockPart,
    ModelPart,
    PrivacyPart,
    TaskPart,
)
from calyx.releases.manifest import entry_of, manifest_bytes, read_manifest
from calyx.releases.reading import read_head
from calyx.releases.signers import Signers, sign_manifest, signers_bytes
from calyx.releases.writing import (
    NOBODY,
    Place,
    hold,
    plan_release,
    write_release,
    write_signatures,
)
from calyx.secagg.keys import identity_of
from calyx.tasks.registry import load_task
from calyx.trust.measured import contents

SECTION = {"name": "heart", "data_dir": None, "w_max": 64}
TASK = load_task(SECTION)
SCHEMA = TASK.schema
PRIVATE = {name: hashlib.sha256(name.encode()).digest() for name in ("anna", "bela", "cleo")}
SIGNERS = Signers(2, {name: identity_of(key) for name, key in PRIVATE.items()})  # 2 of these 3


def _constants(column):
    """Of a number, the middle of its range and a quarter of its width; the first category."""
    if column.kind != "numeric":
        return (column.categories[0], None, None, 0.0, 1.0)
    middle = (column.low + column.high) / 2
    return (middle, None, None, middle, (column.high - column.low) / 4)


CONSTANTS = tuple(map(_constants, SCHEMA.columns))
PREPROCESSING = PreprocessingConfig(
    name="federated",
    numeric_imputation="median",
    categorical_imputation="mode",
    fill_value=0.0,
    scaling="standard",
    outliers="keep",
    iqr_factor=3.0,
    fitted=(CONSTANTS,),
)


def model_bytes(seed=0):
    """The model.safetensors of a heart model as `seed` draws it."""
    weights = weights_of(initial_model(TASK, num_inputs(SCHEMA, PREPROCESSING), seed))
    text = canonical_json(asdict(describe(TASK, SECTION, PREPROCESSING)))
    return to_bytes(with_constants(weights, CONSTANTS), text)


def card_of(model, place, **parts):
    """A card of `model` (bytes) that tells no figure; `parts` are put in their places."""
    nothing = FiguresPart(of="an untrained model", figures={}, absent={}, rows=None)
    lacking = ("confusion", "audit", "baseline", "conformal", "ensemble", "robust", "onnx")
    values = dict.fromkeys(lacking) | {
        "note": "",
        "task": TaskPart(name="heart", metric="accuracy"),
        "schema": schema_part(SCHEMA),
        "model": ModelPart(
            sha256=hashlib.sha256(model).hexdigest(),
            parameters=1,
            whose="common",
            strategy="fedavg",
            preprocessing={},
            training={},
            rounds=0,
            released_round=0,
            seed=0,
            stopped_because="it was not trained",
        ),
        "test": nothing,
        "validation": nothing,
        "compared": nothing,
        "privacy": PrivacyPart(
            mode="none", guarantee=("None.",), not_protected=(), clients=None, sums=None
        ),
        "config": {},
        "config_left_out": {},
        "config_sha256": digest({}),
        "order_sha256": digest({}),
        "code": contents().code,
        "lock": LockPart(sha256=digest({}), packages={}),
        "versions": {},
        "run": "",
    }
    values |= parts
    identity = Identity(name=place.name, version=place.version, parent=place.parent)
    created = place.created.strftime("%Y-%m-%dT%H:%M:%SZ")
    absent = {name: "a test's" for name in lacking if values[name] is None}
    return Card(format=FORMAT, release=identity, created=created, absent=absent, **values)


def make_release(
    folder, *, seed=0, signed_by=("anna", "bela"), name=None, files=(), to=NOBODY, **parts
):
    """Make `folder` the next release of the chain beside it; returns it as it was read.

    `parts` go into its card, `files` (bytes by name) beside it, and it is encrypted `to` somebody.
    """
    place = plan_release(folder, name, "heart")
    return release_at(place, seed=seed, signed_by=signed_by, files=files, to=to, **parts)


def release_at(place: Place, *, seed=0, signed_by=("anna", "bela"), files=(), to=NOBODY, **parts):
    """As `make_release`, at a place that is a chain's next one, or is not."""
    model = model_bytes(seed)
    card = card_of(model, place, **parts)
    inside = {
        "model.safetensors": model,
        "card.json": card_bytes(card),
        "card.html": card_page(card),
        "sbom.json": b"{}",
    }
    release = write_release(place, inside | dict(files), to)
    sign(place.folder, *signed_by)
    return release


def rewrite(folder, *signed_by, **changed):
    """Make a manifest of what lies in `folder` by now, with these fields `changed`, and sign it anew."""
    before = read_manifest((folder / "manifest.json").read_bytes())
    files = {name: entry_of((folder / name).read_bytes()) for name in before.files}
    data = manifest_bytes(replace(before, files=files, **changed))
    (folder / "manifest.json").write_bytes(data)
    (folder / "manifest.sig").unlink(missing_ok=True)
    sign(folder, *signed_by)


def sign(folder, *names):
    """Add the signatures of these signers."""
    with hold(folder):
        for name in names:
            head = read_head(folder)
            write_signatures(folder, sign_manifest(PRIVATE[name], head.manifest, head.signatures))


def write_signers(path, signers=SIGNERS):
    """Write a policy's file; returns its path."""
    path.write_bytes(signers_bytes(signers))
    return path
