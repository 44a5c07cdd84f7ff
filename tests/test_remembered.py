"""What a description comes to is found once for each object, and never taken for that of another."""

from __future__ import annotations

from models.remembered import MOST, remembered


def test_it_is_made_once_for_an_object() -> None:
    made: list[tuple[int, ...]] = []

    @remembered
    def doubled(numbers: tuple[int, ...]) -> list[int]:
        made.append(numbers)
        return [2 * number for number in numbers]

    one = tuple(range(3))
    assert doubled(one) is doubled(one)
    assert doubled(one) == [0, 2, 4]
    assert made == [(0, 1, 2)]


def test_objects_that_are_no_more_leave_nothing_to_those_that_take_their_place() -> None:
    @remembered
    def first(numbers: list[int]) -> int:
        return numbers[0]

    assert [first([number]) for number in range(3 * MOST)] == list(range(3 * MOST))
