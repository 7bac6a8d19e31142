"""The section `preprocessing`, and the files that fill it."""

from pathlib import Path

import pytest
import yaml

from calyx.config.section import parse
from calyx.errors import ConfigError
from calyx.preprocessing.config import PreprocessingConfig

FOLDER = Path(__file__).resolve().parents[3] / "conf" / "preprocessing"
FILES = [f for f in sorted(FOLDER.glob("*.yaml")) if f.stem != "auto"]  # which no order carries


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_file_is_a_whole_section_of_its_own_name(file):
    cfg = parse(PreprocessingConfig, yaml.safe_load(file.read_text()), "preprocessing")
    assert cfg.name == file.stem


def test_none_changes_no_value():
    (file,) = (f for f in FILES if f.stem == "none")
    cfg = parse(PreprocessingConfig, yaml.safe_load(file.read_text()), "preprocessing")
    chosen = (cfg.numeric_imputation, cfg.categorical_imputation, cfg.scaling, cfg.outliers)
    assert chosen == ("none", "none", "none", "keep")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"iqr_factor": 0}, r"preprocessing\.iqr_factor is 0"),
        ({"outliers": "drop"}, r"preprocessing\.outliers is \"drop\""),
        ({"scaling": None}, r"preprocessing\.scaling is null"),
        ({"sclaing": "none"}, r"preprocessing\.sclaing does not exist"),
    ],
)
def test_a_value_that_is_not_allowed_is_refused_by_its_key(change, sentence):
    section = yaml.safe_load(FILES[0].read_text())
    with pytest.raises(ConfigError, match=sentence):
        parse(PreprocessingConfig, section | change, "preprocessing")
