"""Steadiness of labels over videos that really move."""

import cv2
import numpy as np
import pytest
import torch
from mmengine.evaluator import Evaluator

from dff.evaluation import TemporalConsistency
from dff.evaluation.temporal_consistency import locate_in_previous

SIZE = (96, 128)
SHIFT = (6, 4)  # the picture moves by this many pixels (x, y) a frame


def write_video(folder, count=4):
    """A picture that moves to the right and down, and its label maps."""
    rng = np.random.default_rng(0)
    cells = rng.integers(0, 256, (40, 50, 3)).astype(np.uint8)
    wide = cv2.resize(cells, (400, 320), interpolation=cv2.INTER_CUBIC)
    blocks = np.kron(rng.integers(0, 3, (10, 13)), np.ones((32, 32)))[:320, :400]
    paths, labels = [], []
    for frame in range(count):
        x, y = 100 - SHIFT[0] * frame, 100 - SHIFT[1] * frame
        cut = np.s_[y : y + SIZE[0], x : x + SIZE[1]]
        path = folder / f'{frame}.png'
        cv2.imwrite(str(path), wide[cut])
        paths.append(str(path))
        labels.append(blocks[cut].astype(np.int64))
    return paths, labels


def make_samples(paths, labels, *, video_id=0, frame_ids=None):
    return [
        dict(
            video_id=video_id,
            frame_id=frame_id,
            img_path=path,
            pred_sem_seg=dict(data=torch.from_numpy(label)[None]),
        )
        for path, label, frame_id in zip(
            paths, labels, frame_ids or range(len(paths)), strict=True
        )
    ]


def evaluate(samples, size=None):
    metric = TemporalConsistency()
    metric.dataset_meta = dict(classes=('a', 'b', 'c'))
    for sample in samples:
        metric.process(None, [sample])
    return metric.evaluate(len(samples) if size is None else size)


def shifted_iou(labels):
    """Compare each map with the one before, moved by SHIFT, where both are seen."""
    both, either = np.zeros(3), np.zeros(3)
    dx, dy = SHIFT
    for before, now in zip(labels, labels[1:], strict=False):
        moved, seen = before[:-dy, :-dx], now[dy:, dx:]
        for label in range(3):
            both[label] += ((moved == label) & (seen == label)).sum()
            either[label] += ((moved == label) | (seen == label)).sum()
    return 100 * (both / either).mean()


def test_labels_that_move_along_are_steady(tmp_path):
    paths, labels = write_video(tmp_path)
    figures = evaluate(make_samples(paths, labels))
    assert figures['consistency/mIoU'] > 97
    # the strips that came in at the left and at the top are not compared
    inside = (SIZE[0] - SHIFT[1]) * (SIZE[1] - SHIFT[0]) / (SIZE[0] * SIZE[1])
    assert figures['consistency/pixels'] == pytest.approx(100 * inside, abs=4)


def test_the_figure_is_that_of_maps_moved_by_hand(tmp_path):
    paths, labels = write_video(tmp_path)
    still = [labels[0]] * len(labels)
    turned = [labels[0], labels[2], labels[1], labels[3]]
    for given in (still, turned):
        figures = evaluate(make_samples(paths, given))
        assert figures['consistency/mIoU'] == pytest.approx(shifted_iou(given), abs=3)
        assert figures['consistency/mIoU'] < 85


def test_videos_and_gaps_are_not_crossed(tmp_path):
    paths, labels = write_video(tmp_path)
    wrong = [labels[0], labels[1], 2 - labels[2], 2 - labels[3]]
    whole = evaluate(make_samples(paths, wrong))['consistency/mIoU']
    assert whole < 80
    for places in (
        dict(frame_ids=[0, 1, 5, 6]),
        dict(),
    ):
        samples = make_samples(paths, wrong, **places)
        if not places:
            for number, sample in enumerate(samples):
                sample.update(video_id=number // 2, frame_id=number % 2)
        assert evaluate(samples)['consistency/mIoU'] > 97


def test_what_is_hidden_is_not_compared():
    """A square that moves over a still ground: the ground it uncovers is left out."""
    rng = np.random.default_rng(1)
    ground = cv2.resize(rng.integers(0, 256, (24, 32)).astype(np.uint8), SIZE[::-1])
    square = cv2.resize(rng.integers(0, 256, (10, 10)).astype(np.uint8), (40, 40))
    before, cur = ground.copy(), ground.copy()
    before[30:70, 30:70], cur[30:70, 38:78] = square, square
    where, is_seen = locate_in_previous(cur, before)
    assert is_seen[:25].mean() > 0.95
    middle = where[40:60, 48:68] - np.stack(np.mgrid[40:60, 48:68][::-1], -1)
    np.testing.assert_allclose(np.median(middle, axis=(0, 1)), [-8, 0], atol=0.5)
    assert is_seen[35:65, 31:37].mean() < 0.5  # uncovered


def test_what_cannot_be(tmp_path):
    paths, labels = write_video(tmp_path, count=2)
    with pytest.raises(ValueError, match='must have the size'):
        evaluate(make_samples(paths, [label[:-1] for label in labels]))
    with pytest.raises(FileNotFoundError, match='nowhere.png does not exist'):
        evaluate(make_samples([str(tmp_path / 'nowhere.png')], labels[:1]))
    with pytest.raises(ValueError, match='two frames in a row'):
        evaluate(make_samples(paths[:1], labels[:1]))
    sample = make_samples(paths[:1], labels[:1])[0]
    del sample['video_id']
    with pytest.raises(ValueError, match='video_id and frame_id'):
        evaluate([sample])


def test_beside_other_metrics_and_again(tmp_path):
    paths, labels = write_video(tmp_path)
    evaluator = Evaluator([dict(type='TemporalConsistency')])
    evaluator.dataset_meta = dict(classes=('a', 'b', 'c'))
    figures = []
    for _ in range(2):
        for sample in make_samples(paths, labels):
            evaluator.metrics[0].process(None, [sample])
        figures.append(evaluator.evaluate(len(paths)))
    assert figures[0] == figures[1]


def test_two_ranks_give_the_figures_of_one(on_two_ranks, tmp_path):
    paths, labels = write_video(tmp_path)
    still = [labels[0]] * len(labels)
    parts = [make_samples(paths, still, video_id=v) for v in (0, 1)]
    whole = evaluate([*parts[0], *parts[1]])
    size = 2 * len(paths)
    assert on_two_ranks(lambda part: evaluate(part, size), parts) == [whole] * 2
