"""Nothing in a checkpoint runs, whatever it is made of."""

import builtins
import collections
import functools
import os
import pickle
import struct
import sys
import zipfile

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner import CheckpointLoader

from dff.checkpoint import Inert, read_checkpoint

FORCED = ('TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD', 'TORCH_FORCE_WEIGHTS_ONLY_LOAD')


class Reduced:
    """Pickles as a call."""

    def __init__(self, *reduced):
        self.reduced = reduced

    def __reduce_ex__(self, protocol):
        return self.reduced


class Stateful:
    """Runs when its state is set."""

    def __setstate__(self, state):
        open(state['marker'], 'w').close()


class Creating:
    """Runs when it is made, with keywords, from protocol 2 on."""

    def __new__(cls, marker=None):
        if marker:
            open(marker, 'w').close()
        return super().__new__(cls)

    def __init__(self, marker=None):
        self.marker = marker

    def __getnewargs_ex__(self):
        return (), dict(marker=self.marker)


class Hungry(dict):
    """Runs when items are set."""

    def __setitem__(self, key, value):
        open(key, 'w').close()


def stateful(marker):
    made = Stateful()
    made.marker = marker
    return made


def hungry(marker):
    made = Hungry()
    dict.__setitem__(made, marker, 1)
    return made


def partial(marker):
    call = functools.partial(open, marker, 'w')
    return Reduced(functools.partial.__call__, (call,))


def object_array(marker):
    array = np.empty(2, dtype=object)
    array[:] = [Reduced(open, (marker, 'w')), 1]
    return array


def tensor_subclass(marker):
    call = (open, torch.Tensor, (marker, 'w'), {})
    return Reduced(torch._tensor._rebuild_from_type_v2, call)


def history(marker):
    """Logs whose statistics would replace a method of the class."""
    made = HistoryBuffer([1.0], [1])
    state = dict(made.__dict__, statistics_methods=dict(mean=print), x=open)
    return Reduced(HistoryBuffer, (), state)


def factory(marker):
    made = collections.defaultdict(functools.partial(open, marker, 'w'))
    made['a'] = 1
    return made


# each would make the file `marker` under pickle.load, or change a class
HOSTILE = {
    'open': lambda m: Reduced(open, (m, 'w')),
    'eval': lambda m: Reduced(eval, (f'open({m!r}, "w")',)),
    'exec': lambda m: Reduced(exec, (f'open({m!r}, "w")',)),
    'system': lambda m: Reduced(os.system, (f'touch {m!r}',)),
    'map': lambda m: Reduced(list, (Reduced(map, (eval, [f'open({m!r}, "w")'])),)),
    'setstate': stateful,
    'new with keywords': Creating,
    'set item': hungry,
    'partial': partial,
    'object array': object_array,
    'tensor subclass': tensor_subclass,
    'history': history,
    'default factory': factory,
    'list subclass': lambda m: Reduced(
        list, (), None, iter([Reduced(open, (m, 'w'))])
    ),
    'state setter': lambda m: Reduced(
        Stateful, (), dict(marker=m), None, None, Stateful.__setstate__
    ),
    'ordered dict': lambda m: Reduced(
        collections.OrderedDict, (), dict(_metadata=Reduced(open, (m, 'w')))
    ),
}


def save(content, path, *, is_zip=True, protocol=2):
    torch.save(
        content,
        path,
        _use_new_zipfile_serialization=is_zip,
        pickle_protocol=protocol,
    )


def keys_of(content):
    return dict(state_dict=dict(weight=torch.arange(3.0)), meta=dict(evil=content))


@pytest.mark.parametrize('is_zip', [True, False])
@pytest.mark.parametrize('protocol', [2, 5])
@pytest.mark.parametrize('kind', HOSTILE)
def test_nothing_runs(tmp_path, monkeypatch, kind, is_zip, protocol):
    path, marker = tmp_path / 'hostile.pth', tmp_path / 'marker'
    save(keys_of(HOSTILE[kind](str(marker))), path, is_zip=is_zip, protocol=protocol)
    marker.unlink(missing_ok=True)
    methods = dict(HistoryBuffer._statistics_methods)
    for value in (None, '1'):
        for name in FORCED:
            if value is None:
                monkeypatch.delenv(name, raising=False)
            else:
                monkeypatch.setenv(name, value)
        for read in (read_checkpoint, CheckpointLoader.load_checkpoint):
            checkpoint = read(str(path), 'cpu')
            assert checkpoint['state_dict']['weight'].tolist() == [0, 1, 2]
            assert not marker.exists()
            assert HistoryBuffer._statistics_methods == methods


def test_the_hostile_files_would_run_in_a_plain_unpickler(tmp_path):
    """Show that the test above tests something."""
    marker = tmp_path / 'marker'
    for kind in ('open', 'eval', 'system', 'map', 'setstate', 'object array'):
        marker.unlink(missing_ok=True)
        made = HOSTILE[kind](str(marker))
        if kind == 'setstate':
            made = Reduced(Stateful, (), dict(marker=str(marker)))
        pickle.loads(pickle.dumps(made))
        assert marker.exists(), kind


