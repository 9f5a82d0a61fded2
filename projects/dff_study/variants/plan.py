"""What a job over variants trains and tests: a plan, read from a config file.

Keys of a plan: `figure`, the name of the figure in the tests' files, and `factor`,
what its tables multiply it by; `seeds`; `offsets`; `trainings` and `variants`, each by
name; `tests`, options by name of test set (without, the configs' own); `tables`, what
the tables need, see :mod:`dff_study.reports.variant_tables`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmengine.config import Config


@dataclass(frozen=True)
class Training:
    """One training of a plan.

    Attributes:
        config: Path from the folder of configs.
        load_from: Name of the training whose last checkpoint it starts from.
        flow: Name of the training whose flow network it starts from.
        is_shared: Whether one training serves all seeds.
        options: What differs from the config, as for ``--cfg-options``.
    """

    config: str
    load_from: str | None = None
    flow: str | None = None
    is_shared: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Variant:
    """One row of the table.

    Attributes:
        config: Path from the folder of configs.
        weights: Name of the training whose last checkpoint is tested.
        flow: Name of the training whose flow network is put beside these weights,
            without joint training ("separate").
        is_copied: Whether it is an image model whose results are copied: its config
            has a ``CopiedResultsMetric`` as ``test_evaluator``.
        options: What differs from the config, as for ``--cfg-options``.
    """

    config: str
    weights: str
    flow: str | None = None
    is_copied: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)


class VariantPlan:
    """Read a plan.

    Args:
        path: Config file, see above.
        seeds: In place of the plan's.

    Raises:
        ValueError: The plan names a training that it does not hold, or trainings
            that start from each other.
    """

    def __init__(self, path: str | Path, seeds: Sequence[int] | None = None) -> None:
        cfg = Config.fromfile(path)
        self.seeds = list(seeds or cfg.seeds)
        self.shared_seed = cfg.seeds[0]  # of what all seeds share, whichever are asked
        self.offsets, self.figure = list(cfg.offsets), cfg.figure
        self.factor = cfg.get('factor', 1)
        self.tables = dict(cfg.get('tables', {}))
        self.tests = {n: dict(v or {}) for n, v in cfg.get('tests', {'': {}}).items()}
        self.variants = {n: Variant(**v) for n, v in cfg.variants.items()}
        trainings = {n: Training(**v) for n, v in cfg.trainings.items()}
        _check(trainings, self.variants)
        self.trainings = _in_order(trainings)


def _check(trainings: Mapping[str, Training], variants: Mapping[str, Variant]) -> None:
    named = {n: (t.load_from, t.flow) for n, t in trainings.items()}
    named |= {n: (v.weights, v.flow) for n, v in variants.items()}
    unknown = [
        f'{source} (of {name})'
        for name, sources in named.items()
        for source in sources
        if source is not None and source not in trainings
    ]
    if unknown:
        raise ValueError(
            f'the plan has the trainings {sorted(trainings)}, but names {unknown}'
        )


def _in_order(trainings: Mapping[str, Training]) -> dict[str, Training]:
    """Put what a training starts from before it."""
    left, ordered = dict(trainings), {}
    while left:
        ready = [
            name
            for name, training in left.items()
            if not {training.load_from, training.flow} & set(left)
        ]
        if not ready:
            raise ValueError(f'the trainings {sorted(left)} start from each other')
        ordered.update({name: left.pop(name) for name in ready})
    return ordered
