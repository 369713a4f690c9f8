"""Imported before the package: shapes and types are then checked at every call.

Of arguments, results and fields, in all rooms. As to type checkers, an int is a float. Self goes
unchecked: beartype knows what it is in decorated classes alone, and the import hook decorates their
functions.
"""

import pkgutil

import beartype.typing  # noqa: F401  (named in the hook's decorator)
from jaxtyping import install_import_hook

import irl_lens

install_import_hook(
    [f"irl_lens.{module.name}" for module in pkgutil.iter_modules(irl_lens.__path__)],
    "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True, "
    "hint_overrides=beartype.FrozenDict({beartype.typing.Self: object})))",
)
