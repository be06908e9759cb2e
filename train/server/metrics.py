"""What is counted, for Prometheus: numbers and names of our own, nothing of what was asked or answered."""

from __future__ import annotations

from typing import Any


class Metrics:
    """The counters of one server, in a registry of their own."""

    def __init__(self) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

        self.registry = CollectorRegistry()

        def named(kind: Any, name: str, text: str, labels: tuple[str, ...] = (), **more: Any) -> Any:
            return kind(f"aac_{name}", text, labels, registry=self.registry, **more)

        self.requests = named(Counter, "requests", "Answers of the server", ("route", "status"))
        self.seconds = named(Histogram, "request_seconds", "From a request to its answer", ("route",))
        self.sentences = named(Counter, "sentences", "Sentences by who wrote them", ("source",))
        self.shared = named(Counter, "shared", "Requests answered by the computation of an equal one")
        self.dropped = named(Counter, "dropped", "Requests that were not computed", ("why",))
        self.together = named(Histogram, "batch_size", "Requests decoded together", buckets=tuple(range(1, 9)))
        self.waiting = named(Gauge, "waiting", "Requests in line")

    def text(self) -> bytes:
        """In Prometheus' format."""
        from prometheus_client import generate_latest

        return generate_latest(self.registry)