def write_pickle(path, body):
    """Write an archive whose pickle is these bytes."""
    with zipfile.ZipFile(path, 'w') as archive:
        archive.writestr('archive/data.pkl', body)


def text(value):
    value = value.encode()
    return b'X' + struct.pack('<I', len(value)) + value


def raw(marker):
    """Handwritten pickles that leave the call's result in a dict."""
    command = text(f'touch {marker}')
    return {
        'INST': b'(' + command + b'ios\nsystem\n0}.',
        'OBJ': b'(cos\nsystem\n' + command + b'o0}.',
        'GLOBAL dotted': b'\x80\x04cos\npath.os.system\n' + command + b'\x85R0}.',
        'STACK_GLOBAL': b'\x80\x04' + text('os') + text('system') + b'\x93' + command
        + b'\x85R0}.',
        'NEWOBJ': b'\x80\x02cos\nsystem\n' + command + b'\x85\x810}.',
        'NEWOBJ_EX': b'\x80\x04cos\nsystem\n' + command + b'\x85}\x920}.',
        'reconstructor': b'ccopy_reg\n_reconstructor\n(cos\nsystem\n'
        b'c__builtin__\nobject\nNtR' + command + b'b0}.',
        'getattr twice': b'c__builtin__\ngetattr\n(cos\npath\n' + text('os')
        + b'tR0}.',
        'BUILD on a function': b'ctorch._utils\n_rebuild_tensor_v2\nN}'
        + text('__defaults__') + b'Ns\x86b0}.',
        'persistent id': b'(' + text('storage') + b'cos\nsystem\n' + text('0')
        + text('cpu') + b'K\x01tQ0}.',
        'nested persistent id': b'cos\nsystem\n' + command + b'\x85RQ0}.',
        'extension': b'\x82\x01}.',
        'call of a string': text('a') + command + b'\x85R0}.',
    }  # fmt: skip


@pytest.mark.parametrize('kind', raw('m'))
def test_no_operation_of_the_machine_runs(tmp_path, kind):
    path, marker = tmp_path / 'raw.pth', tmp_path / 'marker'
    write_pickle(path, raw(marker)[kind])
    defaults = torch._utils._rebuild_tensor_v2.__defaults__
    try:
        assert read_checkpoint(path) == {}
    except ValueError as error:
        assert str(path) in str(error)
    assert not marker.exists()
    assert torch._utils._rebuild_tensor_v2.__defaults__ == defaults


def test_no_module_is_imported(tmp_path):
    (tmp_path / 'evil_module.py').write_text('raise SystemExit("imported")')
    path = tmp_path / 'raw.pth'
    write_pickle(path, b'}' + text('a') + b'cevil_module\nthing\ns.')
    sys.path.insert(0, str(tmp_path))
    try:
        assert repr(read_checkpoint(path)['a']) == "Inert('evil_module.thing')"
    finally:
        sys.path.remove(str(tmp_path))
    assert 'evil_module' not in sys.modules


def test_a_tensor_past_its_storage_is_refused(tmp_path):
    path = tmp_path / 'past.pth'
    storage = torch.storage.TypedStorage(
        wrap_storage=torch.arange(4.0).untyped_storage(),
        dtype=torch.float32,
        _internal=True,
    )

    class Past:
        def __reduce_ex__(self, protocol):
            args = (storage, 0, (1 << 40,), (1,), False, None)
            return torch._utils._rebuild_tensor_v2, args

    save(dict(a=Past()), path)
    with pytest.raises(ValueError, match='past its storage'):
        read_checkpoint(path)


def test_torchscript_and_whole_models_are_refused(tmp_path):
    script = tmp_path / 'script.pt'
    torch.jit.script(torch.nn.ReLU()).save(str(script))
    with pytest.raises(ValueError, match='TorchScript archive'):
        read_checkpoint(script)
    model = tmp_path / 'model.pth'
    for is_zip in (True, False):
        save(torch.nn.Linear(2, 2), model, is_zip=is_zip)
        with pytest.raises(ValueError, match='must hold a dict, got Inert'):
            read_checkpoint(model)


def test_config_text_of_old_checkpoints_is_dropped(tmp_path):
    """mmengine's Runner.resume would run it as Python."""
    path = tmp_path / 'old.pth'
    save(dict(meta=dict(config='import os', epoch=3), state_dict={}), path)
    assert read_checkpoint(path)['meta'] == dict(epoch=3)


def test_inert_things_stay_inert_through_another_save(tmp_path):
    first, second = tmp_path / 'a.pth', tmp_path / 'b.pth'
    save(dict(call=Reduced(builtins.print, ('hello',))), first)
    save(read_checkpoint(first), second)
    assert isinstance(read_checkpoint(second)['call'], Inert)
