import pytest

from dff.converters.data import read_frame_list, spread_frames

# Frames of snippets of these lengths in the authors' VID_train_15frames.txt.
RELEASED = {
    26: [0, 2, 4, 6, 7, 9, 11, 13, 14, 16, 18, 19, 21, 23, 25],
    40: [1, 4, 6, 9, 12, 14, 17, 20, 22, 25, 28, 30, 33, 36, 38],
    48: [1, 4, 8, 11, 14, 17, 20, 24, 27, 30, 33, 36, 40, 43, 46],
    198: [6, 19, 33, 46, 59, 72, 85, 99, 112, 125, 138, 151, 165, 178, 191],
    300: [10, 30, 50, 70, 90, 110, 130, 150, 170, 190, 210, 230, 250, 270, 290],
    1749: [58, 174, 291, 408, 524, 641, 757, 874, 991, 1107, 1224, 1340, 1457, 1574]
    + [1690],
}


@pytest.mark.parametrize('length', RELEASED)
def test_fifteen_frames_of_a_video_are_those_of_the_release(length):
    assert spread_frames(length, 15) == RELEASED[length]


def test_short_videos_give_all_their_frames():
    for length in range(16):
        assert spread_frames(length, 15) == list(range(length))
    with pytest.raises(ValueError, match='frames per video must be >= 1, got 0'):
        spread_frames(8, 0)


@pytest.mark.parametrize(
    'text, names',
    [
        (  # DET_train_30classes.txt
            'train/ILSVRC2013_train/n02687992/n02687992_10002 1\n'
            'train/ILSVRC2014_train_0000/ILSVRC2014_train_00000663 1\n',
            {
                'train/ILSVRC2013_train/n02687992/n02687992_10002',
                'train/ILSVRC2014_train_0000/ILSVRC2014_train_00000663',
            },
        ),
        (  # VID_train_15frames.txt
            'train/part/snip 1 0 26\ntrain/part/snip 1 2 26\n\n',
            {'train/part/snip/000000', 'train/part/snip/000002'},
        ),
        (  # VID_val_frames.txt
            'val/a/000000 1\nval/a/000001 2\nval/b/000000 3\n',
            {'val/a/000000', 'val/a/000001', 'val/b/000000'},
        ),
        (  # VID_val_videos.txt: NUMBER runs over whole videos
            'val/a 1 0 2\nval/b 3 0 1\nval/c 4 0 1\n',
            {'val/a/000000', 'val/a/000001', 'val/b/000000', 'val/c/000000'},
        ),
        (  # first frames only: NUMBER stays
            'train/part/a 1 0 6\ntrain/part/b 1 0 6\n',
            {'train/part/a/000000', 'train/part/b/000000'},
        ),
    ],
)
def test_the_released_forms_of_lists(tmp_path, text, names):
    (tmp_path / 'list.txt').write_text(text)
    assert read_frame_list(tmp_path / 'list.txt') == names


@pytest.mark.parametrize(
    'text, message',
    [
        ('a 1\na b c\n', r"list.txt:2: expected NAME NUMBER .* got 'a b c'"),
        ('a 1 x 3\n', r"list.txt:1: expected NAME NUMBER .* got 'a 1 x 3'"),
        ('\n', 'list.txt is empty'),
    ],
)
def test_what_is_no_list_is_named(tmp_path, text, message):
    (tmp_path / 'list.txt').write_text(text)
    with pytest.raises(ValueError, match=message):
        read_frame_list(tmp_path / 'list.txt')
