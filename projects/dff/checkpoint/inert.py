"""What stands in a read checkpoint for everything that was not brought to life."""


class Inert:
    """The name of something in a pickle, which was neither imported nor called.

    Args:
        name: Dotted name, for messages only.
    """

    __slots__ = ('name',)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f'Inert({self.name!r})'
