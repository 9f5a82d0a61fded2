"""What a call on a damaged input may end in: a result, or an error that helps."""

import contextlib
import resource
import signal
import traceback
from collections import Counter
from pathlib import Path

import pytest

import dff

SEEDS = [
    pytest.param(range(20), id='20'),
    pytest.param(range(1000), id='1000', marks=pytest.mark.slow),
]
PACKAGE = Path(dff.__file__).parent
DOCUMENTED = (ValueError, TypeError, FileNotFoundError)
SECONDS = 10  # a case; all take milliseconds
HEADROOM = 3 << 30  # bytes that a case may take on top


class Hang(BaseException):
    """Nothing catches it by mistake."""


def stop(signal_number, frame):
    raise Hang


@contextlib.contextmanager
def limited():
    """Stop a case that hangs or asks for memory by the gigabyte."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path('/proc/self/statm').read_text().split()[0])
    limit = pages * resource.getpagesize() + HEADROOM
    handler = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    resource.setrlimit(resource.RLIMIT_AS, (limit, before[1]))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        resource.setrlimit(resource.RLIMIT_AS, before)


def innermost_file(error):
    """Return the file whose line raised the error."""
    return Path(traceback.extract_tb(error.__traceback__)[-1].filename)


def complaint(error, names):
    """Say what is wrong with an error, None if it is a documented one."""
    if type(error) not in DOCUMENTED:
        return f'{type(error).__name__} is none of the documented errors'
    if not innermost_file(error).is_relative_to(PACKAGE):
        return f'raised inside {innermost_file(error)}'
    if not any(str(name) in str(error) for name in names):
        return f'names none of {[str(name) for name in names]}'
    return None


def attempt(call, names, *, judge=complaint):
    """Run one case; return the kind of its outcome, and raise if it is a bad one."""
    try:
        with limited():
            call()
    except Hang as error:
        raise AssertionError(f'no end after {SECONDS} s') from error
    except Exception as error:
        wrong = judge(error, names)
        if wrong:
            raise AssertionError(f'{wrong}: {error!r}') from error
        return type(error).__name__
    return 'result'


def leftovers(folder):
    """List temporary files, which start with a dot, in a folder."""
    return sorted(str(path) for path in Path(folder).rglob('.*'))


class Tally(Counter):
    """Counts outcomes and collects the bad ones, to show many at once."""

    def __init__(self):
        super().__init__()
        self.bad = []

    def add(self, seed, call, names, *, judge=complaint):
        try:
            kind = attempt(call, names, judge=judge)
        except AssertionError as error:
            self.bad.append((seed, error))
            return 'bad'
        self[kind] += 1
        return kind

    def check(self, what):
        """Fail with the first bad cases, and print how many ended in what."""
        print(f'{what}: {dict(self)}')
        shown = [f'seed {seed}: {str(error)[:300]}' for seed, error in self.bad[:20]]
        assert not self.bad, f'{len(self.bad)} cases of {what}\n' + '\n'.join(shown)
