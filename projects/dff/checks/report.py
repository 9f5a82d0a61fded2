"""What a check of a data set found, in words."""

from collections import defaultdict
from dataclasses import dataclass, field

SHOWN = 10  # lines of a kind that are printed


@dataclass
class DataReport:
    """What was found in one data set.

    Attributes:
        title: Which one.
        counts: What there is.
        pixels: Labelled pixels of each class.
        problems: What is wrong, by kind.
        notes: What may be meant so.
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
        """Return the summary, then the problems, so many lines of each kind."""
        lines = [self.title]
        lines += [f'  {name:32}{count:>12,}' for name, count in self.counts.items()]
        total = max(sum(self.pixels.values()), 1)
        lines += [
            f'    {name:30}{pixels / total:>12.2%}'
            for name, pixels in self.pixels.items()
        ]
        lines += [f'  Mind: {note}' for note in self.notes]
        for kind, found in self.problems.items():
            lines.append(f'  WRONG: {kind} ({len(found)})')
            lines += [f'    {line}' for line in found[:shown]]
            if len(found) > shown:
                lines.append(f'    ... and {len(found) - shown} more')
        return '\n'.join(lines)
