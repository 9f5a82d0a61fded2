"""Models in configs/*/metafile.yml: one for each config, with its results."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from mmengine.config import Config

from .result_tables import ResultTables, mean_of

TASKS = {'mmdet': 'Video Object Detection', 'mmseg': 'Video Semantic Segmentation'}
FLOW_TASK = 'Optical Flow Estimation'
UNITS = dict(max_iters='Iterations', max_epochs='Epochs')
MARK = '# models: written by tools/study/build_results.py\n'
Results = Mapping[str, Mapping[str, Mapping[str, float]]]  # config, data set, figure


def write_metafiles(root: Path, tables: ResultTables) -> dict[Path, str]:
    """Write the text of all metafiles: what is above the mark stays.

    Raises:
        ValueError: A metafile has no mark, or a result is of an unknown config.
    """
    results = collect_results(tables)
    if missing := [name for name in results if not (root / 'configs' / name).is_file()]:
        raise ValueError(f'results must be of configs that exist, got {missing}')
    pages = {}
    for path in sorted(root.glob('configs/*/metafile.yml')):
        head, mark, _ = path.read_text(encoding='utf-8').partition(MARK)
        if not mark:
            raise ValueError(f'{path} has no line {MARK.strip()!r}')
        collection = yaml.safe_load(head)['Collections'][0]['Name']
        configs = sorted(path.parent.glob('*.py'))
        models = [_describe(config, collection, results) for config in configs]
        text = yaml.safe_dump({'Models': models}, sort_keys=False, width=88)
        pages[path] = head + mark + text
    return pages


def collect_results(tables: ResultTables) -> dict[str, dict[str, dict[str, float]]]:
    """Return the results of the runs, by config, data set and figure."""
    return (
        _camvid_results(tables)
        | _pets_results(tables)
        | _flow_results(tables)
        | _quickstart_results(tables)
    )


def _camvid_results(tables: ResultTables) -> dict[str, Any]:
    keys, far = tables.offsets('camvid')[0], tables.summary('camvid')['mean 5-9']
    at_key, at_far = 'mIoU on key frames', 'mIoU 5-9 frames from the key frame'
    cells = {
        'frame_fcn_mobilenetv2_camvid_long': {'mIoU': keys['copy of features']},
        'copy_fcn_mobilenetv2_camvid': {at_far: far['copy of features']},
        'dff_fcn_mobilenetv2_camvid': {at_key: keys['DFF'], at_far: far['DFF']},
        'dff_fcn_mobilenetv2_noscale_camvid': {
            at_key: keys['DFF without scale'],
            at_far: far['DFF without scale'],
        },
        'dff_fcn_mobilenetv2_dis_camvid': {
            at_far: far['DIS untrained'],
            f'{at_far}, N trained': far['DIS, N trained'],
        },
    }
    return {
        f'camvid/{name}.py': {
            'CamVid clip': {n: float(mean_of(cell)) for n, cell in figures.items()}
        }
        for name, figures in cells.items()
    }


def _pets_results(tables: ResultTables) -> dict[str, Any]:
    run = tables.run('pets')
    sets = {
        'PETS09-S2L1, frames 600-794': run.printed('vid_ap_pets.md'),
        'TUD-Stadtmitte': run.printed('vid_ap_tud.md'),
    }
    at_0 = {'VID AP': '0'}
    at_10 = {'VID AP, l = 10': 'mean 0-9'}
    both, pets = list(sets), list(sets)[:1]
    results = {}
    for config, row, columns, names in (
        ('frame_rfcn_mobilenetv2_pets', 'copied boxes', at_0, both),
        (
            'dff_rfcn_mobilenetv2_pets',
            'DFF',
            {'VID AP, l = 5': 'mean 0-4', **at_10},
            both,
        ),
        ('dis_rfcn_mobilenetv2_pets_offsets', 'DIS', at_10, pets),
        ('copy_rfcn_mobilenetv2_pets_offsets', 'copied features', at_10, pets),
    ):
        results[f'mini/{config}.py'] = {
            data: {n: float(sets[data].at[row, c]) for n, c in columns.items()}
            for data in names
        }
    return results


def _flow_results(tables: ResultTables) -> dict[str, Any]:
    errors, results = tables.flow()['all'], {}
    sets = {
        'chairs': 'Flying Chairs, nine pairs',
        'RubberWhale': 'Middlebury RubberWhale',
    }
    for name, method in {
        'zero': 'zero flow',
        'farneback': 'Farneback',
        'dis': 'DIS (medium)',
        'sift': 'SIFT flow (fast)',
        'sift_best': 'SIFT flow (slow)',
        'flownets_half': 'FlowNet Half from stills',
    }.items():
        for short, data in sets.items():
            config = f'{name}_{short.lower()}'
            if config == 'flownets_half_chairs':  # this one trains on chairs
                config = 'flownets_half_stills'
            error = float(errors[f'{short}, {method}'])
            results[f'flow/{config}.py'] = {data: {'EPE': error}}
    return results


def _quickstart_results(tables: ResultTables) -> dict[str, Any]:
    table, results = tables.table_of('quickstart', 'results.json'), {}
    for model, figure in {'rfcn_r18': 'AP50', 'fcn_r18': 'mIoU'}.items():
        stream = table.loc[f'{figure}, stream, l = 10']
        for kind, column in {
            f'frame_{model}': 'Frame',
            f'dff_{model}': 'DFF, FlowNet',
            f'dff_{model}_dis': 'DFF, DIS flow',
        }.items():
            name = figure if column == 'Frame' else f'{figure}, l = 10'
            value = {name: float(stream[column])}
            results[f'mini/{kind}_synthetic.py'] = {'synthetic video': value}
    return results


def _describe(path: Path, collection: str, results: Results) -> dict[str, Any]:
    """Return the entry of one config."""
    cfg = Config.fromfile(path)
    is_flow = 'Flow' in cfg.model.type
    task = FLOW_TASK if is_flow else TASKS[cfg.default_scope]
    metadata: dict[str, Any] = {'Task': task}
    train = cfg.get('train_cfg') or {}
    for key, unit in UNITS.items():
        if train.get(key):
            metadata[unit] = train[key]
            metadata['Batch Size'] = cfg.train_dataloader.batch_size
    name = f'{path.parent.name}/{path.name}'
    model = {
        'Name': path.stem,
        'In Collection': collection,
        'Config': f'configs/{name}',
        'Metadata': metadata,
    }
    if name in results:
        model['Results'] = [
            {'Task': task, 'Dataset': data, 'Metrics': dict(figures)}
            for data, figures in results[name].items()
        ]
    return model
