"""Report of a check of a data set."""

from collections import defaultdict
from dataclasses import dataclass, field

SHOWN = 10  # problems of each kind that are printed


@dataclass
class DataReport:
    """Counts and problems of one data set.

    Attributes:
        title: Name of the data set.
        counts: Numbers of frames, boxes and so on, by name.
        pixels: Number of labelled pixels by class.
        problems: Problems by kind.
        notes: Peculiarities that may be intended.
    """

    title: str
    counts: dict[str, int] = field(default_factory=dict)
    pixels: dict[str, int] = field(default_factory=dict)
    problems: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    notes: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """Return the summary, then the problems."""
        return self.to_text()

    def to_text(self, shown: int = SHOWN) -> str:
        """Return the summary, then up to `shown` problems of each kind."""
        lines = [self.title]
        lines += [f'  {name:32}{count:>12,}' for name, count in self.counts.items()]
        total = max(sum(self.pixels.values()), 1)
        lines += [
            f'    {name:30}{pixels / total:>12.2%}'
            for name, pixels in self.pixels.items()
        ]
        lines += [f'  Note: {note}' for note in self.notes]
        for kind, problems in self.problems.items():
            lines.append(f'  WRONG: {kind} ({len(problems)})')
            lines += [f'    {line}' for line in problems[:shown]]
            if len(problems) > shown:
                lines.append(f'    ... and {len(problems) - shown} more')
        return '\n'.join(lines)
