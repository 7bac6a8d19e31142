"""The section `serve` of a file and of words."""

from dataclasses import fields
from pathlib import Path

import pytest

from calyx.errors import ConfigError
from calyx.serving.config import ServeConfig
from calyx.serving.settings import read_settings

PAGE = (Path(__file__).parents[3] / "docs" / "serve.md").read_text()


def test_words_change_what_the_file_says(tmp_path) -> None:
    path = tmp_path / "serve.yaml"
    path.write_text("serve:\n  port: 9000\n  host: localhost\n  limits: {rows_per_day: 10}\n")
    words = ["serve.port=9001", "serve.limits.requests_per_minute=5", "serve.answer=label"]
    cfg = read_settings(path, words)
    assert (cfg.port, cfg.host, cfg.answer) == (9001, "localhost", "label")
    assert (cfg.limits.rows_per_day, cfg.limits.requests_per_minute) == (10, 5)


def test_a_list_stands_in_brackets() -> None:
    jwt = ["serve.jwt.issuer=i", "serve.jwt.audience=a", "serve.jwt.keys=k.json"]
    cfg = read_settings(None, [*jwt, "serve.jwt.algorithms=[ES256, Ed25519]"])
    assert cfg.jwt is not None
    assert cfg.jwt.algorithms == ("ES256", "Ed25519")


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["serve.prt=1"], "serve.prt does not exist.*Perhaps port is meant"),
        (["port=1"], "write serve.KEY=VALUE"),
        (["serve.port"], "write serve.KEY=VALUE"),
        (["serve..port=1"], "write serve.KEY=VALUE"),
        (["serve.port=1", "serve.port.x=2"], "no keys of its own"),
        (["serve.port=99999"], "serve.port is 99999"),
        (["serve.answer=all"], "serve.answer"),
        (["serve.limits=5"], "serve.limits is"),
    ],
)
def test_a_word_that_says_nothing_is_refused(words, what) -> None:
    with pytest.raises(ConfigError, match=what):
        read_settings(None, words)


def test_a_file_with_another_key_at_its_top_is_refused(tmp_path) -> None:
    path = tmp_path / "serve.yaml"
    path.write_text("serve: {}\nhost: x\n")
    with pytest.raises(ConfigError, match="has the key host at its top"):
        read_settings(path, [])


def test_the_page_has_every_key() -> None:
    table = PAGE.partition("| key of `serve` |")[2].partition("\n\n")[0]
    assert [one.name for one in fields(ServeConfig) if f"`{one.name}`" not in table] == []
