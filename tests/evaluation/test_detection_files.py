"""Files of detections in three formats, and what is wrong with others."""

import json
import pickle

import numpy as np
import pytest
from mmdet.evaluation import DumpDetResults
from vid_samples import make_sample

from dff.evaluation.detection_files import read_detections

ROWS = [[1, 0.75, 1, 2, 30, 40], [0, 0.5, 5, 6, 7, 8.5]]
CATEGORIES = [7, 9]  # ids of classes 0 and 1


def read(path, **options):
    return read_detections(path, **dict(dict(category_ids=CATEGORIES), **options))


def write_text(path, lines):
    path.write_text('\n'.join(lines) + '\n')
    return path


def write_formats(folder):
    """Write the same detections of image 4 (image 2 has none) in each format."""
    lines = [f'4 {row[0] + 1} {" ".join(map(str, row[1:]))}' for row in ROWS]
    write_text(folder / 'a.txt', lines)
    items = [
        dict(image_id=4, category_id=CATEGORIES[c], score=s, bbox=[x, y, z - x, w - y])
        for c, s, x, y, z, w in ROWS
    ]
    (folder / 'a.json').write_text(json.dumps(items))
    dump = DumpDetResults(out_file_path=str(folder / 'a.pkl'))
    samples = [make_sample(ROWS, [], img_id=4), make_sample([], [], img_id=2)]
    dump.process(None, [sample.to_dict() for sample in samples])
    dump.evaluate(2)


@pytest.mark.parametrize('suffix', ['txt', 'json', 'pkl'])
def test_formats_say_the_same(tmp_path, suffix):
    write_formats(tmp_path)
    found = read(tmp_path / f'a.{suffix}')
    assert set(found) - {2} == {4}
    np.testing.assert_allclose(found[4].boxes, [row[2:] for row in ROWS])
    np.testing.assert_allclose(found[4].scores, [0.75, 0.5])
    assert found[4].labels.tolist() == [1, 0]
    if 2 in found:
        assert found[2].boxes.shape == (0, 4)


def test_text_of_several_images_keeps_the_order_of_each(tmp_path):
    lines = ['9 1 0.5 0 0 1 1', '3 2 0.1 0 0 2 2', '', '9 2 0.5 0 0 3 3']
    found = read(write_text(tmp_path / 'a.txt', lines))
    assert list(found) == [3, 9]
    assert found[9].boxes[:, 2].tolist() == [1, 3]
    assert read(write_text(tmp_path / 'none.txt', ['']))  == {}  # fmt: skip


@pytest.mark.parametrize(
    ('lines', 'message'),
    [
        (
            ['1 1 0.5 0 0 1 1', '', '1 1 0.5 0 0 1'],
            r'a\.txt:3: expected IMAGE_ID CLASS',
        ),
        (['1 1 half 0 0 1 1'], r"a\.txt:1: .*got '1 1 half"),
        (['1.5 1 0.5 0 0 1 1'], 'whole numbers'),
        (['1 3 0.5 0 0 1 1'], 'classes 1 to 2, got 3'),
        (['1 0 0.5 0 0 1 1'], 'classes 1 to 2, got 0'),
        (['1 1 nan 0 0 1 1'], 'finite boxes and scores'),
    ],
)
def test_bad_text(tmp_path, lines, message):
    with pytest.raises(ValueError, match=message):
        read(write_text(tmp_path / 'a.txt', lines))


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ('[1', 'is not JSON'),
        ('{}', 'must hold a list'),
        ('[{"image_id": 1}]', 'result 0 must have image_id, category_id'),
        (
            '[{"image_id": 1, "category_id": 3, "score": 1, "bbox": [0, 0, 1, 1]}]',
            r'unknown category_id 3, known are \[7, 9\]',
        ),
    ],
)
def test_bad_results(tmp_path, content, message):
    (tmp_path / 'a.json').write_text(content)
    with pytest.raises(ValueError, match=message):
        read(tmp_path / 'a.json')


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (dict(a=1), 'must hold a list'),
        ([dict(a=1)], 'prediction 0 must have an img_id'),
        ([dict(img_id=1)], 'pred_instances must have bboxes'),
        (
            2 * [dict(img_id=1, pred_instances=dict(bboxes=[], scores=[], labels=[]))],
            'image 1 must come once',
        ),
        (
            [dict(img_id=1, pred_instances=dict(bboxes=[], scores=[1.0], labels=[]))],
            'as many scores and labels as boxes',
        ),
    ],
)
def test_bad_dumps(tmp_path, content, message):
    (tmp_path / 'a.pkl').write_bytes(pickle.dumps(content))
    with pytest.raises(ValueError, match=message):
        read(tmp_path / 'a.pkl')


def test_dumps_run_nothing(tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / 'made'), 'w'))

    path = tmp_path / 'a.pkl'
    path.write_bytes(pickle.dumps([dict(img_id=1, pred_instances=Evil())]))
    with pytest.raises(ValueError, match='pred_instances must have bboxes'):
        read(path)
    assert not (tmp_path / 'made').exists()
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(ValueError, match='cut off, damaged or no pickle'):
        read(path)


def test_no_file_and_no_format(tmp_path):
    with pytest.raises(FileNotFoundError, match='no detections'):
        read(tmp_path / 'a.txt')
    with pytest.raises(ValueError, match='must be one of'):
        read(write_text(tmp_path / 'a.csv', ['']))
