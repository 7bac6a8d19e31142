"""The README is a door: its first screen, its path for rows of one's own, and its links lead on.

Its path on separate machines is docs/deploy.md's, which test_deploy_page.py follows; its sweeps are
run by test_commands.py.
"""

import json
import re
import shlex
import shutil

import pytest
from support.csv_files import write_folder
from support.pages import ROOT

from calyx.files.plain import read_lines

README = (ROOT / "README.md").read_text()
FIGURES = re.compile(r"^ *(\S.*?)  +(0\.\d{3})\b", re.MULTILINE)  # a model, and its accuracy
FILES = {
    "config.yaml",
    "statistics.json",
    "audit.json",
    "rounds.jsonl",
    "clients",
    "clients.jsonl",
    "events.jsonl",
    "checkpoints",
    "model.safetensors",
    "summary.json",
    "report.html",
}


def blocks_of(heading):
    """Lines of the shell blocks below a heading, without their comments."""
    section = README.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    return [shlex.split(line, comments=True) for block in blocks for line in block.splitlines()]


@pytest.mark.e2e
def test_the_first_command_shows_the_first_screen_and_leaves_its_folder(calyx, tmp_path):
    ended = calyx("simulate")
    assert ended.returncode == 0, ended.stderr
    shown, promised = (dict(FIGURES.findall(text)) for text in (ended.stdout, README))
    assert len(promised) == 5
    assert list(shown) == list(promised)
    for model, accuracy in promised.items():  # on another kind of CPU the last bits are others
        assert float(shown[model]) == pytest.approx(float(accuracy), abs=0.02), model
    (folder,) = (path.parent for path in tmp_path.glob("runs/*/*/summary.json"))
    assert {path.name for path in folder.iterdir()} == FILES
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["rounds"] == len(read_lines(folder / "rounds.jsonl"))
    assert summary["baselines"]["federated"] == pytest.approx(summary["test_accuracy"], abs=1e-6)


@pytest.mark.e2e
def test_the_path_for_rows_of_ones_own_leads_to_predictions(calyx, tmp_path):
    rows = write_folder(tmp_path / "rows")
    (rows / "schema.yaml").unlink()
    shutil.copy(rows / "site-1.csv", tmp_path / "new.csv")
    for program, *words in blocks_of("Your own rows"):
        assert program == "calyx"
        ended = calyx(*words)
        assert ended.returncode == 0, f"{words}\n{ended.stdout}{ended.stderr}"
    summary = json.loads((tmp_path / "runs/sick/summary.json").read_text())
    assert summary["privacy"] == "secagg"
    assert summary["test_accuracy"] > summary["test_majority"]
    assert (tmp_path / "runs/sick/report.html").is_file()
    answers = (tmp_path / "predictions.csv").read_text().splitlines()
    assert len(answers) == len((tmp_path / "new.csv").read_text().splitlines())


def test_the_path_on_separate_machines_is_that_of_its_page():
    page = (ROOT / "docs/deploy.md").read_text()
    lines = [shlex.join(words) for words in blocks_of("Separate machines")]
    assert [words.split()[1] for words in lines] == ["server", "client", "submit"]
    assert [line for line in lines if line not in page] == []


def test_the_readme_has_the_two_commands_and_is_short():
    assert "scripts/simulate" in README
    assert "scripts/test" in README
    assert len(README.splitlines()) <= 120


def test_every_link_of_the_readme_leads_somewhere():
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if not link.startswith("http")]
    assert len(links) > 10
    assert [link for link in links if not (ROOT / link).exists()] == []
