"""Figures of a results file, from XML and from CocoVID annotations."""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from commands import ROOT, call

from dff.checks.eval_detections import evaluate_detections, read_ground_truth
from dff.converters.data import CocoVIDWriter

DATA = Path(os.environ.get('DFF_DATA', ROOT.parent / 'shared' / 'data'))
ORACLE = DATA.parent / 'parity' / 'vid_eval'
needs_oracle = pytest.mark.skipif(not ORACLE.is_dir(), reason=f'no oracle in {ORACLE}')
SPEEDS = ('slow', 'medium', 'fast')


@needs_oracle
@pytest.mark.parametrize('images', [ORACLE / 'images.txt', None])
def test_reproduces_the_authors_figures(images):
    report = evaluate_detections(
        ORACLE / 'Annotations' / 'VID', ORACLE / 'detections.txt', images=images
    )
    expected = json.loads((ORACLE / 'ap.json').read_text())
    assert set(report.class_figures) == set(expected['ap'])
    for name, ap in expected['ap'].items():
        assert report.class_figures[name]['AP50'] == pytest.approx(ap, abs=1e-6)
    assert report.figures['AP50'] == pytest.approx(expected['mean'], abs=1e-6)


@needs_oracle
def test_tool_prints_and_writes(tmp_path):
    out = tmp_path / 'new' / 'figures.json'
    printed = call(
        sys.executable, ROOT / 'tools/analysis/eval_detections.py',
        ORACLE / 'Annotations' / 'VID', ORACLE / 'detections.txt',
        '--images', ORACLE / 'images.txt', '--motion', '--out', out,
    )  # fmt: skip
    written = json.loads(out.read_text())
    expected = json.loads((ORACLE / 'ap.json').read_text())['ap']
    for name, ap in expected.items():
        assert written['classes'][name]['AP50'] == pytest.approx(ap, abs=1e-6)
        assert f'| {name:<8} ' in printed and f'{ap:.6f}' in printed
    shares = [written['figures'][f'{speed}/share'] for speed in SPEEDS]
    assert sum(shares) == pytest.approx(1)
    assert written['boxes'] == dict(airplane=43, bear=46, car=21)
    assert written['frames'] == 72


def write_set(folder, *, label_every=1):
    """Write 12 frames of one standing and one running box, and perfect detections."""
    writer = CocoVIDWriter(['cat', 'big_cat'])
    video = writer.add_video('walk')
    lines = []
    for frame in range(12):
        image_id = writer.add_image(
            f'{frame:06d}.jpg',
            (640, 480),
            video_id=video,
            frame_id=frame,
            is_labelled=frame % label_every == 0,
        )
        boxes = [(10, 10, 60, 60), (40 * frame, 200, 40 * frame + 50, 250)]
        for label, box in enumerate(boxes):
            if frame % label_every == 0:
                writer.add_box(
                    image_id, box, label=label, source='', instance_id=label + 1
                )
            lines.append(f'{image_id} {label + 1} 0.5 {" ".join(map(str, box))}')
    writer.write(folder / 'set.json')
    (folder / 'found.txt').write_text('\n'.join(lines))
    return folder / 'set.json', folder / 'found.txt'


def test_cocovid_with_tracks(tmp_path):
    report = evaluate_detections(*write_set(tmp_path), with_motion_split=True)
    assert report.num_frames == 12 and report.boxes == {'cat': 12, 'big_cat': 12}
    figures = report.figures
    assert [figures[f'{speed}/share'] for speed in SPEEDS] == [0.5, 0, 0.5]
    assert figures['AP50'] == figures['slow/AP50'] == figures['fast/AP50'] == 1
    assert report.class_figures['cat']['slow/AP50'] == 1
    assert np.isnan(report.class_figures['big_cat']['slow/AP50'])
    report.write(tmp_path / 'out.json')
    written = json.loads((tmp_path / 'out.json').read_text())
    assert written['classes']['big_cat']['slow/AP50'] is None


def test_frames_without_labels_do_not_count(tmp_path):
    report = evaluate_detections(*write_set(tmp_path, label_every=3))
    assert report.num_frames == 4 and report.figures['AP50'] == 1
    assert read_ground_truth(tmp_path / 'set.json').boxes_per_class['cat'] == 4


