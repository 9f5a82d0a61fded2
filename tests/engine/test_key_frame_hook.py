"""The key frames that a test prints."""

from types import SimpleNamespace
from unittest.mock import patch

from dff.engine import KeyFrameHook
from dff.engine.key_frame_hook import KeyFrames, format_positions


def sample(video, frame, *, is_key, **meta):
    meta.update(video_name=video, video_id=video, frame_id=frame, is_key_frame=is_key)
    return SimpleNamespace(metainfo=meta)


def printed(*batches):
    hook, lines = KeyFrameHook(), []
    hook.before_test_epoch(None)
    for index, batch in enumerate(batches):
        hook.after_test_iter(None, index, outputs=batch)
    with patch('dff.engine.key_frame_hook.print_log') as print_log:
        hook.after_test_epoch(None)
        lines = [call.args[0] for call in print_log.call_args_list]
    return lines


def test_positions_are_short():
    assert format_positions([]) == 'none'
    assert format_positions([0]) == '0'
    assert format_positions([0, 10]) == '0, 10'
    assert format_positions(range(0, 195, 10)) == '0 to 190, every 10th'
    uneven = [*range(11), 12, 13]
    assert format_positions(uneven) == '0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, …'


def test_the_mean_interval_is_frames_per_key_frame():
    assert KeyFrames(25, [0, 10, 20]).mean_interval == 25 / 3
    assert str(KeyFrames(25, [0, 10, 20])) == (
        '3 key frames in 25, mean l 8.33, at 0 to 20, every 10th'
    )


def test_videos_are_printed_one_by_one_and_together():
    lines = printed(
        [sample('b', 1, is_key=False), sample('b', 0, is_key=True)],
        [sample('a', i, is_key=i in (0, 3)) for i in range(5)],
        [SimpleNamespace(metainfo=dict(img_id=1))],  # an image model
    )
    assert lines == [
        'Key frames\n'
        'a: 2 key frames in 5, mean l 2.50, at 0, 3\n'
        'b: 1 key frames in 2, mean l 2.00, at 0\n'
        'all 2 videos: 3 key frames in 7, mean l 2.33'
    ]
    # pairs have no schedule
    assert printed([sample('a', 0, is_key=True, asked_offset=0)]) == []
