from __future__ import annotations

import builtins
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from simulator.recording import RecordingError, read_recording, safe_name

if TYPE_CHECKING:
    from pathlib import Path

NAN = float("nan")


def csv(tmp_path: Path, text: str, name: str = "a.csv") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def parquet(tmp_path: Path, columns: dict[str, Any], name: str = "a.parquet") -> Path:
    path = tmp_path / name
    pq.write_table(pa.table(columns), path)
    return path


def test_a_file_is_one_asset_named_by_its_stem(tmp_path: Path) -> None:
    (only,) = read_recording([csv(tmp_path, "x,y\n1,2\n3,\n", "pump 7.csv")], period_ms=500)
    assert only.asset == "pump-7"
    assert only.sensors == ("x", "y")
    assert only.time.tolist() == [0, 500]
    assert only.time.dtype == np.int64
    assert only.values.dtype == np.float32
    np.testing.assert_array_equal(only.values, [[1, 2], [3, NAN]])


def test_rows_are_counted_for_each_asset(tmp_path: Path) -> None:
    """Interleaved assets, in the order of their first appearance, over two files."""
    first = csv(tmp_path, "who,x\nb,1\na,2\nb,3\n")
    second = csv(tmp_path, "who,x\na,4\n", "b.csv")
    b, a = read_recording([first, second], asset_column="who", period_ms=10)
    assert (b.asset, b.time.tolist(), b.values[:, 0].tolist()) == ("b", [0, 10], [1, 3])
    assert (a.asset, a.time.tolist(), a.values[:, 0].tolist()) == ("a", [0, 10], [2, 4])


def test_every_spelling_of_missing_is_nan(tmp_path: Path) -> None:
    path = csv(tmp_path, "x,y\n1,1\n,1\nNaN,1\nNA,1\nn/a,1\nnull,1\nNone, 1 \n")
    (only,) = read_recording([path], period_ms=1)
    assert np.isnan(only.values[:, 0]).tolist() == [False, *[True] * 6]
    assert (only.values[:, 1] == 1).all()


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_the_header_tells_the_delimiter(tmp_path: Path, delimiter: str) -> None:
    (only,) = read_recording([csv(tmp_path, f"x{delimiter}y\n1{delimiter}2.5\n")], period_ms=1)
    assert only.values.tolist() == [[1, 2.5]]


def test_a_byte_order_mark_and_quotes_are_no_part_of_names(tmp_path: Path) -> None:
    (only,) = read_recording([csv(tmp_path, '\ufeff"x, first",y\n"1",2\n')], period_ms=1)
    assert only.sensors == ("x, first", "y")


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["1000000000", "1000000001.5"], [1_000_000_000_000, 1_000_000_001_500]),  # seconds
        (["1600000000000", "1600000000500"], [1_600_000_000_000, 1_600_000_000_500]),  # milliseconds
        (["0", "0.25"], [0, 250]),
        (["1970-01-01 00:00:01", "1970-01-01T01:00:02+01:00"], [1000, 2000]),  # UTC where it names no zone
        (["2020-03-09T10:14:33.123Z", "2020-03-09T10:14:34Z"], [1_583_748_873_123, 1_583_748_874_000]),
    ],
)
def test_times_in_text_files(tmp_path: Path, cells: list[str], expected: list[int]) -> None:
    path = csv(tmp_path, "t,x\n" + "".join(f"{cell},1\n" for cell in cells))
    (only,) = read_recording([path], time_column="t")
    assert only.time.tolist() == expected


@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Berlin"])
@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_arrow_timestamps(tmp_path: Path, unit: str, zone: str | None) -> None:
    """Whatever their unit and zone, they are the same moments."""
    per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    time = pa.array([1_600_000_000 * per_second], pa.int64()).cast(pa.timestamp(unit, zone))
    (only,) = read_recording([parquet(tmp_path, {"t": time, "x": [1.0]})], time_column="t")
    assert only.time.tolist() == [1_600_000_000_000]


def test_rows_are_sorted_by_time_and_keep_their_order_within_one(tmp_path: Path) -> None:
    (only,) = read_recording([csv(tmp_path, "t,x\n2,1\n1,2\n2,3\n1,4\n")], time_column="t")
    assert only.time.tolist() == [1000, 1000, 2000, 2000]
    assert only.values[:, 0].tolist() == [2, 4, 1, 3]


def test_parquet_columns_of_every_kind(tmp_path: Path) -> None:
    """Dictionary text names the asset; whole numbers, booleans and nulls become float32 and NaN."""
    path = parquet(
        tmp_path,
        {
            "who": pa.array(["a/1", "b", "a/1"]).dictionary_encode(),
            "count": pa.array([1, None, 3], pa.int16()),
            "on": pa.array([True, False, None]),
            "level": pa.array([0.5, None, NAN], pa.float32()),
            "note": ["p", "q", "r"],
        },
    )
    first, second = read_recording([path], asset_column="who", period_ms=1000)
    assert (first.asset, second.asset) == ("a-1", "b")
    assert first.sensors == ("count", "on", "level")
    np.testing.assert_array_equal(first.values, [[1, 1, 0.5], [3, NAN, NAN]])
    np.testing.assert_array_equal(second.values, [[NAN, 0, NAN]])


def test_a_number_can_name_the_asset(tmp_path: Path) -> None:
    recordings = read_recording(
        [parquet(tmp_path, {"unit": [7, 8], "x": [1.0, 2.0]})], asset_column="unit", period_ms=1
    )
    assert [each.asset for each in recordings] == ["7", "8"]


