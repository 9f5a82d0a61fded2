"""Numbers of pictures, by hand."""

from dff.video.numbering import Picture, Trouble, number_pictures


def number(*events):
    """Return (number, time stamp or reason, kind or flags) of every item."""
    found = []
    for item in number_pictures(events):
        if isinstance(item.what, Trouble):
            found.append((item.number, item.what.reason, item.what.kind))
        else:
            flags = 'd' * item.is_damaged + 'a' * item.starts_anew
            found.append((item.number, item.what.pts, flags))
    return found


def picture(pts, is_corrupt=False):
    return Picture(None, pts, is_corrupt)


def test_whole():
    events = map(picture, (0, 10, 20))
    assert number(*events) == [(0, 0, ''), (1, 10, ''), (2, 20, '')]


def test_lost_between_pictures_that_are_reordered():
    """The packet of 20 is decoded before the pictures of 0 and 10 are shown."""
    events = [picture(0), Trouble(20, 'bad'), picture(10), picture(30), picture(40)]
    assert number(*events) == [
        (0, 0, ''),
        (1, 10, ''),
        (2, 'bad', 'lost'),
        (3, 30, 'a'),
        (4, 40, ''),
    ]


def test_shown_in_spite_of_trouble():
    events = [
        Trouble(10, 'bad'),
        picture(0),
        picture(10),
        picture(20),
        picture(30, True),
    ]
    assert number(*events) == [
        (0, 0, ''),
        (1, 'bad', 'concealed'),
        (1, 10, 'da'),
        (2, 20, 'a'),
        (3, 'parts of the picture are missing', 'concealed'),
        (3, 30, 'da'),
    ]


def test_lost_at_the_end_and_without_a_time_stamp():
    events = [picture(0), Trouble(None, 'odd'), picture(10), Trouble(30, 'bad')]
    assert number(*events) == [
        (0, 0, ''),
        (1, 'odd', 'container'),
        (1, 10, 'a'),
        (2, 'bad', 'lost'),
    ]
