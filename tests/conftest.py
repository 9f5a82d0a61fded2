"""Fixtures shared by the tests: a tiny video set, and real data where it is."""

import contextlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.registry import DefaultScope
from segmentation_sets import (  # noqa: F401  (fixtures)
    make_cityscapes,
    make_seg_set,
    write_image,
)

ROOT = Path(__file__).resolve().parents[1]


def pytest_collection_modifyitems(items):
    """Begin with the longest files, so that no process waits for another at the end."""
    items.sort(key=lambda item: item.path.parent.name != 'tools')


@pytest.fixture(autouse=True)
def _one_thread():
    """Leave the other cores to the other half of the tests.

    For maps this small a second thread only costs time; `tests/ops` have two. What a
    test or its tool sets ends with it.
    """
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(1)


@contextlib.contextmanager
def forget_default_scope():
    """Forget the default scope that a model or a runner sets meanwhile."""
    before = set(DefaultScope._instance_dict)
    yield
    for name in DefaultScope._instance_dict.keys() - before:
        del DefaultScope._instance_dict[name]


@pytest.fixture(autouse=True)
def _default_scope_of_a_test():
    with forget_default_scope():
        yield


@pytest.fixture(scope='module', autouse=True)
def _default_scope_of_fixtures():
    with forget_default_scope():
        yield


@pytest.fixture(scope='session')
def dff_data() -> Path:
    """Folder of the real data, `$DFF_DATA` or ../shared/data."""
    folder = Path(os.environ.get('DFF_DATA', ROOT.parent / 'shared' / 'data'))
    if not folder.is_dir():
        pytest.skip(f'no real data at {folder}; set DFF_DATA')
    return folder


@pytest.fixture
def make_vid_set(tmp_path) -> Callable[..., Path]:
    """Return a function that writes a CocoVID set and returns its root.

    Pixel (x, y) of frame f of video v is 10 v + f in blue, a texture of its own in
    green, and x in red, so that a test can read off frame and flip. Every frame has
    one box of each of two classes.
    """

    def make(
        lengths: tuple[int, ...] = (6,),
        *,
        first_frames: tuple[int, ...] | None = None,
        is_labelled: Callable[[int, int], bool] = lambda video, frame: True,
        is_empty: Callable[[int, int], bool] = lambda video, frame: False,
        identical: bool = False,
        size: tuple[int, int] = (64, 48),
        name: str = 'set',
    ) -> Path:
        root = tmp_path / name
        content = dict(videos=[], images=[], annotations=[])
        content['categories'] = [dict(id=7, name='cat'), dict(id=9, name='dog')]
        rng = np.random.default_rng(0)
        texture = rng.integers(0, 256, (size[1], size[0]), np.uint8)
        for video, length in enumerate(lengths):
            content['videos'].append(dict(id=video, name=f'video_{video}'))
            (root / f'video_{video}').mkdir(parents=True)
            first = first_frames[video] if first_frames else 0
            for frame in range(first, first + length):
                image = np.zeros((size[1], size[0], 3), np.uint8)
                image[..., 0] = 0 if identical else 10 * video + frame
                image[..., 1] = texture if identical else rng.permutation(texture)
                image[..., 2] = np.arange(size[0])
                file_name = f'video_{video}/{frame:06d}.png'
                cv2.imwrite(str(root / file_name), image)
                image_id = len(content['images'])
                content['images'].append(
                    dict(
                        id=image_id,
                        file_name=file_name,
                        width=size[0],
                        height=size[1],
                        video_id=video,
                        frame_id=frame,
                        is_labelled=is_labelled(video, frame),
                    )
                )
                if is_empty(video, frame) or not is_labelled(video, frame):
                    continue
                for category, box in ((7, [4, 6, 20, 18]), (9, [30, 20, 24, 22])):
                    x, y, w, h = box
                    corners = [x, y, x + w, y, x + w, y + h, x, y + h]
                    content['annotations'].append(
                        dict(
                            id=len(content['annotations']) + 1,
                            image_id=image_id,
                            category_id=category,
                            bbox=box,
                            area=box[2] * box[3],
                            iscrowd=0,
                            segmentation=[corners],
                        )
                    )
        (root / 'vid.json').write_text(json.dumps(content))
        return root

    return make
