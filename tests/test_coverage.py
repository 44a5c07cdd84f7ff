"""The shares of an asset's time: every moment has one reason, whatever the stretches are."""

from __future__ import annotations

import math
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from monitor.coverage import SCORED, UNKNOWN, Stretch, coverage
from tests.line_samples import FAST, START, Line, asked, quick, shipped
from tests.test_ledger import kept, running

STATUSES = st.sampled_from([(SCORED, ""), ("gap", ""), ("no_readings", ""), ("regime", "off"), ("offline", "")])
STRETCHES = st.lists(
    st.builds(
        lambda start, length, status: Stretch("a", start, start + length, *status),
        st.integers(0, 40),
        st.integers(0, 12),
        STATUSES,
    ),
    unique_by=lambda each: each.start,  # as the store keeps them
)


@FAST
@given(stretches=STRETCHES, since=st.integers(0, 30))
def test_the_shares_add_up_to_one_and_every_moment_has_the_reason_that_counts(
    stretches: list[Stretch], since: int
) -> None:
    """Moment by moment: what was scored, else what began last, else nothing is known."""
    moments = range(since, max((each.end for each in stretches if each.start < each.end), default=0))
    reasons = []
    for moment in moments:
        there = [each for each in stretches if each.start <= moment < each.end]
        scored = [each for each in there if each.status == SCORED]
        latest = max(scored or there, key=lambda each: each.start, default=None)
        reasons.append(UNKNOWN if latest is None else latest.reason)
    while reasons and reasons[0] == UNKNOWN:  # before the first stretch the asset was not there
        reasons.pop(0)
    found = coverage(sorted(stretches, key=lambda each: each.start), since)
    if not reasons:
        assert found == []
        return
    (asset,) = found
    counts = Counter(reasons)
    assert asset.scored == counts.pop(SCORED, 0)
    assert asset.reasons == counts
    assert asset.scored + sum(asset.reasons.values()) == asset.total == len(reasons)
    assert math.isclose(asset.share + sum(spent / asset.total for spent in asset.reasons.values()), 1)
    assert sum(gap.end - gap.start for gap in asset.gaps) == asset.total - asset.scored


def test_stretches_of_one_reason_behind_each_other_are_one() -> None:
    parts = [(0, 5, "scored", ""), (5, 9, "scored", ""), (9, 10, "regime", "off"), (10, 12, "regime", "start")]
    (found,) = coverage([Stretch("a", *part) for part in parts], since=2)
    assert (found.start, found.end, found.scored, found.not_running) == (2, 12, 7, 3)
    assert [gap.reason for gap in found.gaps] == ["off", "start"]
    assert found.share_running == 1.0


def test_the_time_in_which_an_asset_was_forgotten_is_a_gap_with_its_reason() -> None:
    """Ten seconds, a quarter of an hour in which nobody knew it, ten seconds."""
    line = Line(quick(shipped())).listen()
    running(line, 0, 10)
    line.take(9_500, asked("forget", asset="plant//a"))
    running(line, 900, 20)
    parts = sorted(kept(line.results).items())
    (found,) = coverage([Stretch(stream, start, *rest) for (stream, start), rest in parts], since=0)
    assert found.start == START
    assert found.reasons == {UNKNOWN: 890_000, "warming_up": 8_000}
    assert found.scored + 898_000 == found.total
