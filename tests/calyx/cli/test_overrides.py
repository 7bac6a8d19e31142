"""Paths as people have them, on the command line and in files; and what is to be pasted instead."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from support.site_files import changed, site_values

from calyx.cli.arguments import Parser
from calyx.cli.hydra_program import compose_config
from calyx.cli.outputs import run_place
from calyx.cli.overrides import parse_override, quote_overrides, why_ambiguous, why_unreadable
from calyx.cli.resume import _value
from calyx.composing.compose import PATH_KEYS, resolve
from calyx.errors import UserError
from calyx.files.plain import at_home
from calyx.fleet.site import read_site_config

PLAIN = ["rows", "a b", "a=b", "rows (1)", "[x]", "{x}", "größe", "it's", 'say "x"', "C:\\rows"]
ODD = [
    "2024",
    "true",
    "nan",
    "1e3",
    "f(x, y)",
    "a\nb",
    "a\tb",
    "#x",
    "a:b",
    "%d",
    "a;b",
    "日本",
    "x$y",
]


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home (1)"))
    return str(tmp_path / "home (1)")


@pytest.mark.parametrize("path", [*PLAIN, *ODD])
def test_the_value_of_a_path_is_the_path(path):
    [word] = quote_overrides([f"task.data_dir={path}"])
    assert parse_override(word).value() == path
    assert quote_overrides([word]) == [word]


@given(st.text(min_size=1).map("/x{}y".format))
def test_any_path_is_read_as_it_is_or_refused(path):
    """But what is Hydra's own: several values, `${…}`, and a backslash before one of its signs."""
    [word] = quote_overrides([f"task.data_dir={path}"])
    found = parse_override(word)
    if not re.search(r"[,\\]|\$\{", path):
        assert found.value() == path


@pytest.mark.parametrize("key", [*PATH_KEYS, "hydra.run.dir", "+task.of_my_own"])
def test_the_home_folder_is_in_place_of_its_sign(home, key):
    """Of a package's own task Calyx knows no paths; but no other value begins so."""
    for word in quote_overrides([f"{key}=~/rows (1)", f"{key}=~"]):
        assert parse_override(word).value() in (f"{home}/rows (1)", home)


def test_in_a_sweep_the_commas_of_a_path_part_several(home):
    assert quote_overrides(["task.data_dir=~/a,größe,c"], sweeps=True) == [
        f"task.data_dir='{home}/a','größe',c"
    ]
    assert quote_overrides(["task.data_dir=glob(x)"], sweeps=True) == ["task.data_dir=glob(x)"]


def test_a_quoted_path_and_one_of_a_config_are_of_the_home_folder_too(home, tmp_path):
    cfg = compose_config(["audit.baseline='~/january'", "hydra.run.dir='~/runs/x'"])
    assert resolve(cfg)["audit"]["baseline"] == f"{home}/january"
    with run_place(cfg, {}) as place:
        assert place.path == Path(home, "runs", "x")
        assert place.path.is_dir()
    assert list(tmp_path.iterdir()) == []


def test_two_runs_of_one_second_have_two_places(home, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    cfg = compose_config([])
    with run_place(cfg, {}) as one, run_place(cfg, {}) as two:
        assert re.fullmatch(r"runs/\d{4}-\d\d-\d\d/\d\d-\d\d-\d\d", str(one.path))
        assert str(two.path) == f"{one.path}-2"
    assert not (tmp_path / "runs").exists()


def test_resume_reads_a_value_as_simulate_does(home):
    assert _value("task.data_dir=~/rows") == f"{home}/rows"
    assert _value("audit.baseline=null") is None
    assert _value("rounds=3") == 3
    assert _value("rounds=010") == "010"  # no octal number
    for word in ("rounds=1,2", "rounds=[1"):
        with pytest.raises(UserError, match=r"has several values|cannot be read"):
            _value(word)


def test_an_option_and_a_sites_file_name_paths_in_the_home_folder(home, tmp_path):
    parser = Parser()
    parser.add_argument("--out", type=Path)
    assert parser.parse_args(["--out=~/x.csv"]).out == Path(home, "x.csv")
    paths = {"data_dir": "~/d", "state_dir": "~/s", "identity": "~/i.key", "roster": "~/r.json"}
    values = changed(site_values("a:1"), authority="~/ca.crt", node_key="~/n.key", client=paths)
    file = tmp_path / "north.yaml"
    file.write_text(yaml.safe_dump(values))
    cfg = read_site_config(file)
    assert (cfg.authority, cfg.node_key) == (f"{home}/ca.crt", f"{home}/n.key")
    assert {key: cfg.client[key] for key in paths} == {
        key: value.replace("~", home) for key, value in paths.items()
    }


def test_a_home_that_there_is_not_is_one_sentence_whose_advice_works():
    with pytest.raises(UserError, match=r"no home folder ~nobody-9 here; .* or \./~nobody-9/x for"):
        at_home("~nobody-9/x")
    assert at_home("./~nobody-9/x") == "./~nobody-9/x"


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("hydra.sweeper.study_name=größe", "größe"),
        ("a.b=x(1", "x(1"),
        ("a.b=it's (1)", "it's (1)"),
        ('a.b=say "x" $HOME `ls`', 'say "x" $HOME `ls`'),
        ("a.b=c\\", "c\\"),
        ("task.clients=[berlin,köln, oslo]", ["berlin", "köln", "oslo"]),
        ("a.b=[ö", "[ö"),
    ],
)
def test_what_a_sentence_says_to_write_can_be_pasted_into_a_shell(word, value):
    advice = why_unreadable(word).partition("write ")[2].removesuffix(".")
    pasted = subprocess.run(
        ["bash", "-c", f"printf %s {advice}"], capture_output=True, text=True, check=True
    ).stdout
    assert parse_override(pasted).value() == value
    assert not re.search("Exception|mismatched|viable|EOF", why_unreadable(word))


def test_what_is_no_key_or_has_several_values_is_said():
    assert why_unreadable("rounds") == "The argument 'rounds' is no KEY=VALUE."
    assert "'a b' is no config key" in why_unreadable("a b=1")
    advice = why_ambiguous("a.b=1,2").partition("or write ")[2].split("'")[1]
    assert parse_override(advice).value() == "1,2"


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("audit=true", "The config key audit is true, but must be keys with values."),
        ("audit=null", "The config key audit is null, but must be keys with values."),
        ('task.data_dir="\\\\${x}"', r"a text that holds it is written \\\$\{KEY\}"),
    ],
)
def test_what_is_no_section_or_no_key_is_one_sentence(override, said):
    with pytest.raises(UserError, match=said):
        resolve(compose_config(["task=csv", override]))


def test_a_text_with_the_sign_of_another_key_is_read_as_the_sentence_says(tmp_path):
    config = compose_config(["task=heart", 'task.data_dir="a\\${x}"'])
    assert resolve(config)["task"]["data_dir"] == "a${x}"
