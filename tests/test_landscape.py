"""Where windows lie against those of the training: planes as linear algebra has them, kept beside their model."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest

from config.shipped import model_folder
from models import landscape
from models.artifact import ArtifactError, load_header
from models.landscape_file import LANDSCAPE, load_landscape, save_landscape
from models.split import Run
from monitor.shelf import Shelf

if TYPE_CHECKING:
    from monitor.records import Float32

HASH = "ab" * 32


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """The model that comes with the package."""
    return shutil.copytree(model_folder(Path("pretrained:engine")), tmp_path / "model")


def some(count: int = 500) -> Float32:
    """Rows of four sensors of which two go together, in units that differ by thousands."""
    random = np.random.default_rng(3)
    load = random.normal(size=count)
    columns = [2000 + 600 * load, 3 + 0.5 * load + 0.1 * random.normal(size=count), random.normal(size=count)]
    return np.column_stack([*columns, np.full(count, 7.0)]).astype(np.float32)


def test_a_plane_is_that_of_the_eigenvectors_of_the_correlations() -> None:
    """By another way: numpy's eigenvalues of the correlation matrix; what never moves has no part."""
    rows = some()
    found = landscape.plane(rows.astype(np.float64))
    values, vectors = np.linalg.eigh(np.corrcoef(rows[:, :3].T.astype(np.float64)))
    np.testing.assert_allclose(found.shares, values[::-1][:2] / 3, rtol=1e-4)
    for axis, vector in zip(found.axes, vectors.T[::-1][:2], strict=True):
        assert abs(np.dot(axis[:3], vector)) == pytest.approx(1, abs=1e-4)
        assert axis[3] == 0
        assert max(axis, key=abs) > 0
    np.testing.assert_allclose(found.center, rows.mean(axis=0), rtol=1e-4)
    np.testing.assert_allclose(np.std(found.points, axis=0), np.sqrt(values[::-1][:2]), rtol=0.1)


def test_points_lie_where_the_plane_has_them() -> None:
    """By hand: a deviation along the first axis is its length; without half of the sensors there is no place."""
    where = landscape.Plane((10.0, 20.0), (2.0, 5.0), ((0.6, 0.8), (0.8, -0.6)), (0.7, 0.3), ())
    found = landscape.placed(where, np.array([[11.2, 24], [10, np.nan], [np.nan, np.nan]], np.float32))
    np.testing.assert_allclose(found, np.array([[1, 0], [0, 0], [np.nan, np.nan]]), atol=1e-6)


def test_one_sensor_has_a_line_and_missing_values_are_where_they_usually_are() -> None:
    found = landscape.plane(np.array([[1.0], [3.0], [np.nan]]))
    assert (found.center, found.scale, found.axes, found.shares) == ((2.0,), (1.0,), ((1.0,), (0.0,)), (1.0, 0.0))
    assert found.points == ((-1, 0), (1, 0), (0, 0))


class Halved:
    """A model that expects half of what was, and has seen no asset."""

    seen = 0

    def level(self, asset: str) -> None:
        """There is none."""

    def fit_level(self, values: Float32) -> None:
        """There is none."""

    def score(self, values: Float32, level: object = None) -> tuple[Float32, Float32, Float32]:
        assert level is None
        self.seen += len(values)
        return values[:, -1], values[:, -1] * np.float32(0.5), values[:, 0, 0]


def test_it_is_learned_of_windows_that_lie_evenly_among_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 1,000 windows in two runs every fifth; 99 % of 198 numbers that rise evenly to 99.5 are below 98.5."""
    monkeypatch.setattr(landscape, "WINDOWS", 200)
    values: Float32 = np.linspace(0, 199.8, 1000, dtype=np.float32).reshape(-1, 1, 1)  # (B, 1, C)
    runs = [Run("a", values[:301], np.arange(301)), Run("b", values[301:], np.arange(699))]
    model = Halved()
    found = landscape.learn(model, runs, HASH)
    assert found is not None
    assert (model.seen, found.windows) == (200, 200)
    assert found.usual[0] == pytest.approx(0.99 * 99.5, rel=1e-3)
    assert found.operation.center == (99.5,)
    assert landscape.learn(model, [], HASH) is None
    assert landscape.learn(model, [Run("a", values[:2], np.arange(2))], HASH) is None


def test_what_ships_with_the_package_holds_a_simulated_engine(model: Path) -> None:
    """It belongs to the model, explains most of what engines do, and has some hundred points and no less."""
    found = load_landscape(model, load_header(model))
    assert found is not None
    assert found.windows >= landscape.WINDOWS
    assert len(found.operation.points) >= landscape.POINTS / 2
    assert sum(found.operation.shares) > 0.6


def test_a_model_without_one_is_read_as_ever(model: Path) -> None:
    header = load_header(model)
    (model / LANDSCAPE).unlink()
    assert load_header(model) == header
    assert load_landscape(model, header) is None


def test_it_is_refused_where_it_is_not_what_was_written(model: Path) -> None:
    """Changed by a digit, of another model, with other sensors, cut short, or too large."""
    header, path = load_header(model), model / LANDSCAPE
    whole = path.read_bytes()
    good = load_landscape(model, header)
    assert good is not None
    path.write_bytes(whole.replace(b'"windows":4', b'"windows":5', 1))
    with pytest.raises(ArtifactError, match="not what was written"):
        load_landscape(model, header)
    save_landscape(model, msgspec.structs.replace(good, model=HASH))
    with pytest.raises(ArtifactError, match="of another model"):
        load_landscape(model, header)
    save_landscape(model, msgspec.structs.replace(good, usual=good.usual[1:]))
    with pytest.raises(ArtifactError, match="14 numbers for 15 sensors"):
        load_landscape(model, header)
    for content in (whole[:100], b"", b"[" * 100_000, whole + b" " * (2 << 20)):
        path.write_bytes(content)
        with pytest.raises(ArtifactError, match=LANDSCAPE.replace(".", r"\.")):
            load_landscape(model, header)


def test_the_shelf_takes_it_along_also_to_a_copy_of_before(tmp_path: Path, model: Path) -> None:
    shelf, header = Shelf(tmp_path / "models", threads=1, batch_size=16), load_header(model)
    copy = shelf.place(header.hash) / LANDSCAPE
    kept = (model / LANDSCAPE).rename(tmp_path / "aside")
    shelf.put(model, header.hash)
    assert not copy.exists()
    kept.rename(model / LANDSCAPE)
    shelf.put(model, header.hash)
    assert copy.read_bytes() == (model / LANDSCAPE).read_bytes()
