"""A pickle machine that calls nothing a pickle names.

A pickle is a program: its operations import names and call them. Here a name never
becomes the thing it names. It becomes an :class:`Inert`, and a call of it is looked
up in :data:`dff.checkpoint.rebuild.REBUILD`, a fixed table of functions of this
package that check their arguments. What is not in the table stays inert.
"""

import pickle
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Any, BinaryIO

from .inert import Inert
from .rebuild import CONSTANTS, call, restore_state

# Python 3 writes these old names into protocols 0 to 2.
OLD_MODULES = {'__builtin__': 'builtins', 'copy_reg': 'copyreg'}


class InertUnpickler(pickle._Unpickler):
    """Read a pickle of any protocol without running anything in it.

    The base is the standard library's pickle machine in Python, because the one in C
    lets a subclass decide on names but not on calls and states. Each operation that
    calls, sets a state or mutates is replaced here; the others only move data.

    Args:
        file: Open at the start of the pickle; left at its end.
        storage: Gives the storage for a persistent id.
    """

    dispatch = dict(pickle._Unpickler.dispatch)

    def __init__(
        self, file: BinaryIO, storage: Callable[[Any], Any] | None = None
    ) -> None:
        super().__init__(file, encoding='utf-8', errors='surrogateescape')
        self._storage = storage

    def find_class(self, module: str, name: str) -> Any:
        """Name a global without importing it."""
        name = f'{OLD_MODULES.get(module, module)}.{name}'
        constant = CONSTANTS.get(name)
        return Inert(name) if constant is None else constant

    def get_extension(self, code: int) -> None:
        """Refuse extension codes: they stand for names this process registered."""
        raise pickle.UnpicklingError(f'extension code {code} in a checkpoint')

    def persistent_load(self, pid: Any) -> Any:
        """Look a storage up; nothing else is kept outside of the pickle."""
        if self._storage is None:
            raise pickle.UnpicklingError('persistent id where none may be')
        return self._storage(pid)

    def load_reduce(self) -> None:
        """Call by the table; also for NEWOBJ, which has the same two operands."""
        args = self.stack.pop()
        self.stack[-1] = call(self.stack[-1], args)

    def load_newobj_ex(self) -> None:
        """Call by the table; nothing in it takes keywords."""
        kwargs, args, cls = self.stack.pop(), self.stack.pop(), self.stack.pop()
        self.append(Inert(repr(cls)) if kwargs else call(cls, args))

    def _instantiate(self, cls: Any, args: list) -> None:
        self.append(call(cls, tuple(args)))

    def load_build(self) -> None:
        """Set a state by the table."""
        state = self.stack.pop()
        restore_state(self.stack[-1], state)

    def load_append(self) -> None:
        """Add one item to a list."""
        value = self.stack.pop()
        self._extend([value])

    def load_appends(self) -> None:
        """Add items to a list."""
        self._extend(self.pop_mark())

    def load_setitem(self) -> None:
        """Add one pair to a mapping."""
        value, key = self.stack.pop(), self.stack.pop()
        self._set_items([key, value])

    def load_setitems(self) -> None:
        """Add pairs to a mapping."""
        self._set_items(self.pop_mark())

    def load_additems(self) -> None:
        """Add items to a set."""
        items = self.pop_mark()
        if self._is_target(set):
            self.stack[-1].update(items)

    def _extend(self, items: list) -> None:
        if self._is_target(list):
            self.stack[-1].extend(items)

    def _set_items(self, items: list) -> None:
        if self._is_target(dict, OrderedDict, Counter):
            self.stack[-1].update(zip(items[::2], items[1::2], strict=True))

    def _is_target(self, *types: type) -> bool:
        """Tell whether items go into the top of the stack; inert ones drop them."""
        target = self.stack[-1]
        if type(target) in types:
            return True
        if isinstance(target, Inert):
            return False
        raise pickle.UnpicklingError(f'items for a {type(target).__name__}')

    dispatch.update(
        {
            pickle.REDUCE[0]: load_reduce,
            pickle.NEWOBJ[0]: load_reduce,
            pickle.NEWOBJ_EX[0]: load_newobj_ex,
            pickle.BUILD[0]: load_build,
            pickle.APPEND[0]: load_append,
            pickle.APPENDS[0]: load_appends,
            pickle.SETITEM[0]: load_setitem,
            pickle.SETITEMS[0]: load_setitems,
            pickle.ADDITEMS[0]: load_additems,
        }
    )
