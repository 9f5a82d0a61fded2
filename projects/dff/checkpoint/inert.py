"""Placeholder for what a checkpoint holds but the reader does not build."""


class Inert:
    """Name of an object in a pickle that was neither imported nor called.

    Args:
        name: Dotted name, used in messages only.
    """

    __slots__ = ('name',)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f'Inert({self.name!r})'
