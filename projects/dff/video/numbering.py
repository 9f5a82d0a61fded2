"""Number decoded pictures, and those that were lost between them."""

from collections.abc import Iterable, Iterator
from typing import Any, Literal, NamedTuple


class Picture(NamedTuple):
    """A decoded picture; pictures come in display order.

    Attributes:
        frame: The decoder's object.
        pts: Its time stamp; None if unknown.
        is_corrupt: Whether the decoder guessed parts of it.
    """

    frame: Any
    pts: int | None
    is_corrupt: bool


class Trouble(NamedTuple):
    """Something that could not be read.

    Attributes:
        pts: Time stamp of the packet; None if it has none or there is no packet.
        reason: What the decoder says.
        kind: See `Damage`.
    """

    pts: int | None
    reason: str
    kind: Literal['lost', 'concealed', 'container'] = 'lost'


class Numbered(NamedTuple):
    """A picture, or the trouble with picture `number`.

    Attributes:
        number: From 0, in display order; lost pictures count.
        what: The picture, or what was wrong.
        is_damaged: Whether this picture was decoded in spite of trouble.
        starts_anew: Whether this picture or the one before it is damaged or lost.
    """

    number: int
    what: Any
    is_damaged: bool = False
    starts_anew: bool = False


def number_pictures(events: Iterable[Picture | Trouble]) -> Iterator[Numbered]:
    """Number pictures, and find out which of the packets with trouble were lost.

    Packets come in another order than pictures, and a picture may be shown in spite of
    trouble with its packet. A packet is lost when a later picture comes first.
    """
    number, is_broken = 0, False
    suspects: dict[int, str] = {}
    for event in events:
        if isinstance(event, Trouble):
            if event.pts is None:  # nobody knows which picture it was, if any
                yield Numbered(number, event._replace(kind='container'))
                is_broken = True
            else:
                suspects.setdefault(event.pts, event.reason)
            continue
        pts = event.pts
        for lost in sorted(suspects):
            if pts is None or lost < pts:
                yield Numbered(number, Trouble(lost, suspects.pop(lost)))
                number, is_broken = number + 1, True
        reason = suspects.pop(pts, None) if pts is not None else None
        if reason is None and event.is_corrupt:
            reason = 'parts of the picture are missing'
        is_damaged = reason is not None
        if reason is not None:
            yield Numbered(number, Trouble(pts, reason, 'concealed'))
        starts_anew = is_broken or is_damaged
        yield Numbered(number, event, is_damaged, starts_anew)
        number, is_broken = number + 1, is_damaged
    for lost in sorted(suspects):
        yield Numbered(number, Trouble(lost, suspects[lost]))
        number += 1
