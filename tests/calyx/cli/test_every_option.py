"""Every key and every flag has its effect: the lists are read from the dataclasses and the parsers.

A new key without a proof fails here. A proof is a function that two values of the key make differ,
or the test elsewhere that shows the effect, which must exist.
"""

import dataclasses
import importlib
import inspect
import pkgutil
import re
from contextlib import suppress
from functools import cache
from pathlib import Path

import pytest
from support.option_effects import read
from support.option_proofs import ELSEWHERE, NAMES, PROOFS, SCHEMA_PROOFS, SECTIONS
from support.served_proofs import SERVED, SERVED_SECTIONS

import calyx
import client
import server
import strategies
from calyx.cli import main
from calyx.cli.following import Options
from calyx.cli.resume import MAY_CHANGE, WITHOUT_CHANGED

HERE = Path(__file__)
TESTS = HERE.parents[2]
NOT_WRITTEN = {  # made by the program for itself
    *("StatisticsConfig", "Version", "NoKeys", "Begun", "Engine", "Job", "LeftOut"),
    *("LocalObjective", "ScaffoldLocal", "PersonalObjective"),
    *("ApiKey", "KeyFile", "Floor", "Hold"),  # of a gateway
    "AttackConfig",  # its keys are those of RobustConfig
    "WrittenPreprocessing",  # its keys are those of PreprocessingConfig
}
# What travels, and what rests of a run or a release.
ROWS = (
    "calyx.pages",
    "calyx.run",
    "calyx.model.released",
    "calyx.model.ensemble",
    "calyx.releases",
)
PACKAGES = (calyx, client, server, strategies)


@cache
def keys():
    """`Class.field` of every config dataclass that a person writes, but for sections in sections."""
    found = set()
    for package in PACKAGES:
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            for cls in vars(importlib.import_module(module.name)).values():
                is_own = inspect.isclass(cls) and cls.__module__ == module.name
                if not is_own or not hasattr(cls, "__pydantic_config__") or cls.__name__[0] == "_":
                    continue
                if cls.__name__ not in NOT_WRITTEN and not module.name.startswith(ROWS):
                    found |= {f"{cls.__name__}.{f.name}" for f in dataclasses.fields(cls)}
    return found


def test_every_key_that_can_be_written_has_a_proof_of_its_effect_and_there_are_no_others():
    proved = set(PROOFS) | set(SCHEMA_PROOFS) | set(ELSEWHERE) | SECTIONS | NAMES
    proved |= set(SERVED) | SERVED_SECTIONS
    assert keys() - proved == set()
    assert proved - keys() == set()


@pytest.mark.parametrize("key", PROOFS)
def test_two_values_of_a_key_make_a_difference(key):
    observed, one, other = PROOFS[key]
    assert observed(**one) != observed(**other)


@pytest.mark.parametrize("key", SCHEMA_PROOFS)
def test_two_values_of_a_schemas_key_make_a_difference(tmp_path, key):
    one, other = SCHEMA_PROOFS[key]
    assert read(tmp_path, **one) != read(tmp_path, **other)


def test_the_tests_that_prove_the_others_are_there():
    for key, where in (ELSEWHERE | SERVED).items():
        file, _, name = where.partition("::")
        assert f"def {name}(" in (TESTS / file).read_text(), key


PARSERS = [
    *(["predict"], ["report"], ["audit"], ["new"], ["server"], ["client"], ["runs"], ["stop"]),
    *(["keys", action] for action in ("identity", "site", "consortium", "init", "renew")),
    *(["keys", action] for action in ("roster", "manifest", "show")),
    *(["doctor", "server"], ["doctor", "site"]),
    *(["keys", action] for action in ("signer", "signers", "recipient")),
    *(["release"], ["release", "sign"], ["release", "open"], ["verify"], ["serve"], ["verify-log"]),
]


@pytest.mark.e2e
def test_every_flag_of_every_command_is_used_by_a_test(capsys):
    """The lists are the parsers' own help; a command without one is named here."""
    shown = {words[0] for words in PARSERS} | {"simulate", "resume", "submit"}  # the last: below
    assert shown == set(main.COMMANDS)
    flags = {f"--{field.name.replace('_', '-')}" for field in dataclasses.fields(Options)}
    flags |= {"--debug", WITHOUT_CHANGED}
    for words in PARSERS:
        with suppress(SystemExit):
            main.run([*words, "--help"])
        flags |= set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", capsys.readouterr().out))
    texts = [path.read_text() for path in TESTS.rglob("*.py") if path != HERE]
    unused = {flag for flag in flags - {"--help"} if not any(flag in text for text in texts)}
    assert unused == set()


def test_every_key_that_may_change_on_resume_is_one_of_the_configs():
    known = {name.partition(".")[2] for name in keys()}
    assert {key.rpartition(".")[2] for key in MAY_CHANGE} <= known
