"""A job on a config that is composed already: as in Hydra's own `main`."""

import os

import pytest

from calyx.cli.hydra_program import compose_config, run_composed, run_hydra
from calyx.errors import ConfigError


def test_a_composed_job_sees_what_hydras_main_would_show_it(tmp_path):
    """Oracle: Hydra's `main`."""
    from hydra.core.hydra_config import HydraConfig

    seen = []

    def job(*_):
        hydra = HydraConfig.get()
        facts = (hydra.runtime.output_dir, list(hydra.overrides.task), dict(hydra.runtime.choices))
        seen.append((os.getcwd(), os.environ["CALYX_TEST"], *facts))

    words = ["seed=3", "+hydra.job.env_set.CALYX_TEST=yes", "hydra.job.chdir=true"]
    run_composed(compose_config(words), tmp_path / "run", job)
    run_hydra([*words, f"hydra.run.dir={tmp_path / 'run'}"], job)
    assert seen[0] == seen[1]
    assert (os.getcwd() != seen[0][0], "CALYX_TEST" in os.environ) == (True, False)


def test_a_failure_is_raised_as_it_is(tmp_path):
    def job():
        raise ConfigError("no")

    with pytest.raises(ConfigError, match=r"^no$"):
        run_composed(compose_config([]), tmp_path / "run", job)
