"""Tables of figures by variant, seed and offset, against figures worked out here."""

import pytest

from dff_study.reports.variant_tables import (
    make_class_table,
    make_paper_table,
    make_summary,
    make_table,
    won_back,
)


def test_table_and_what_is_won_back():
    figures = {'A': {0: {0: 60.0, 5: 50.0}, 1: {0: 64.0, 5: 51.0}}, 'B': {0: {0: 1.0}}}
    assert make_table(figures).splitlines() == [
        '|  | seeds | 0 | 5 |',
        '| --- | --- | --- | --- |',
        '| A | 2 | 62.0 ± 2.0 | 50.5 ± 0.5 |',
        '| B | 1 | 1.0 ± 0.0 | - |',
    ]
    copied = {5: 40.0, 6: 30.0}
    share = won_back({5: 50.0, 6: 45.0}, frame=60.0, copied=copied, offsets=[5, 6])
    assert share == pytest.approx(12.5 / 25)
    with pytest.raises(ValueError, match='copying loses nothing'):
        won_back({5: 1.0}, frame=40.0, copied=copied, offsets=[5])


def test_classes_are_columns():
    by_class = {
        'A': {'car': {0: {5: 10.0}, 1: {5: 20.0}}, 'road': {0: {0: 90.0}}},
        'B': {'car': {0: {5: 1.0}}},
    }
    assert make_class_table(by_class, 5).splitlines() == [
        '|  | car | road |',
        '| --- | --- | --- |',
        '| A | 15.0 | - |',
        '| B | 1.0 | - |',
    ]


def test_summary_is_taken_seed_by_seed():
    """Two seeds of different level: differences, not means, are compared."""
    figures = {
        'copied': {0: {0: 60.0, 1: 40.0, 2: 20.0}, 1: {0: 80.0, 1: 60.0, 2: 40.0}},
        'A': {0: {0: 59.0, 1: 50.0, 2: 40.0}, 1: {0: 81.0, 1: 70.0, 2: 70.0}},
        'other': {7: {0: 1.0, 1: 1.0, 2: 1.0}},
    }
    made = make_summary(figures, copied='copied', offsets=[1, 2], interval=2)
    rows = [row.split(' | ') for row in made.splitlines()]
    # A: (45 - 30) / (60 - 30) = 50 %, (70 - 50) / (80 - 50) = 66.7 %
    assert rows[3][1:4] == ['0.0 ± 1.0', '57.5 ± 12.5', '58.3 ± 8.3']
    # 54.5 of 60, 75.5 of 80
    assert rows[3][4] == '92.6 ± 1.8 |'
    assert rows[2][3] == '0.0 ± 0.0'
    assert rows[4][1:] == ['-', '-', '-', '- |']


def test_table_4_beside_the_papers():
    """Two seeds, l = 2: differences to the Frame of the same seed."""
    figures = {
        'copied': {0: {0: 70.0, 1: 60.0}, 1: {0: 80.0, 1: 70.0}},
        'DFF': {0: {0: 71.0, 1: 67.0}, 1: {0: 77.0, 1: 77.0}, 2: {0: 1.0, 1: 1.0}},
        'short': {0: {0: 71.0}},
    }
    made = make_paper_table(
        figures, {'Frame': 71.1, 'DFF': 69.2}, copied='copied', interval=2
    )
    assert made.splitlines()[2:] == [
        '| Frame | 2 | 75.0 ± 5.0 | - | - | 71.1 | 0.0 |',
        '| copied | 2 | 70.0 ± 5.0 | -5.0 ± 0.0 | 0.0 ± 0.0 | - | - |',
        '| DFF | 2 | 73.0 ± 4.0 | -2.0 ± 1.0 | -1.0 ± 2.0 | 69.2 | -1.9 |',
    ]
