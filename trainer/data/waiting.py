"""How long training waits for its rows."""

from dataclasses import dataclass


@dataclass
class Waiting:
    """Seconds spent waiting for the reader: the part of a training step that loading costs."""

    seconds: float = 0.0
