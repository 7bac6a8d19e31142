"""The sections of an order's terms, read once and typed; task and strategy read their own."""

from dataclasses import dataclass

from calyx.config.section import parse
from calyx.model.training_config import TrainingConfig
from calyx.preprocessing.config import PreprocessingConfig
from calyx.privacy.section import PrivacyConfig
from calyx.run.order import Terms
from calyx.survey.blocks import StatisticsConfig


@dataclass(frozen=True)
class Sections:
    """What an order says of training, preprocessing, privacy and statistics."""

    training: TrainingConfig
    preprocessing: PreprocessingConfig
    privacy: PrivacyConfig
    statistics: StatisticsConfig


def read_sections(terms: Terms) -> Sections:
    """All four. Raises ConfigError for a value that nothing could be learned with."""
    return Sections(
        parse(TrainingConfig, terms.training, "training"),
        parse(PreprocessingConfig, terms.preprocessing, "preprocessing"),
        parse(PrivacyConfig, terms.privacy, "privacy"),
        parse(StatisticsConfig, terms.statistics, "statistics"),
    )
