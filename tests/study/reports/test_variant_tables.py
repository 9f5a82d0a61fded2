"""Tables of figures by variant, seed and offset, against figures computed here."""

import numpy as np
import pandas as pd
import pytest

from dff_study.reports.tables import half_range, to_markdown
from dff_study.reports.variant_tables import (
    make_class_table,
    make_paper_table,
    make_summary,
    make_table,
    won_back,
)


def frame(figures):
    """Turn {variant: {seed: {column: value}}} into the table that is read."""
    rows = {(v, s): row for v, seeds in figures.items() for s, row in seeds.items()}
    table = pd.DataFrame(list(rows.values()))
    table.index = pd.MultiIndex.from_tuples(rows, names=['variant', 'seed'])
    if isinstance(table.columns[0], tuple):
        names = ['figure', 'offset']
        table.columns = pd.MultiIndex.from_tuples(table.columns, names=names)
    return table


def rows_of(table):
    return [
        [name, *row]
        for name, row in zip(table.index, table.values.tolist(), strict=True)
    ]


def test_table_and_what_is_won_back():
    figures = {'A': {0: {0: 60.0, 5: 50.0}, 1: {0: 64.0, 5: 51.0}}, 'B': {0: {0: 1.0}}}
    table = make_table(frame(figures))
    assert rows_of(table) == [
        ['A', '2', '62.0 ± 2.0', '50.5 ± 0.5'],
        ['B', '1', '1.0 ± 0.0', '-'],
    ]
    head, line, *body = to_markdown(table).splitlines()
    assert [cell.strip() for cell in head.split('|')] == ['', '', 'seeds', '0', '5', '']
    assert set(line) == {'|', '-'} and len(body) == 2
    share = won_back(*(pd.Series([value]) for value in (47.5, 60.0, 35.0)))
    assert share[0] == pytest.approx(12.5 / 25)
    with pytest.raises(ValueError, match='copying loses nothing'):
        won_back(*(pd.Series([value]) for value in (1.0, 40.0, 40.0)))
    assert half_range([3.0, 1.0, 2.0]) == 1.0


def test_classes_are_columns():
    car, road, mean = ('IoU.car', 5), ('IoU.road', 5), ('mIoU', 5)
    figures = frame(
        {
            'A': {0: {car: 10.0, road: np.nan, mean: 1.0}, 1: {car: 20.0}},
            'B': {0: {car: 1.0, road: 90.0, ('IoU.car', 0): 7.0}},
        }
    )
    table = make_class_table(figures, 5)
    assert list(table) == ['car', 'road']
    assert rows_of(table) == [['A', '15.0', '-'], ['B', '1.0', '90.0']]
    assert make_class_table(figures, 9).empty


def test_summary_is_taken_seed_by_seed():
    """Two seeds of different level: differences, not means, are compared."""
    figures = {
        'copied': {0: {0: 60.0, 1: 40.0, 2: 20.0}, 1: {0: 80.0, 1: 60.0, 2: 40.0}},
        'A': {0: {0: 59.0, 1: 50.0, 2: 40.0}, 1: {0: 81.0, 1: 70.0, 2: 70.0}},
        'other': {7: {0: 1.0, 1: 1.0, 2: 1.0}},
    }
    made = make_summary(frame(figures), copied='copied', offsets=[1, 2], interval=2)
    rows = rows_of(made)
    # A: (45 - 30) / (60 - 30) = 50 %, (70 - 50) / (80 - 50) = 66.7 %
    # 54.5 of 60, 75.5 of 80
    assert rows[1] == ['A', '0.0 ± 1.0', '57.5 ± 12.5', '58.3 ± 8.3', '92.6 ± 1.8']
    assert rows[0][3] == '0.0 ± 0.0'
    assert rows[2] == ['other', '-', '-', '-', '-']


def test_table_4_beside_the_papers():
    """Two seeds, l = 2: differences to the Frame of the same seed."""
    figures = {
        'copied': {0: {0: 70.0, 1: 60.0}, 1: {0: 80.0, 1: 70.0}},
        'DFF': {0: {0: 71.0, 1: 67.0}, 1: {0: 77.0, 1: 77.0}, 2: {0: 1.0, 1: 1.0}},
        'short': {0: {0: 71.0}},
    }
    made = make_paper_table(
        frame(figures), {'Frame': 71.1, 'DFF': 69.2}, copied='copied', interval=2
    )
    assert rows_of(made) == [
        ['Frame', '2', '75.0 ± 5.0', '-', '-', '71.1', '0.0'],
        ['copied', '2', '70.0 ± 5.0', '-5.0 ± 0.0', '0.0 ± 0.0', '-', '-'],
        ['DFF', '2', '73.0 ± 4.0', '-2.0 ± 1.0', '-1.0 ± 2.0', '69.2', '-1.9'],
    ]
