"""Metafiles and READMEs of the configs, by the library that mim reads them with."""

import json
import re
from pathlib import Path
from statistics import mean

import pytest
from mim.commands.search import convert2df
from modelindex.load_model_index import load
from shipped_configs import read

from dff_study.reports.runs import read_rows

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ('vid', 'cityscapes', 'camvid', 'mini', 'flow', 'wrapped')
PETS = 'PETS09-S2L1, frames 600-794'


@pytest.fixture(scope='module')
def index():
    return load(str(ROOT / 'model-index.yml'))


def test_the_index_parses_without_a_complaint(index):
    index.check(silent=True)
    errors = [*index.check_errors]
    for part in (*index.collections, *index.models):
        part.check(silent=True)
        errors += part.check_errors
    assert errors == []
    assert len(index.collections) == len(FOLDERS)


def test_every_config_is_one_model(index):
    folders = {path.parent.name for path in (ROOT / 'configs').glob('*/*.py')}
    assert folders - {'_base_'} == set(FOLDERS), 'needs README.md and metafile.yml'
    here = {
        path.relative_to(ROOT).as_posix()
        for folder in FOLDERS
        for path in (ROOT / 'configs' / folder).glob('*.py')
    }
    listed = [model.config for model in index.models]
    assert sorted(listed) == sorted(here), 'each config needs an entry in metafile.yml'
    assert len({model.name for model in index.models}) == len(listed)
    assert not any(model.weights for model in index.models)  # none are published


def test_mim_search_reads_them(index):
    table = convert2df(index)
    row = table.loc['dff_fcn_mobilenetv2_camvid']
    assert row['config'] == 'configs/camvid/dff_fcn_mobilenetv2_camvid.py'
    assert row['training_data'] == 'camvid'
    assert row['batch_size'] == 4
    found = row['camvid clip/miou_on_key_frames']
    assert found == pytest.approx(camvid_mean('DFF', [0]), abs=0.0501)


@pytest.mark.parametrize('folder', FOLDERS)
def test_readme_links_every_config_and_says_how_to_run_it(folder):
    text = (ROOT / 'configs' / folder / 'README.md').read_text(encoding='utf-8')
    links = set(re.findall(r'\]\(([^):]+?)(?:#[^)]*)?\)', text))
    missing = [x for x in links if not (ROOT / 'configs' / folder / x).exists()]
    assert missing == []
    configs = {path.name for path in (ROOT / 'configs' / folder).glob('*.py')}
    assert configs - links == set(), 'README.md must link each config'
    assert re.search(r'(python|bash) tools/.*train', text) or 'quickstart' in text
    for name in re.findall(r'configs/\w+/[\w.-]+\.py', text):
        assert (ROOT / name).is_file(), name
    assert '@inproceedings{zhu2017deep' in text


def results(index, config):
    """Return {figure: value} of a config, over its data sets."""
    (model,) = [m for m in index.models if m.config == f'configs/{config}']
    return {k: v for result in model.results for k, v in result.metrics.items()}


def camvid_mean(row, offsets):
    files = ROOT.glob(f'docs/runs/camvid/figures/{row.replace(" ", "_")}_seed*.json')
    read = [json.loads(path.read_text())['offsets'] for path in files]
    assert len(read) >= 3
    return mean(run[str(o)]['mIoU'] for run in read for o in offsets)


def test_results_on_camvid_are_means_over_the_seeds(index):
    at_key, far = 'mIoU on key frames', 'mIoU 5-9 frames from the key frame'
    for config, row in (
        ('dff_fcn_mobilenetv2_camvid', 'DFF'),
        ('dff_fcn_mobilenetv2_noscale_camvid', 'DFF without scale'),
        ('dff_fcn_mobilenetv2_dis_camvid', 'DIS untrained'),
        ('copy_fcn_mobilenetv2_camvid', 'copy of features'),
    ):
        found = results(index, f'camvid/{config}.py')
        wanted = camvid_mean(row, range(5, 10))
        assert found[far] == pytest.approx(wanted, abs=0.0501), row
        if at_key in found:
            assert found[at_key] == pytest.approx(camvid_mean(row, [0]), abs=0.0501)


def test_results_of_flow_and_quick_start_are_those_of_their_files(index):
    for name in ('zero_chairs', 'dis_chairs', 'zero_rubberwhale', 'dis_rubberwhale'):
        error = json.loads((ROOT / f'docs/runs/flow/{name}.json').read_text())
        found = results(index, f'flow/{name}.py')
        assert found['EPE'] == pytest.approx(error['flow/epe'], abs=0.00501)
    run = json.loads((ROOT / 'docs/runs/quickstart/results.json').read_text())
    found = results(index, 'mini/dff_rfcn_r18_synthetic.py')
    wanted = run['detection']['streams']['DFF, FlowNet']
    assert found['AP50, l = 10'] == pytest.approx(wanted, abs=0.000501)
    found = results(index, 'mini/dff_fcn_r18_synthetic.py')
    wanted = run['segmentation']['streams']['DFF, FlowNet']
    assert found['mIoU, l = 10'] == pytest.approx(wanted, abs=0.000501)


def test_results_on_pets_are_those_of_the_printed_table(index):
    for name, row, columns in (
        ('frame_rfcn_mobilenetv2_pets', 'copied boxes', {'VID AP': '0'}),
        (
            'dff_rfcn_mobilenetv2_pets',
            'DFF',
            {'VID AP, l = 5': 'mean 0-4', 'VID AP, l = 10': 'mean 0-9'},
        ),
    ):
        (model,) = [m for m in index.models if m.name == name]
        for result in model.results:
            file = 'vid_ap_pets.md' if result.dataset == PETS else 'vid_ap_tud.md'
            head, *rows = read_rows((ROOT / 'docs/runs/pets' / file).read_text())
            (line,) = [cells for cells in rows if cells[0] == row]
            wanted = {n: float(line[head.index(c)]) for n, c in columns.items()}
            assert result.metrics == wanted


def test_every_result_is_a_cell_of_the_results_pages(index):
    pages = [ROOT / 'docs/results.md', *ROOT.glob('docs/runs/*/tables.md')]
    cells = {
        cell.split(' ± ')[0]
        for page in pages
        for row in read_rows(page.read_text(encoding='utf-8'))
        for cell in row
    }
    known = {float(cell) for cell in cells if re.fullmatch(r'-?\d+\.\d+', cell)}
    stated = {
        (model.name, figure): value
        for model in index.models
        for result in model.results or ()
        for figure, value in result.metrics.items()
    }
    assert len(stated) > 20
    assert [name for name, value in stated.items() if value not in known] == []


def test_metadata_are_those_of_the_configs(index):
    units = dict(max_iters='Iterations', max_epochs='Epochs')
    for model in index.models:
        cfg = read(model.config.removeprefix('configs/'))
        train = cfg.get('train_cfg') or {}
        wanted = {unit: train[key] for key, unit in units.items() if train.get(key)}
        if wanted:
            wanted['Batch Size'] = cfg.train_dataloader.batch_size
        found = {name: model.metadata.data.get(name) for name in wanted}
        assert found == wanted, model.name
