"""Parts of the release, files and configs that do not fit, and the tool."""

import copy
import re
import runpy

import numpy as np
import pytest
from mmengine.config import Config
from mxnet_files import write_params
from released_models import ROOT, build, random_arrays, thin_network

from dff.checkpoint import read_checkpoint
from dff.converters.weights.mxnet_convert import convert_arrays, convert_file
from dff.converters.weights.mxnet_names import backbone_name, flow_name, video_sources


@pytest.fixture(scope='module')
def thin():
    return thin_network()


def test_what_does_not_fit_is_named(thin):
    cfg, arrays = thin

    def refused(message, **changed):
        new = arrays | changed
        with pytest.raises(ValueError, match=message):
            convert_arrays({k: v for k, v in new.items() if v is not None}, cfg)

    refused('1 of .* are missing: bn_conv1_moving_mean', **{
        'aux:bn_conv1_moving_mean': None})  # fmt: skip
    refused('are missing: feat_conv_3x3_bias', **{'arg:feat_conv_3x3_bias': None})
    refused('have no place in the model: res9z_weight', **{
        'arg:res9z_weight': np.ones(3)})  # fmt: skip
    refused(r'conv2_bias must be \(8,\) for .*conv2\.bias, got \(9,\)', **{
        'arg:conv2_bias': np.ones(9)})  # fmt: skip
    refused(r'rfcn_cls_bias must be \(1519,\) .* got \(1470,\)', **{
        'arg:rfcn_cls_bias': np.ones(1470)})  # fmt: skip
    refused('conv2_bias must be finite', **{'arg:conv2_bias': np.full(8, np.nan)})
    refused('conv2_bias comes twice', conv2_bias=np.ones(8))
    refused(r'rfcn_bbox_bias_test must have a multiple of 8 channels, got .*\(9,\)', **{
        'arg:rfcn_bbox_bias_test': np.ones(9)})  # fmt: skip
    with pytest.raises(ValueError, match='no network of the release.* got fc_weight'):
        convert_arrays({'arg:fc_weight': np.ones(3)}, cfg)
    without_flow = {k: v for k, v in arrays.items() if 'flow' not in k}
    with pytest.raises(ValueError, match='no place in the model: conv2_weight'):
        convert_arrays(without_flow, cfg)


@pytest.mark.parametrize(
    'path, value, message',
    [
        ('detector.backbone.style', 'pytorch', 'style of the backbone must be caffe'),
        ('detector.backbone.norm_cfg.eps', 1e-3, 'eps of the batch norm .* got 0.001'),
        ('detector.backbone.dilations', (1, 1, 1, 1), 'dilations of the backbone'),
        ('detector.neck.dilation', 1, r'dilation of the neck must be \(6, 6\)'),
        ('detector.data_preprocessor.bgr_to_rgb', False, 'must be RGB, got BGR'),
        ('detector.data_preprocessor.std', [58, 57, 57], 'std of the preprocessor'),
        ('detector.rpn_head.anchor_generator.ratios', [2.0, 1.0, 0.5], 'ratios'),
        ('detector.roi_head.bbox_coder.target_stds', (1, 1, 1, 1), 'stds of the boxes'),
        (
            'propagation.flow_estimator.downsample',
            'bilinear',
            'downsample must be pool',
        ),
    ],
)
def test_settings_that_shapes_do_not_tell(thin, path, value, message):
    cfg, arrays = thin
    changed = Config(dict(model=copy.deepcopy(cfg)))
    changed.merge_from_dict({f'model.{path}': value})
    with pytest.raises(ValueError, match=message):
        convert_arrays(arrays, changed.model)


def test_a_frame_detector_without_flow(thin):
    cfg, arrays = thin
    names = {s.name for k, s in video_sources(build(cfg)).items() if k[0] == 'd'}
    image = {k: v for k, v in arrays.items() if k[4:] in names}
    for config in (cfg, cfg.detector):
        done = convert_arrays(image, config)
        assert done.part == 'image'
        build(cfg.detector).load_state_dict(done.state_dict)
    build(cfg).load_state_dict(done.state_dict, strict=False)  # N of the video model
    with pytest.raises(
        ValueError, match='video part of the release.* RFCN does not have'
    ):
        convert_arrays(arrays, cfg.detector)


