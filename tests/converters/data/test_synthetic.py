import json

import cv2
import numpy as np

from dff.converters.data import write_synthetic_set
from dff.datasets.synthetic_video import SyntheticVideo


def test_files_say_what_was_rendered(tmp_path):
    options = dict(num_videos=2, num_frames=5, size=(96, 64), seed=4, label_every=2)
    write_synthetic_set(tmp_path, name='train', **options)
    content = json.loads((tmp_path / 'annotations' / 'train.json').read_text())
    frames = [
        frame
        for video in range(2)
        for frame in SyntheticVideo(5, size=(96, 64), seed=(4, video))
    ]
    assert len(content['images']) == len(frames) == 10
    for image, frame in zip(content['images'], frames, strict=True):
        stem = image['file_name'].removesuffix('.jpg')
        pixels = cv2.imread(str(tmp_path / 'frames' / image['file_name']))
        assert np.abs(pixels.astype(int) - frame.image).mean() < 6
        labels = cv2.imread(str(tmp_path / 'labels' / f'{stem}.png'), -1)
        if image['frame_id'] % 2 == 0:
            assert np.array_equal(labels, frame.label_map)
        else:
            assert labels is None
        boxes = [
            (np.array(a['bbox']) + [0, 0, *a['bbox'][:2]]).tolist()
            for a in content['annotations']
            if a['image_id'] == image['id']
        ]
        is_labelled = image['frame_id'] % 2 == 0
        assert image['is_labelled'] is is_labelled
        assert boxes == (frame.boxes.tolist() if is_labelled else [])


def test_another_seed_shares_no_video(tmp_path):
    for name, seed in (('train', 0), ('test', 1)):
        write_synthetic_set(
            tmp_path, name=name, num_videos=2, num_frames=1, size=(64, 48), seed=seed
        )
    images = [p.read_bytes() for p in sorted((tmp_path / 'frames').rglob('*.jpg'))]
    assert len(images) == len(set(images)) == 4
