"""Files with the figures of a variant job, and the table that they make together."""

from pathlib import Path

import pandas as pd

from dff.visualization.offset_curves import read_figures

from .plan import VariantPlan


def figures_path(out: Path, variant: str, seed: int, test: str = '') -> Path:
    """Return the file of one variant, seed and test set."""
    name = f'{_slug(variant)}_seed{seed}.json'
    return out / 'figures' / _slug(test) / name


def find_figures(out: Path, variant: str, test: str = '') -> dict[int, Path]:
    """Return the files of a variant by seed, in the order of the seeds."""
    start = f'{_slug(variant)}_seed'
    paths = (out / 'figures' / _slug(test)).glob(f'{start}*.json')
    seeds = {int(path.stem.removeprefix(start)): path for path in paths}
    return dict(sorted(seeds.items()))


def read_variants(plan: VariantPlan, out: Path, test: str = '') -> pd.DataFrame:
    """Read the figures of all finished tests, times the factor of the plan.

    Args:
        plan: Names the variants and seeds, and orders the rows.
        out: Folder of the job.
        test: Test set of the plan.

    Returns:
        Rows (variant, seed), columns (figure, offset).
    """
    rows = {
        (variant, seed): {
            (figure, offset): value * plan.factor
            for figure, curve in read_figures(path).items()
            for offset, value in curve.items()
        }
        for variant in plan.variants
        for seed, path in find_figures(out, variant, test).items()
        if seed in plan.seeds
    }
    columns = list(dict.fromkeys(key for row in rows.values() for key in row))
    return pd.DataFrame(
        [[row.get(key) for key in columns] for row in rows.values()],
        index=_multi_index(list(rows), ['variant', 'seed']),
        columns=_multi_index(columns, ['figure', 'offset']),
        dtype=float,
    )


def _multi_index(keys: list[tuple], names: list[str]) -> pd.MultiIndex:
    parts = zip(*keys, strict=True) if keys else ([], [])
    return pd.MultiIndex.from_arrays([list(part) for part in parts], names=names)


def _slug(name: str) -> str:
    return name.replace(' ', '_')