def test_pretrained_backbone(thin, tmp_path):
    """As the configs' init_cfg reads it."""
    cfg, arrays = thin
    backbone = {k: v for k, v in arrays.items() if re.match('...:(res|bn|conv1_)', k)}
    backbone['arg:fc1000_weight'] = np.ones((10, 4), np.float32)
    write_params(tmp_path / 'in.params', backbone, 0)
    config = tmp_path / 'config.py'
    Config(dict(model=cfg)).dump(config)
    out = tmp_path / 'weights/resnet101_mxnet.pth'
    done = convert_file(tmp_path / 'in.params', out, config)
    assert done.part == 'backbone' and 'fc1000_weight' in done.notes[0]
    assert list(out.parent.iterdir()) == [out]
    part = dict(cfg.detector.backbone)
    part['init_cfg'] = dict(type='Pretrained', checkpoint=str(out))
    model = build(part)
    model.init_weights()
    for key, value in model.state_dict().items():
        if 'num_batches' not in key:
            wanted = arrays[
                f'{"aux" if "running" in key else "arg"}:' + backbone_name(key, 50)
            ]
            assert (value.numpy() == wanted).all(), key


@pytest.mark.parametrize('has_scale', [False, True])
def test_pretrained_flow_network(thin, tmp_path, has_scale):
    cfg, arrays = thin
    flow = random_arrays(cfg, part='propagation')
    if not has_scale:
        flow = {k: v for k, v in flow.items() if 'scale' not in k}
    write_params(tmp_path / 'in.params', flow)
    config = tmp_path / 'config.py'
    Config(dict(model=cfg)).dump(config)
    done = convert_file(tmp_path / 'in.params', tmp_path / 'flow.pth', config)
    assert done.part == 'flow'
    assert any('S starts as 1' in note for note in done.notes) != has_scale
    part = dict(cfg.propagation.flow_estimator)
    part['init_cfg'] = dict(type='Pretrained', checkpoint=str(tmp_path / 'flow.pth'))
    net = build(part)
    net.init_weights()
    for key, value in net.state_dict().items():
        if has_scale or 'scale' not in key:
            assert (value.numpy() == flow['arg:' + flow_name(key)]).all(), key
    if not has_scale:
        assert (net.predict_scale[0].bias == 1).all()
        assert (net.predict_scale[0].weight == 0).all()


@pytest.fixture
def run_tool(monkeypatch, capsys):
    """Run the converter; return its exit status and what it printed."""

    def run(*args):
        tool = ROOT / 'tools/model_converters/mxnet_dff.py'
        monkeypatch.setattr('sys.argv', [str(tool), *map(str, args)])
        try:
            runpy.run_path(str(tool), run_name='__main__')
            status = None
        except SystemExit as error:
            status = error.code
        return status, capsys.readouterr().out

    return run


def test_the_tool(thin, tmp_path, run_tool):
    cfg, arrays = thin
    config, path, out = (tmp_path / n for n in ('config.py', 'in.params', 'out.pth'))
    Config(dict(model=cfg)).dump(config)
    write_params(path, arrays)
    status, text = run_tool(path, out, '--config', config)
    assert status is None and 'tensors of the video part' in text
    checkpoint = read_checkpoint(out)
    assert checkpoint['meta']['dataset_meta']['classes'][0] == 'airplane'
    build(cfg).load_state_dict(checkpoint['state_dict'])
    before = out.read_bytes()
    path.write_bytes(path.read_bytes()[:-5])
    status, _ = run_tool(path, out, '--config', config)
    assert re.match('error: .* is cut off', status)  # printed; the status is 1
    status, _ = run_tool(path, out, '--config', tmp_path / 'none.py')
    assert status.startswith('error: ')
    assert out.read_bytes() == before
    assert {p.name for p in tmp_path.iterdir()} == {'config.py', 'in.params', 'out.pth'}
