"""How far training is: a bar on a terminal, a line an epoch elsewhere."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console

    from models.fitting import Epoch


@contextmanager
def shown(console: Console, epochs: int) -> Iterator[Callable[[Epoch], None]]:
    """A function that is told of every epoch, of `epochs` at the most."""
    if not console.is_terminal:
        yield _lines(console, epochs)
        return
    bar = Progress(
        TextColumn("epoch"),
        MofNCompleteColumn(),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[loss]}"),
        console=console,
        transient=True,
    )
    with bar:
        task = bar.add_task("training", total=epochs, loss="")
        yield lambda epoch: bar.update(task, completed=epoch.number, loss=_words(epoch))


def _lines(console: Console, epochs: int) -> Callable[[Epoch], None]:
    begun = time.monotonic()

    def tell(epoch: Epoch) -> None:
        line = f"epoch {epoch.number} of {epochs}: {_words(epoch)}, {time.monotonic() - begun:.0f} s"
        console.print(line, highlight=False, markup=False, soft_wrap=True)

    return tell


def _words(epoch: Epoch) -> str:
    """What an epoch brought."""
    return f"error {epoch.fit_loss:.4f} fitting, {epoch.stop_loss:.4f} held out{', best' if epoch.best else ''}"
