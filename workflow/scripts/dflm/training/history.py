"""The validations of a training run, written as it goes."""

import json
import logging
import math
from pathlib import Path

from dflm.errors import InputError
from dflm.files import atomic_path

log = logging.getLogger(__name__)


class History:
    """Events of a run, one JSON object a line in `metrics.jsonl`.

    Parameters
    ----------
    path : Path
    """

    def __init__(self, path: Path) -> None:
        self.path, self.events = Path(path), []

    def add(self, event: dict) -> None:
        """Append an event, rewrite the file and log a line.

        Raises
        ------
        InputError
            If a number of it is not finite: what would follow is no model.
        """
        for name, value in event.items():
            if isinstance(value, float) and not math.isfinite(value):
                raise InputError(
                    f"the training has diverged: after epoch {event.get('epoch', 0):g} its {name} "
                    f"is {value}",
                    self.path,
                    "lower its learning_rate, or clip its gradients",
                )
        self.events.append(event)
        self.write()
        shown = {
            name: f"{value:.4g}" if isinstance(value, float) else value
            for name, value in event.items()
            if name != "event"
        }
        log.info("%s", "  ".join(f"{name} {value}" for name, value in shown.items()))

    def restore(self, events: list[dict]) -> None:
        """Take over the events of the run that is resumed."""
        self.events = list(events)
        self.write()

    def write(self) -> None:
        """Write all events."""
        with atomic_path(self.path) as partial:
            Path(partial).write_text(
                "".join(json.dumps(event) + "\n" for event in self.events), encoding="utf-8"
            )