def test_columns_are_chosen_in_order_and_renamed(tmp_path: Path) -> None:
    (only,) = read_recording([csv(tmp_path, "a,b,c\n1,2,3\n")], period_ms=1, columns=["c", "speed=a"])
    assert only.sensors == ("c", "speed")
    assert only.values.tolist() == [[3, 1]]


def test_text_columns_are_no_sensors_and_excluded_ones_neither(tmp_path: Path) -> None:
    (only,) = read_recording([csv(tmp_path, "a,note,b\n1,ok,2\n")], period_ms=1, exclude=["b"])
    assert only.sensors == ("a",)


@pytest.mark.parametrize(
    ("globs", "chosen"),
    [
        (["drive*"], ["drive1", "drive2", "drive-3"]),
        (["!drive2"], ["drive1", "drive-3", "idle1"]),
        (["drive*", "!*1"], ["drive2", "drive-3"]),
        (["drive/3"], ["drive-3"]),
    ],
)
def test_globs_select_assets(tmp_path: Path, globs: list[str], chosen: list[str]) -> None:
    path = csv(tmp_path, "who,x\ndrive1,1\ndrive2,1\ndrive/3,1\nidle1,1\n")
    recordings = read_recording([path], asset_column="who", period_ms=1, assets=globs)
    assert [each.asset for each in recordings] == chosen


def test_safe_names_can_stand_in_a_topic() -> None:
    assert safe_name(" a+b/c #1 ") == "a-b-c--1"


@pytest.mark.parametrize(
    ("text", "options", "sentence"),
    [
        ("x\n1\nbad\n", {}, r"a\.csv, line 3, column x: 'bad' is not a number"),
        ("x\n1\n\n1e99\n", {}, r"line 4, column x: 1e\+99 is out of range"),
        ("x\ninf\n", {}, "line 2, column x: inf is out of range"),
        ("x,y\n1\n", {}, "line 2: 1 fields where the header has 2"),
        ("x,x\n1,2\n", {}, "each name once"),
        ("", {}, "the first line must name the columns"),
        ("x\n", {}, "no rows in .*a.csv"),
        ("note\nok\n", {}, "has no column of numbers"),
        ("x\n1\n", {"columns": ["y"]}, "has no column y; it has x"),
        ("x\n1\n", {"columns": ["x", "x"]}, "gives no name, or one that is taken"),
        ("x\n1\n", {"exclude": ["z"]}, "no file has a column z to exclude"),
        ("x\n1\n", {"asset_column": "who"}, "has no column who"),
        ("who,x\n,1\n", {"asset_column": "who"}, "line 2, column who: the cell is empty"),
        ("who,x\na/b,1\na-b,1\n", {"asset_column": "who"}, "a/b and a-b would both be the asset a-b"),
        ("t,x\nsoon,1\n", {"time_column": "t"}, "line 2, column t: 'soon' is not an ISO 8601 time"),
        ("t,x\n1,1\n,1\n", {"time_column": "t"}, "line 3, column t: the cell is empty"),
        ("t,x\n1600000000000000,1\n", {"time_column": "t"}, "neither seconds nor milliseconds"),
        ("x\n1\n", {"assets": ["b*"]}, r"no asset matches b\*; there are a"),
    ],
)
def test_what_is_wrong_is_told_in_a_sentence(
    tmp_path: Path, text: str, options: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(RecordingError, match=sentence) as caught:
        read_recording([csv(tmp_path, text)], **({"period_ms": 1} | options))
    assert "\n" not in str(caught.value)


def test_without_times_the_period_is_needed(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="the period between rows must be given"):
        read_recording([csv(tmp_path, "x\n1\n")])


@pytest.mark.parametrize(
    ("second", "sentence"),
    [("x\n1\n", "b.csv lacks the sensor y"), ("x,y,z\n1,2,3\n", "b.csv has z, which the first file lacks")],
)
def test_files_that_disagree_are_refused(tmp_path: Path, second: str, sentence: str) -> None:
    paths = [csv(tmp_path, "x,y\n1,2\n"), csv(tmp_path, second, "b.csv")]
    with pytest.raises(RecordingError, match=sentence):
        read_recording(paths, period_ms=1)


def test_an_excluded_column_may_be_in_one_file_only(tmp_path: Path) -> None:
    paths = [csv(tmp_path, "x,label\n1,0\n"), csv(tmp_path, "x\n1\n", "b.csv")]
    assert len(read_recording(paths, period_ms=1, exclude=["label"])) == 2


def test_two_files_of_one_stem_are_refused(tmp_path: Path) -> None:
    """They would silently become one asset."""
    (tmp_path / "deep").mkdir()
    paths = [csv(tmp_path, "x\n1\n"), csv(tmp_path / "deep", "x\n1\n")]
    with pytest.raises(RecordingError, match="would both be the asset a"):
        read_recording(paths, period_ms=1)


def test_files_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    binary = tmp_path / "b.csv"
    binary.write_bytes(b"x\n\xff\xfe\n")
    fake = csv(tmp_path, "x\n1\n", "c.parquet")
    for path, sentence in (
        (tmp_path / "none.csv", "No such file"),
        (tmp_path, "Is a directory"),
        (binary, "is not CSV in UTF-8"),
        (fake, "cannot be read as Parquet"),
    ):
        with pytest.raises(RecordingError, match=sentence):
            read_recording([path], period_ms=1)


def test_parquet_without_pyarrow_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without_pyarrow(name: str, *arguments: Any, **more: Any) -> Any:
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return real(name, *arguments, **more)

    path = parquet(tmp_path, {"x": [1.0]})
    monkeypatch.setattr(builtins, "__import__", without_pyarrow)
    with pytest.raises(RecordingError, match=r"install enginewatch\[parquet\]"):
        read_recording([path], period_ms=1)
