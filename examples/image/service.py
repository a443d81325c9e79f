"""A model with a web service of its own: the trend of a row of numbers. Standard library only."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PORT = 8080
MAX_BODY_BYTES = 1_000_000


def trend(values: list[float]) -> dict[str, float]:
    """The straight line through the values with the least squared distance, and where it goes next."""
    count = len(values)
    middle, mean = (count - 1) / 2, sum(values) / count
    spread = sum((place - middle) ** 2 for place in range(count))
    slope = sum((place - middle) * (value - mean) for place, value in enumerate(values)) / spread if spread else 0.0
    return {"slope": slope, "next": mean + slope * (count - middle)}


class Service(BaseHTTPRequestHandler):
    """`POST /v1/trend`, `GET /v1/about` and `GET /healthz`."""

    def do_GET(self) -> None:
        """Health and facts."""
        if self.path == "/healthz":
            self.answer(200, {"healthy": True})
        elif self.path == "/v1/about":
            self.answer(200, {"model": "trend", "version": "1.0"})
        else:
            self.answer(404, {"error": "no such path"})

    def do_POST(self) -> None:
        """A prediction."""
        length = int(self.headers.get("Content-Length") or 0)
        if self.path != "/v1/trend" or length > MAX_BODY_BYTES:
            self.answer(404 if self.path != "/v1/trend" else 413, {"error": "no such path, or too long"})
            return
        try:
            values = [float(value) for value in json.loads(self.rfile.read(length))["values"]]
            self.answer(200, trend(values))
        except (ValueError, KeyError, TypeError, ZeroDivisionError):
            self.answer(400, {"error": 'send {"values": [numbers]}'})

    def answer(self, status: int, value: object) -> None:
        """Send JSON."""
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    ThreadingHTTPServer(("", PORT), Service).serve_forever()
