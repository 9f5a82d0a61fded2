"""Where a job over variants keeps the figures of its tests."""

from pathlib import Path


def figures_path(out: Path, variant: str, seed: int, test: str = '') -> Path:
    """Return the file of one variant, seed and test set; options lose their spaces."""
    name = f'{_slug(variant)}_seed{seed}.json'
    return out / 'figures' / _slug(test) / name


def find_figures(out: Path, variant: str, test: str = '') -> dict[int, Path]:
    """Find the files of a variant by seed, in the order of the seeds."""
    start = f'{_slug(variant)}_seed'
    found = (out / 'figures' / _slug(test)).glob(f'{start}*.json')
    seeds = {int(path.stem.removeprefix(start)): path for path in found}
    return dict(sorted(seeds.items()))


def _slug(name: str) -> str:
    return name.replace(' ', '_')
