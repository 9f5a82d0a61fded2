import hashlib
import importlib.util
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from mmengine.registry import DATASETS, DefaultScope

import dff  # noqa: F401

ROOT = Path(__file__).resolve().parents[2]
COMMAND = re.compile(r'^python (tools/dataset_converters/camvid2video\.py .*)$', re.M)
LOAD = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')]
PACK = dict(type='PackSegInputs')
CLIP = [f'{number:06d}' for number in range(7959, 8080, 2)]  # 61 frames at 15 Hz


@pytest.fixture(autouse=True)
def mmseg_scope():
    with DefaultScope.overwrite_default_scope('mmseg'):
        yield


@pytest.fixture(scope='module')
def camvid(dff_data, tmp_path_factory):
    """Run the commands of docs/own_data.md."""
    source, out = dff_data / 'camvid', tmp_path_factory.mktemp('camvid')
    if not source.is_dir():
        pytest.skip(f'no CamVid at {source}; set DFF_DATA')
    text = (ROOT / 'docs' / 'own_data.md').read_text().replace('\\\n', ' ')
    commands = COMMAND.findall(text)
    assert len(commands) == 3
    with pytest.MonkeyPatch.context() as patch:
        for command in commands:
            path, *args = shlex.split(command)
            args = [re.sub('^CAMVID', str(source), a) for a in args]
            args = [str(out) if a == 'data/camvid' else a for a in args]
            patch.setattr('sys.argv', [path, *args])
            load_tool(path).main()
    return out


def load_tool(path):
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    return tool


def build(root, split, **kwargs):
    prefix = dict(img_path=f'images/{split}', seg_map_path=f'labels/{split}')
    inner = dict(type='CamVidDataset', data_root=str(root), data_prefix=prefix)
    cfg = dict(type='VideoPairDataset', dataset=inner, pipeline=[*LOAD, PACK])
    return DATASETS.build({**cfg, 'file_pattern': dict(frame_step=2), **kwargs})


def digest(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def test_void_and_classes_left_out(make_seg_set, write_image):
    root = make_seg_set({'a': range(2)}, suffix='.jpg', size=(4, 13))
    labels = np.tile(np.array([*range(12), 255], np.uint8), (4, 1))
    write_image(root / 'labels' / 'a' / '000000.png', labels)
    cfg = dict(
        type='CamVidDataset',
        data_root=str(root),
        data_prefix=dict(img_path='images', seg_map_path='labels'),
        pipeline=[*LOAD, PACK],
    )
    for classes, expected in (
        (None, [*range(11), 255, 255]),
        (['car', 'sky'], [1, *[255] * 7, 0, *[255] * 4]),
    ):
        metainfo = dict(classes=classes) if classes else None
        sample = DATASETS.build({**cfg, 'metainfo': metainfo})[0]['data_samples']
        assert sample.gt_sem_seg.data[0, 2].tolist() == expected


def test_training_has_the_stills_and_the_first_frames_of_the_clip(camvid):
    data = build(camvid, 'train', offset_range=(1, 9))
    lengths = [stop - start for start, stop in data.index.spans]
    assert sorted(lengths) == [1] * 362 + [27]
    clip = lengths.index(27)
    start, _ = data.index.spans[clip]
    paths = [data.index.get_info(start + n)['img_path'] for n in range(27)]
    assert [Path(p).stem for p in paths] == CLIP[:27]
    offsets = [data[start + n]['data_samples'].offset for n in range(27)]
    assert all(1 <= o <= min(n, 9) for n, o in enumerate(offsets) if n)
    still = data[0]['data_samples']
    assert still.is_same
    assert still.offset == 0


@pytest.mark.parametrize(('step', 'last'), [(1, 9), (2, 9), (3, 6)])
def test_no_key_of_a_tested_pair_is_a_training_frame(camvid, step, last):
    """At each step, which counts frames of the clip, and its largest offset."""
    train = build(camvid, 'train')
    train_paths = [train.index.get_info(i)['img_path'] for i in range(len(train.index))]
    assert len(train_paths) == 362 + 27
    trained = {(Path(p).parent.name, Path(p).stem) for p in train_paths}
    contents = {digest(p) for p in train_paths}
    offsets = [step * offset for offset in range(last + 1)]
    test = build(camvid, 'test', test_mode=True, test_offsets=offsets)
    assert test.num_left_out == 0
    assert len(test) == 16 * len(offsets)
    for item in test.items:
        cur, key = (test.index.get_info(i) for i in item[:2])
        assert Path(cur['img_path']).stem in CLIP[45:]
        assert cur['is_labelled']
        assert Path(key['img_path']).stem in CLIP[27:]
        place = Path(key['img_path'])
        assert (place.parent.name, place.stem) not in trained
        assert digest(place) not in contents


def test_one_offset_more_would_need_training_frames(camvid):
    for step, last in ((2, 9), (3, 6)):
        offsets = [0, step * (last + 1)]
        data = build(camvid, 'test', test_mode=True, test_offsets=offsets)
        assert data.num_left_out > 0
