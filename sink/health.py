"""Whether the sink lives and is ready."""

import time
from dataclasses import dataclass, field


@dataclass(slots=True)
class Pulse:
    """What the threads of the sink tell of themselves; each field is replaced as a whole.

    `limits_s` says how long each loop may be silent before it is taken for stuck. `obstacles` holds what keeps the sink
    from working, by part; empty: ready. `notices` is what people should know though the sink works.
    """

    limits_s: dict[str, float]
    beats: dict[str, float] = field(default_factory=dict)
    obstacles: dict[str, str] = field(default_factory=dict)
    notices: dict[str, str] = field(default_factory=dict)

    def beat(self, loop: str) -> None:
        """Tell that a loop goes round."""
        self.beats[loop] = time.monotonic()

    def hindered(self, part: str, why: str | None) -> None:
        """Tell what hinders a part of the sink, None when nothing does any more."""
        if why is None:
            self.obstacles.pop(part, None)
        else:
            self.obstacles[part] = why

    def notice(self, part: str, what: str | None) -> None:
        """Tell what people should know of a part, None when there is nothing any more."""
        if what is None:
            self.notices.pop(part, None)
        else:
            self.notices[part] = what

    def is_hindered(self, part: str) -> bool:
        """Return whether something keeps this part from working."""
        return part in self.obstacles

    def stuck(self) -> list[str]:
        """Return the loops that were silent for too long."""
        now = time.monotonic()
        return [loop for loop, limit in self.limits_s.items() if now - self.beats.get(loop, now) > limit]
