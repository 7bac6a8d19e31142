"""The section `serve`: of serve.yaml, and of words such as `serve.port=9000`. Typed once, here.

Each part of the gateway has a dataclass of its own in its own file; here they are only listed.
"""

from dataclasses import field
from typing import Annotated, Literal

from pydantic import Field

from calyx.config.section import NonNegativeFloat, PositiveInt, config
from calyx.serving.access_config import JwtConfig, LimitsConfig, TlsConfig
from calyx.serving.log_config import LogConfig
from calyx.serving.stealing import DetectorConfig

Answer = Literal["probabilities", "label_and_probabilities", "label"]
MOST_BODY_BYTES = 2**28  # nothing larger is ever held for one request


@config
class ServeConfig:
    """How a release is served, and to whom. Without keys, nobody is answered."""

    host: str = "127.0.0.1"  # address that is listened on; loopback unless TLS is configured
    port: Annotated[int, Field(ge=0, le=65535)] = 8443  # 0: any that is free
    replicas: Annotated[int, Field(ge=1, le=64)] = 1  # processes behind the one address
    answer: Answer = "label_and_probabilities"  # what of a prediction is told
    digits: Annotated[int, Field(ge=1, le=15)] = 3  # decimals of a probability
    coverage: Annotated[float, Field(gt=0, lt=1)] | None = None  # of prediction sets; None: no sets
    batch_rows: Annotated[int, Field(ge=1, le=100_000)] = 1_000  # rows of one request
    body_bytes: Annotated[int, Field(ge=1_000, le=MOST_BODY_BYTES)] = 2**22  # of one request
    state_dir: str = "serve-state"  # folder: what is remembered across restarts
    poll_s: Annotated[float, Field(ge=0.05, le=3600)] = 1.0  # between two looks for a new release
    drain_s: PositiveInt = 30  # how long a stop waits for requests that are under way
    keys: str | None = None  # file of `calyx keys gateway`; None: no API key opens anything
    jwt: JwtConfig | None = None  # tokens that somebody else signs; None: none opens anything
    tls: TlsConfig | None = None  # None: plain HTTP, on loopback only
    limits: LimitsConfig = field(default_factory=LimitsConfig)  # of one caller, and of connections
    # By how much the test score of a release that takes over may be lower; a score is 1 at best.
    worse_by: NonNegativeFloat = 0.05
    new_schema: bool = False  # whether a release with other columns or classes may take over
    detector: DetectorConfig = field(default_factory=DetectorConfig)  # of model stealing
    log: LogConfig = field(default_factory=LogConfig)  # of decisions
