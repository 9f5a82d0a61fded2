"""An unpickler that never imports or calls what a pickle names.

A pickle is a program: its operations import names and call them. Here a name becomes
an :class:`Inert`, which only holds the name. A call of it is looked up in
:data:`dff.checkpoint.rebuild.BUILDERS`, a fixed table of functions of this package
that check their arguments. A name that is not in the table stays an ``Inert``.

Trusted are Python's pickle machine for operations that only move data, the builders
of that table, and the constructors of torch and numpy that these call with checked
arguments.

Why not ``torch.load(weights_only=True)`` with ``safe_globals``? We measured it with
torch 2.11, with stand-ins for all names of a file. It loads mmengine's own
checkpoints and runs none of the hostile ones, but it refuses files that load here:
those of pickle protocols 3 to 5, those with a subclass of dict or list or a large
integer anywhere, and all files while both ``TORCH_FORCE_*WEIGHTS_ONLY_LOAD`` are set.
It loads a zip archive with a flipped byte without notice, and it cannot read plain
pickles such as dumped results, which would need this unpickler anyway.
"""

import pickle
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO, ClassVar

from .inert import Inert
from .rebuild import BUILDERS, CONSTANTS, Builder, rebuild, restore_state

# Python 3 writes these old names into protocols 0 to 2.
OLD_MODULES = {'__builtin__': 'builtins', 'copy_reg': 'copyreg'}


class InertUnpickler(pickle._Unpickler):
    """Read a pickle of any protocol without running anything in it.

    The base is the standard library's pickle machine in Python, because a subclass of
    the one in C can replace the lookup of names but not calls and states. Each
    operation that calls, sets a state or mutates is replaced here; the others only
    move data.

    Args:
        file: Open at the start of the pickle; left at its end.
        storage: Returns the storage of a persistent id; None refuses these ids.
        builders: Functions that build a value, by the dotted name a pickle calls.
    """

    # Attributes of the base class that its type stub lacks.
    stack: list
    append: Callable[[Any], None]
    pop_mark: Callable[[], list]
    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = dict(
        pickle._Unpickler.dispatch
    )

    def __init__(
        self,
        file: BinaryIO,
        storage: Callable[[Any], Any] | None = None,
        *,
        builders: Mapping[str, Builder] = BUILDERS,
    ) -> None:
        super().__init__(file, encoding='utf-8', errors='surrogateescape')
        self._storage = storage
        self._builders = builders

    def find_class(self, module: str, name: str) -> Any:
        """Return the constant or ``Inert`` of a global without importing it."""
        name = f'{OLD_MODULES.get(module, module)}.{name}'
        constant = CONSTANTS.get(name)
        return Inert(name) if constant is None else constant

    def get_extension(self, code: int) -> None:
        """Refuse extension codes, which mean names that this process registered.

        Raises:
            pickle.UnpicklingError: Always.
        """
        raise pickle.UnpicklingError(
            f'a checkpoint must hold no extension code, got {code}'
        )

    def persistent_load(self, pid: Any) -> Any:
        """Return the storage of a persistent id.

        Raises:
            pickle.UnpicklingError: If this pickle has no storages.
        """
        if self._storage is None:
            raise pickle.UnpicklingError(
                f'expected a pickle without persistent ids, got a {type(pid).__name__}'
            )
        return self._storage(pid)

    def load_reduce(self) -> None:
        """Build by the table; also for NEWOBJ, which has the same two operands."""
        args = self.stack.pop()
        self.stack[-1] = self._build(self.stack[-1], args)

    def load_newobj_ex(self) -> None:
        """Build by the table; an ``Inert`` with keywords, which no builder takes."""
        kwargs, args, cls = self.stack.pop(), self.stack.pop(), self.stack.pop()
        self.append(Inert(repr(cls)) if kwargs else self._build(cls, args))

    def _build(self, func: Any, args: Any) -> Any:
        return rebuild(func, args, self._builders)

    def _instantiate(self, cls: Any, args: list) -> None:
        self.append(self._build(cls, tuple(args)))

    def load_build(self) -> None:
        """Set a state by the rules of ``restore_state``."""
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
        """Return whether the top of the stack takes items; an ``Inert`` drops them."""
        target = self.stack[-1]
        if type(target) in types:
            return True
        if isinstance(target, Inert):
            return False
        raise pickle.UnpicklingError(
            f'expected a container for items, got {type(target).__name__}'
        )

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
