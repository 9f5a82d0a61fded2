"""Make `_base_ = 'dff::…'` work in mmengine configs.

mmengine reads `package::config` only for packages in its own table, and writes
`_scope_ = 'package'` into every outermost dict with a `type`, so that the dict is
built in that package's registry. This package has no registry of its own: its
classes live in those of mmdet, mmseg and mmengine. The scope that is right for a
config of this package is therefore the config's own `default_scope`.
"""

from typing import Any

from mmengine.config import Config
from mmengine.config.utils import MODULE2PACKAGE

PACKAGE = 'dff'


def register_package() -> None:
    """Teach mmengine the prefix `dff::`; calling it again changes nothing."""
    if PACKAGE in MODULE2PACKAGE:
        return
    MODULE2PACKAGE[PACKAGE] = PACKAGE
    convert = Config._dict_to_config_dict

    def convert_with_scope(
        cfg: Any, scope: str | None = None, has_scope: bool = True
    ) -> Any:
        """Stamp `default_scope` where mmengine would stamp `dff`.

        A file without `default_scope` (a part of a config) is not stamped: its
        dicts are built in the scope of the config that inherits it.
        """
        if scope == PACKAGE:
            scope = cfg.get('default_scope')
        return convert(cfg, scope=scope, has_scope=has_scope)

    Config._dict_to_config_dict = staticmethod(convert_with_scope)
