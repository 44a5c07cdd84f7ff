"""How a chart goes on row by row: the points come to what their rows are, by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.browser.chromium import Page

TAKE = """
const [given, rows, done] = arguments;
import("/page/history.js").then(({ History }) => {
  const history = new History(given);
  const leaps = [260_000, 700_000, 86_400_000].map((time) => history.leaps({ time: [time] }));
  const had = rows.map((each) => history.take(each));
  done({ ...history, going: null, had, leaps });
}, (error) => done(String(error)));
"""


def sensor(**values: Any) -> dict[str, Any]:
    return {"name": "flow", **values}


def rows(position: int, time: list[int], score: list[float | None], flow: list[float | None]) -> dict[str, Any]:
    count = len(time)
    return {
        "position": position, "time": time, "score": score, "threshold": [1.0] * count,
        "status": ["warming_up" if each is None else "scored" for each in score], "regime": ["all"] * count,
        "sensors": {"flow": {"actual": flow, "expected": [3.0] * count, "contribution": score}},
    }  # fmt: skip


def test_rows_go_on_where_the_daemon_s_points_end(page: Page) -> None:
    """Points of ten seconds over thirty: lowest, mean and highest of each; the oldest goes as a new one comes.

    A row a day ahead is none to go on with.
    """
    nothing = {"low": [None] * 3, "mean": [None] * 3, "high": [None] * 3}
    given = {
        "from": 0, "to": 20_000, "width": 10_000, "position": 5, "time": [0, 10_000, 20_000],
        "contributions": None,
        "score": {**nothing, "threshold": [None] * 3, "rows": [0] * 3, "scored": [0] * 3, "status": [None] * 3},
        "sensors": [sensor(**nothing, expected=[None] * 3)],
    }  # fmt: skip
    steps = [
        rows(6, [11_000, 12_000], [0.5, 0.7], [1, 5]),
        rows(7, [], [], []),
        rows(8, [19_000, 21_000, 31_000], [0.9, None, 0.2], [None, 7, 8]),
        rows(9, [1_000], [9.0], [9]),
    ]
    page.open("#/health")
    said = page.driver.execute_async_script(TAKE, given, steps)
    assert (said["position"], said["had"]) == (9, [True, False, True, True])
    assert said["leaps"] == [False, True, True]
    assert said["time"] == [10_000, 20_000, 30_000]
    score, flow = said["score"], said["sensors"][0]
    assert (score["rows"], score["scored"]) == ([3, 1, 1], [3, 0, 1])
    assert (score["low"], score["high"]) == ([0.5, None, 0.2], [0.9, None, 0.2])
    assert score["mean"] == [pytest.approx(0.7), None, pytest.approx(0.2)]
    assert score["status"] == ["scored", "warming_up", "scored"]
    assert (flow["low"], flow["mean"], flow["high"]) == ([1, 7, 8], [3, 7, 8], [5, 7, 8])
    assert flow["expected"] == [3, 3, 3]