def test_mot_sets_have_all_speeds(dff_data, tmp_path):
    """The tracks of TUD-Stadtmitte, found 5 frames late."""
    from dff.converters.data.mot import read_gt

    writer = CocoVIDWriter(['person'])
    video = writer.add_video('TUD-Stadtmitte')
    rows = read_gt(dff_data / 'mot' / 'TUD-Stadtmitte' / 'gt' / 'gt.txt')
    found = []
    for frame in range(179):
        image_id = writer.add_image(
            f'{frame}.jpg', (640, 480), video_id=video, frame_id=frame
        )
        for row in rows[frame]:
            writer.add_box(
                image_id, row.box, label=0, source='', instance_id=row.instance_id
            )
        for row in rows.get(frame - 5, ()):
            x1, y1, x2, y2 = row.box
            box = [x1, y1, x2 - x1, y2 - y1]
            found.append(dict(image_id=image_id, category_id=1, bbox=box, score=0.5))
    writer.write(tmp_path / 'tud.json')
    (tmp_path / 'found.json').write_text(json.dumps(found))
    figures = evaluate_detections(
        tmp_path / 'tud.json', tmp_path / 'found.json', with_motion_split=True
    ).figures
    shares = [figures[f'{speed}/share'] for speed in SPEEDS]
    np.testing.assert_allclose(shares, [0.207612, 0.282007, 0.510381], atol=1e-6)
    aps = [figures[f'{speed}/AP50'] for speed in SPEEDS]
    assert aps[0] > aps[1] > aps[2] > 0.5


def test_what_does_not_fit_is_named(tmp_path):
    annotations, found = write_set(tmp_path)
    found.write_text('99 1 0.5 0 0 1 1')
    with pytest.raises(ValueError, match='1 others, such as 99'):
        evaluate_detections(annotations, found)
    with pytest.raises(FileNotFoundError, match='annotations .* do not exist'):
        evaluate_detections(tmp_path / 'none.json', found)
    with pytest.raises(ValueError, match='images must come with a folder of XML files'):
        evaluate_detections(annotations, found, images=found)
    (tmp_path / 'bad.json').write_text('{}')
    with pytest.raises(ValueError, match=r'bad\.json is no CocoVID json'):
        evaluate_detections(tmp_path / 'bad.json', found)


def xml(folder, name, wnid='n02084071'):
    path = folder / f'{name}.xml'
    path.parent.mkdir(parents=True, exist_ok=True)
    box = '<xmin>1</xmin><ymin>2</ymin><xmax>30</xmax><ymax>40</ymax>'
    path.write_text(
        '<annotation><size><width>64</width><height>48</height></size><object>'
        f'<trackid>0</trackid><name>{wnid}</name><bndbox>{box}</bndbox></object>'
        '</annotation>'
    )


def test_xml_folder(tmp_path):
    xml(tmp_path / 'ann', 'val/a/000000')
    xml(tmp_path / 'ann', 'val/a/000001')
    truth = read_ground_truth(tmp_path / 'ann')
    first, second = truth.frames
    assert (first['img_id'], second['img_id']) == (1, 2)
    assert (second['video_id'], second['frame_id']) == ('val/a', 1)
    assert second['instances'] == [
        dict(bbox=[1, 2, 30, 40], bbox_label=8, ignore_flag=0, instance_id=0)
    ]
    listed = tmp_path / 'list.txt'
    listed.write_text('val/a/000001 70\n\n')
    truth = read_ground_truth(tmp_path / 'ann', images=listed)
    assert [frame['img_id'] for frame in truth.frames] == [70]


@pytest.mark.parametrize(
    ('line', 'error', 'message'),
    [
        ('val/a/000000', ValueError, r'list\.txt:1: expected NAME IMAGE_ID'),
        ('val/a/000000 1\nval/b/000000 1', ValueError, r':2: names and ids must'),
        ('val/a/000007 1', FileNotFoundError, r'annotation .*000007\.xml does not'),
        ('val/b/first 1', ValueError, 'the file name must be the frame.s number'),
        ('', FileNotFoundError, 'no frames in'),
        ('val/c/000000 1', ValueError, "unknown class 'n0'"),
    ],
)
def test_bad_lists(tmp_path, line, error, message):
    xml(tmp_path / 'ann', 'val/a/000000')
    xml(tmp_path / 'ann', 'val/b/first')
    xml(tmp_path / 'ann', 'val/c/000000', wnid='n0')
    (tmp_path / 'list.txt').write_text(line)
    with pytest.raises(error, match=message):
        read_ground_truth(tmp_path / 'ann', images=tmp_path / 'list.txt')
