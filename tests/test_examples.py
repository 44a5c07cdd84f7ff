"""The examples under docs/ run as they are."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

DIGITS = Path(__file__).parent.parent / "docs" / "examples" / "digits.py"


def drawn(svg: str, kind: str) -> list[ET.Element]:
    """The parts of this kind of a drawing."""
    return list(ET.fromstring(svg).iter(f"{{http://www.w3.org/2000/svg}}{kind}"))  # noqa: S314 - our own


@pytest.fixture(scope="module")
def digits() -> Any:
    pytest.importorskip("sklearn", reason="needs enginewatch[evaluate]")
    spec = importlib.util.spec_from_file_location("digits", DIGITS)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_digits_are_learned_and_drawn(digits: Any, tmp_path: Path) -> None:
    """A few epochs on 600 images: held-out ones come out nearer than the mean image is; both pictures are SVG."""
    errors = digits.main(tmp_path, epochs=3, images=600)
    assert set(errors) == {"plain", "variational", "denoising"}
    assert max(clean for clean, _ in errors.values()) < 4.5
    for name, rows in (("digits-reconstructed.svg", 4), ("digits-denoised.svg", 5)):
        named = [part.text for part in drawn((tmp_path / name).read_text(), "text")]
        assert named[0] == "written"
        assert len(named) == rows


def test_a_picture_has_a_square_for_each_pixel_that_is_not_white(digits: Any) -> None:
    """Two pixels of different grey: the darkest is black, the other half as dark."""
    image = digits.np.zeros((1, 8, 8), dtype="float32")
    image[0, 2, 3], image[0, 7, 7] = 16, 8
    paths = {path.get("fill"): path.get("d") for path in drawn(digits.picture({"one": image}), "path")}
    assert paths == {"#000000": "M43 2h1v1h-1z", "#808080": "M47 7h1v1h-1z"}
