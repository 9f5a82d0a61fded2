"""Gather the results of all ranks on the main one, in rounds."""

import itertools

from mmengine.dist import all_gather_object, is_main_process

RESULTS_PER_ROUND = 1000  # that each rank sends at a time


def gather_on_main(results: list) -> list:
    """Move the results of all ranks to the main one; `results` is emptied.

    No rank holds more than all results and those of one round.

    Args:
        results: Results of this rank.

    Returns:
        The results of all ranks on the main one, an empty list on the others.
    """
    rounds = max(-(-n // RESULTS_PER_ROUND) for n in all_gather_object(len(results)))
    merged: list = []
    results.reverse()  # removing items from the end of a list costs nothing
    for _ in range(rounds):
        part = results[-RESULTS_PER_ROUND:][::-1]
        del results[-RESULTS_PER_ROUND:]
        parts = all_gather_object(part)
        if is_main_process():
            merged += itertools.chain.from_iterable(parts)
    return merged
