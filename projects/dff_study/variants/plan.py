"""Plan of the trainings and tests of variants, read from a config file.

Keys: `figure`, its name in the files of the tests, and `factor`, by which tables
multiply it; `seeds`; `offsets`; `trainings` and `variants` by name; `tests`, options by
name of a test set (default: one test as in the configs); `tables`, options of
:mod:`dff_study.reports.variant_tables`.
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
        load_from: Training whose last checkpoint it starts from.
        flow: Training whose flow network it starts from.
        is_shared: Whether all seeds share one training.
        options: Changes of the config, as for ``--cfg-options``.
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
        weights: Training whose last checkpoint is tested.
        flow: Training whose flow network is joined with these weights, without joint
            training ("separate").
        is_copied: Whether it copies the results of an image model; its config then
            has a ``CopiedResultsMetric`` as ``test_evaluator``.
        options: Changes of the config, as for ``--cfg-options``.
    """

    config: str
    weights: str
    flow: str | None = None
    is_copied: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)


class VariantPlan:
    """Content of a plan.

    Args:
        path: Config file, see the top of this file.
        seeds: Instead of those of the plan.

    Raises:
        ValueError: The plan names an unknown training, or trainings start from each
            other.
    """

    def __init__(self, path: str | Path, seeds: Sequence[int] | None = None) -> None:
        cfg = Config.fromfile(path)
        self.seeds = list(seeds or cfg.seeds)
        self.shared_seed = cfg.seeds[0]  # of shared trainings, also with other seeds
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
            f'the plan must name its trainings {sorted(trainings)}, got {unknown}'
        )


def _in_order(trainings: Mapping[str, Training]) -> dict[str, Training]:
    """Sort each training behind those that it starts from."""
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
