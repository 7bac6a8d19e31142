"""What a monitor reads at /metrics, as Prometheus has it: counts and times, and no caller's name or row.

Replicas count together: each writes to files of its own in `PROMETHEUS_MULTIPROC_DIR`, which whoever
starts them sets, and whichever is asked adds them up. See docs/decisions/0087.
"""

import os

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from calyx.serving.drift_counts import DriftCounts

FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # prometheus-client's own name
_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)  # seconds


class Metrics:
    """The counts of one process."""

    def __init__(self) -> None:
        """Begin at zero."""
        registry = self._registry = CollectorRegistry()
        if os.environ.get(FOLDER):
            self._registry = CollectorRegistry()
            MultiProcessCollector(self._registry)  # type: ignore[no-untyped-call]
        self._requests = Counter(
            "calyx_requests", "Requests by path and status.", ("path", "status"), registry=registry
        )
        self._seconds = Histogram(
            "calyx_request_seconds",
            "From a request's head to its answer.",
            ("path",),
            registry=registry,
            buckets=_BUCKETS,
        )
        self._rows = Counter("calyx_rows", "Rows that were answered.", registry=registry)
        self._unusual = Counter(
            "calyx_unusual_rows", "Rows with a value far from the training's.", registry=registry
        )
        self._values = Counter(
            "calyx_values",
            "Values by the cells of the release's baseline: what is asked, to compare with it.",
            ("version", "column", "cell"),
            registry=registry,
        )
        self._swaps = Counter(
            "calyx_swaps", "Releases that were taken or refused.", ("outcome",), registry=registry
        )
        self._alerts = Counter(
            "calyx_stealing_alerts", "Callers that became suspected.", registry=registry
        )
        self._version = Gauge(
            "calyx_release_version",
            "Version of the release that answers; of several replicas the lowest.",
            registry=registry,
            multiprocess_mode="livemin",
        )
        # Children by their labels: to look one up costs more than to count in it.
        self._children: dict[tuple[str, int], tuple[Counter, Histogram]] = {}
        self._told: dict[tuple[int, str, str], int] = {}

    def count_request(self, path: str, status: int, seconds: float) -> None:
        """One request; `path` is one that the gateway has, or "other"."""
        pair = self._children.get((path, status))
        if pair is None:
            pair = self._requests.labels(path, str(status)), self._seconds.labels(path)
            self._children[path, status] = pair
        pair[0].inc()
        pair[1].observe(seconds)

    def count_rows(self, rows: int, unusual: int) -> None:
        """Rows of one request that were answered."""
        self._rows.inc(rows)
        if unusual:
            self._unusual.inc(unusual)

    def count_alert(self) -> None:
        """A caller became suspected of stealing the model."""
        self._alerts.inc()

    def take(self, version: int) -> None:
        """A release of this version answers from now on."""
        self._version.set(version)
        self._swaps.labels("taken").inc()

    def refuse(self) -> None:
        """A release was refused."""
        self._swaps.labels("refused").inc()

    def note_values(self, version: int, drift: DriftCounts) -> None:
        """Bring the counts of values up to date; once a second, not at each request."""
        for cell in drift.each():
            key = version, cell.column, cell.cell
            more = cell.count - self._told.get(key, 0)
            if more:
                self._values.labels(str(version), cell.column, cell.cell).inc(more)
                self._told[key] = cell.count

    def write(self) -> bytes:
        """All of it, of all replicas, in Prometheus' text format."""
        text: bytes = generate_latest(self._registry)
        return text
