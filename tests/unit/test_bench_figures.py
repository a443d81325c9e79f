"""What the benchmark reads off `wrk`, as it prints it."""

from __future__ import annotations

import pytest

from scripts.bench.measure import RunFailed
from scripts.bench.serving import read_wrk

TOLD = """Running 6s test @ http://127.0.0.1:8080/
  1 threads and 8 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     7.58ms    2.12ms  40.11ms   90.00%
  Latency Distribution
     50%    7.09ms
     99%   {p99}
  5315 requests in 5.00s, 0.99MB read
{more}Requests/sec:   1063.17
Transfer/sec:    203.46KB
"""


@pytest.mark.parametrize("p99,milliseconds", [("23.52ms", 23.52), ("812.00us", 0.812), ("1.25s", 1250.0)])
def test_the_figures_of_a_load_are_read(p99: str, milliseconds: float) -> None:
    load = read_wrk(TOLD.format(p99=p99, more=""))
    assert load.per_second == 1063.17
    assert load.p99_ms == pytest.approx(milliseconds)


@pytest.mark.parametrize(
    "more", ["  Non-2xx or 3xx responses: 7\n", "  Socket errors: connect 0, read 3, write 0, timeout 0\n"]
)
def test_a_load_that_was_not_answered_is_no_figure(more: str) -> None:
    with pytest.raises(RunFailed):
        read_wrk(TOLD.format(p99="1.00ms", more=more))


def test_output_without_figures_is_no_figure() -> None:
    with pytest.raises(RunFailed, match="no figures"):
        read_wrk("unable to connect")
