"""monitor.shadow: a candidate that follows the daemon's store, goes on where it was, and counts nothing twice."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from models.artifact import load_header
from monitor import checkpoint
from monitor.models_in_use import Use
from monitor.records import Transition
from monitor.shadow import Shadow, ShadowError, reports
from monitor.store import Store
from tests.shadow_samples import FAILS, PERIOD_MS, TICKS, House, lax, twin
from tests.store_samples import result

if TYPE_CHECKING:
    from pathlib import Path

    from monitor.side_by_side import SideBySide


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def shadow_of(house: House, model: Path) -> Shadow:
    return Shadow(house.state, house.store, "engine", model, load_header(model))


def follow(shadow: Shadow) -> list[tuple[str, str]]:
    """Catch up; of whom what was said."""
    told = []
    while (events := shadow.advance()) is not None:
        told += [(event.stream, str(event.transition)) for event in events]
    return told


def only(house: House) -> SideBySide:
    ((_, found),) = reports(house.state, house.store)
    return found


def test_the_same_model_in_its_own_shadow_raises_the_same(house: House, tmp_path: Path) -> None:
    """Every score, and the incident; nothing of it reaches the daemon's store."""
    shadow = shadow_of(house, twin(tmp_path, "second"))
    assert shadow.advance() is None
    house.take()
    before = house.store.heads(), house.store.facts()
    assert follow(shadow) == [(FAILS, "fired")]
    found = shadow.report()
    length = load_header(tmp_path / "second").window
    assert found.rows == 2 * (TICKS - length + 1)
    assert found.asset_hours == pytest.approx(found.rows * PERIOD_MS / 3_600_000)
    assert (found.first.incidents, found.second.incidents, found.both) == (1, 1, 1)
    assert found.first == found.second
    assert (house.store.heads(), house.store.facts()) == before
    shadow.close()
    assert only(house) == found


def test_a_laxer_candidate_is_told_apart(house: House, tmp_path: Path) -> None:
    """It misses what the model in use found and an operator judged real."""
    shadow = shadow_of(house, lax(tmp_path, "lax"))
    house.take()
    assert follow(shadow) == []
    (incident,) = house.store.open_incidents(FAILS)[:1]
    verdict = replace(incident, event_id="v", transition=Transition.VERDICT, summary="real")
    house.store.write(10_000, result(events=[verdict]))
    found = shadow.report()
    assert [each.incident_id for each in found.missed_real] == [incident.incident_id]
    assert (found.both, found.only_second) == (0, [])
    assert (found.first.above or 0) > 0.01
    assert found.second.above == 0
    shadow.close()


@pytest.mark.parametrize("kept", [True, False])
def test_killed_and_started_again_it_goes_on_where_it_was(house: House, tmp_path: Path, *, kept: bool) -> None:
    """Before or behind a checkpoint, with rows taken since: as if nothing had happened."""
    model = twin(tmp_path, "second")
    for share in (0.3, 0.55, 0.7, 1.0):
        shadow = shadow_of(house, model)
        follow(shadow)
        if kept and share > 0.5:
            shadow.checkpoint()
        house.take(share)
        shadow.advance()
        shadow._own.close()  # no checkpoint, as after kill -9
        shadow._lock.close()
    shadow = shadow_of(house, model)
    follow(shadow)
    found = shadow.report()
    length = load_header(model).window
    assert found.rows == 2 * (TICKS - length + 1)
    assert found.first == found.second
    assert found.both == 1
    shadow.close()


def test_a_checkpoint_that_is_damaged_is_passed_over(house: House, tmp_path: Path) -> None:
    model = twin(tmp_path, "second")
    shadow = shadow_of(house, model)
    house.take(0.5)
    follow(shadow)
    shadow.close()
    newest, _ = checkpoint.saved(shadow.folder)
    newest.write_bytes(b"rubbish")
    shadow = shadow_of(house, model)
    house.take()
    follow(shadow)
    assert shadow.report().first == shadow.report().second
    shadow.close()


def test_against_another_model_it_counts_anew(house: House, tmp_path: Path) -> None:
    """What was found beside the first is not held for or against the second; windows go on."""
    shadow = shadow_of(house, twin(tmp_path, "second"))
    house.take(0.6)
    follow(shadow)
    assert shadow.report().rows > 0
    house.use(Use("third", "f" * 64, 60, 0, "promote"))
    house.take(0.8)
    follow(shadow)
    assert shadow.about.against_model == "third"
    assert shadow.report().rows == 0  # the rows are still of the model before
    assert not shadow.is_in_use()
    house.use(Use("second", shadow.about.hash, 60, 0, "promote"))
    assert shadow.is_in_use()
    shadow.close()


def test_what_does_not_fit_is_told_in_one_sentence(house: House, tmp_path: Path) -> None:
    second = twin(tmp_path, "second")
    header = load_header(second)
    first = shadow_of(house, second)
    with pytest.raises(ShadowError, match="another process has second in the shadow already"):
        shadow_of(house, second)
    first.close()
    with pytest.raises(ShadowError, match="the daemon has no class pump"):
        Shadow(house.state, house.store, "pump", second, header)
    slow = twin(tmp_path, "slow", period_ms=1000)
    with pytest.raises(ShadowError, match="differ in the period: 500 ms and 1000 ms"):
        shadow_of(house, slow)
    house.take(0.3)
    goes_on = shadow_of(house, second)
    follow(goes_on)
    goes_on.close()
    house.store.close()
    (house.state / "store.db").unlink()
    house.store = Store(house.state / "store.db")
    house.store.note({"line": house.spec.encode().decode()})
    with pytest.raises(ShadowError, match="the daemon's store began anew: delete "):
        shadow_of(house, second)
