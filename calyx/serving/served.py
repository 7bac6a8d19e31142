"""One release as it is served: everything that is made of it once, and asked for every request."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from calyx.data.schema import Schema
from calyx.errors import CalyxError
from calyx.releases.predictor import Predictor, load_predictor
from calyx.releases.reading import Release
from calyx.seeding import rng
from calyx.serving.answers import Answers
from calyx.serving.config import ServeConfig
from calyx.serving.coverage import Coverage
from calyx.serving.description import Description, describe
from calyx.serving.drift_counts import DriftCounts
from calyx.serving.holds import Holds
from calyx.serving.population import Population, read_population
from calyx.serving.reference import draw_reference, draw_rows
from calyx.serving.rows import RowReader
from calyx.serving.stealing import Detector

HOLDS = "stopped"  # folder in serve.state_dir: callers that the detector has stopped


@dataclass(frozen=True, eq=False)
class Served:
    """A verified release, its model, and who reads, writes, counts and watches by its schema."""

    release: Release
    predictor: Predictor
    reader: RowReader
    answers: Answers
    population: Population
    detector: Detector
    drift: DriftCounts
    description: Description

    @property
    def version(self) -> int:
        """Of the release, in its chain."""
        return self.release.manifest.version

    @property
    def schema(self) -> Schema:
        """Columns and classes."""
        return self.predictor.schema

    @cached_property
    def named(self) -> dict[str, str | int]:
        """How an answer names the release."""
        manifest = self.release.manifest
        return {"name": manifest.name, "version": manifest.version, "digest": self.release.digest}


def make_served(release: Release, cfg: ServeConfig) -> Served:
    """Load a release's model and prepare to answer by it, and answer once, so that nobody waits for it.

    Raises CalyxError where the model does not load here, or `cfg` asks for what it cannot give; and
    UserError where serve.state_dir cannot be written.
    """
    predictor = load_predictor(release)
    schema = predictor.schema
    try:
        population = read_population(schema, release.card.baseline)
    except ValueError as error:
        raise CalyxError(
            f"The release's card does not fit its model: {error}; make it again."
        ) from None
    reference = draw_reference(schema, population, predictor.prepare)
    predictor.predict(draw_rows(schema, population, rng(0, "serving-warm-up"), 1))
    coverage = None if cfg.coverage is None else Coverage(release.card, schema, cfg.coverage)
    return Served(
        release=release,
        predictor=predictor,
        reader=RowReader(schema, cfg.batch_rows),
        answers=Answers(schema, cfg.answer, cfg.digits, coverage),
        population=population,
        detector=Detector(cfg.detector, population, reference, Holds(Path(cfg.state_dir) / HOLDS)),
        drift=DriftCounts(population),
        description=describe(release, schema, cfg),
    )
