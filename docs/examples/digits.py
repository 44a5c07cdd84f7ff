"""Hand-written digits through the three networks: reconstructed, and rid of noise, as pictures.

    pip install 'enginewatch[train,evaluate]'
    python docs/examples/digits.py [FOLDER]

An image is a window: its 8 rows of pixels are ticks, its 8 columns are sensors. The digits come with scikit-learn.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.datasets import load_digits

from models.autoencoder import KINDS
from models.scaling import network_input
from models.split import Run
from models.training import Trained, TrainingConfig, reconstruct, train

Images = npt.NDArray[np.float32]  # (N, 8, 8), 0 white to 16 black

HELD_OUT = 297  # the last of 1797 images, which no network sees before
NOISE = 1.0  # standard deviation of the noise that is put on them, in that of each column of pixels
EPOCHS = 150
SIZE = 8  # pixels
BLACK = 16


def learned(images: Images, kind: str, epochs: int) -> Trained:
    """A network of this kind, trained on images one after the other, none of which overlap."""
    run = Run("digits", images, np.arange(len(images)) * SIZE)
    # A third of a row's 8 pixels would be 3 numbers; no column is hidden, as none will ever be missing.
    config = TrainingConfig(kind=kind, latent=4, epochs=epochs, patience=20, max_masked=0.0, noise=NOISE)
    return train([run], config)


def rebuilt(trained: Trained, images: Images) -> Images:
    """What the network makes of images."""
    scaled = network_input(trained.scaler.scaled(images))
    return trained.scaler.unscaled(reconstruct(trained.network, scaled))


def error(images: Images, others: Images) -> float:
    """The root of the mean squared difference of two pixels, of a range of 16."""
    return float(np.sqrt(np.mean((images - others) ** 2)))


def picture(rows: dict[str, Images]) -> str:
    """Named rows of images as SVG: a path for each of 16 shades of grey."""
    step, left = SIZE + 2, 40
    count = max(map(len, rows.values()))
    width, height = left + count * step, len(rows) * step
    paths: dict[int, list[str]] = {}
    words = []
    for row, (name, images) in enumerate(rows.items()):
        words.append(f'<text x="0" y="{row * step + 6}" font-size="4" font-family="sans-serif">{name}</text>')
        shades = np.clip(np.rint(images[:count]), 0, BLACK).astype(int)
        for image, y, x in zip(*np.nonzero(shades), strict=True):
            place = f"M{left + image * step + x} {row * step + y}h1v1h-1z"
            paths.setdefault(int(shades[image, y, x]), []).append(place)
    drawn = [
        f'<path fill="#{f"{round(255 * (1 - shade / BLACK)):02x}" * 3}" d="{"".join(places)}"/>'
        for shade, places in sorted(paths.items())
    ]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-2 -2 {width + 4} {height + 4}" width="{6 * width}">'
    paper = f'<rect x="-2" y="-2" width="{width + 4}" height="{height + 4}" fill="#fff"/>'
    return "\n".join([head, paper, '<g shape-rendering="crispEdges">', *drawn, "</g>", *words, "</svg>", ""])


def main(folder: Path, *, epochs: int = EPOCHS, images: int | None = None) -> dict[str, tuple[float, float]]:
    """Write both pictures; returns of each kind the error on clean and on noisy images that were held out."""
    every, digit = load_digits(return_X_y=True)
    every = every.reshape(-1, SIZE, SIZE).astype(np.float32)
    known, new = every[:-HELD_OUT][:images], every[-HELD_OUT:]
    noise = np.random.default_rng(0).normal(0, NOISE, new.shape) * known.std(axis=(0, 1))  # (N, 8, 8)
    noisy = (new + noise).astype(np.float32)
    shown = [int(np.argmax(digit[-HELD_OUT:] == each)) for each in range(10)]
    clean_rows, noisy_rows = {"written": new[shown]}, {"written": new[shown], "with noise": noisy[shown]}
    errors = {}
    for kind in KINDS:
        trained = learned(known, kind, epochs)
        clean, cleaned = rebuilt(trained, new), rebuilt(trained, noisy)
        clean_rows[kind], noisy_rows[kind] = clean[shown], cleaned[shown]
        errors[kind] = (error(clean, new), error(cleaned, new))
        print(f"{kind}: error {errors[kind][0]:.2f} on clean images, {errors[kind][1]:.2f} on noisy ones")
    print(f"the noise alone: {error(noisy, new):.2f}; the mean image: {error(known.mean(axis=0), new):.2f}")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "digits-reconstructed.svg").write_text(picture(clean_rows))
    (folder / "digits-denoised.svg").write_text(picture(noisy_rows))
    return errors


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else Path(__file__).parent.parent / "images")
