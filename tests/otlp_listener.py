"""An OpenTelemetry collector on the loopback interface, as far as metrics over HTTP go: it keeps what arrives."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest


@dataclass(frozen=True)
class Collected:
    """One data point.

    Attributes:
        name: Its metric, prefix included.
        tags: Its attributes.
        value: A counter's sum, or the sum of a histogram.
    """

    name: str
    tags: dict[str, str]
    value: float


class OtlpListener:
    """Receives until it is closed.

    Args:
        answer_after_s: How long it thinks about each answer.

    Attributes:
        collected: What has arrived.
    """

    def __init__(self, answer_after_s: float = 0.0) -> None:
        self.collected: list[Collected] = []
        self._closing = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self, answer_after_s, self._closing))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def __enter__(self) -> OtlpListener:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def settings(self) -> dict[str, str]:
        """The variables that make Airflow send here."""
        return {
            "AIRFLOW__METRICS__OTEL_ON": "True",
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{self._server.server_address[1]}",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        }

    def take(self, body: bytes) -> None:
        """Keep the data points of one request."""
        for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    kind = metric.WhichOneof("data")
                    for point in getattr(metric, kind).data_points:
                        value = point.sum if "histogram" in kind else point.as_double or point.as_int
                        tags = {each.key: each.value.string_value for each in point.attributes}
                        self.collected.append(Collected(name=metric.name, tags=tags, value=value))


def _handler(listener: OtlpListener, answer_after_s: float, closing: threading.Event) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            closing.wait(answer_after_s)
            if self.path == "/v1/metrics":
                listener.take(body)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            return

    return Handler
