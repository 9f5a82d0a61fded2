import importlib.util
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from commands import call_tool
from make_video import damage_packet, noise_pictures, write_video
from mmengine.config import Config

import dff  # noqa: F401
from dff.apis import VideoInferencer, open_frames
from dff.visualization.caption import KEY_COLOR

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / 'tools' / 'video_demo.py'
DETECTOR = dict(
    type='RetinaNet',
    data_preprocessor=dict(type='DetDataPreprocessor', bgr_to_rgb=True),
    backbone=dict(type='MobileNetV2', widen_factor=0.25, out_indices=(4,)),
    neck=dict(type='FPN', in_channels=[24], out_channels=8, num_outs=1),
    bbox_head=dict(
        type='RetinaHead',
        num_classes=1,
        in_channels=8,
        stacked_convs=1,
        feat_channels=8,
        anchor_generator=dict(
            type='AnchorGenerator', scales=[3], ratios=[1.0], strides=[16]
        ),
    ),
    test_cfg=dict(
        nms_pre=20,
        min_bbox_size=0,
        score_thr=0.0,
        nms=dict(type='nms', iou_threshold=0.5),
        max_per_img=5,
    ),
)


def load_script():
    spec = importlib.util.spec_from_file_location('video_demo', SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SEGMENTOR = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(type='SegDataPreProcessor', bgr_to_rgb=True),
    backbone=dict(
        type='ResNet',
        depth=18,
        base_channels=8,
        stem_channels=8,
        strides=(1, 2, 2, 1),
        out_indices=(3,),
    ),
    decode_head=dict(
        type='FCNHead',
        in_channels=64,
        channels=64,
        in_index=0,
        num_convs=0,
        concat_input=False,
        num_classes=3,
    ),
    test_cfg=dict(mode='whole'),
)
PALETTE = [[200, 0, 0], [0, 200, 0], [0, 0, 200]]


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """Config and checkpoint of a DFF detector, and a video of moving texture."""
    pipeline = [
        dict(type='LoadImageFromFile'),
        dict(type='Resize', scale=(128, 96)),
        dict(type='PackDetInputs'),
    ]
    model = dict(type='DFFVideoDetector', detector=DETECTOR)
    meta = dict(classes=('thing',), palette=[(255, 0, 0)])
    folder = tmp_path_factory.mktemp('demo')
    return prepare(folder, model, pipeline, meta, 'CocoDataset')


@pytest.fixture(scope='module')
def trained_segmentor(tmp_path_factory):
    """The same with a segmentor."""
    pipeline = [
        dict(type='LoadImageFromFile'),
        dict(type='LoadAnnotations'),
        dict(type='PackSegInputs'),
    ]
    model = dict(type='DFFVideoSegmentor', segmentor=SEGMENTOR)
    meta = dict(classes=('a', 'b', 'c'), palette=PALETTE)
    folder = tmp_path_factory.mktemp('demo_seg')
    return prepare(folder, model, pipeline, meta, 'BaseSegDataset')


def prepare(folder, model, pipeline, meta, dataset):
    torch.manual_seed(0)
    dataset = dict(type=dataset, pipeline=pipeline)
    flow = dict(type='ClassicalFlow', strides=[16])
    cfg = Config(
        dict(
            custom_imports=dict(imports=['dff']),
            default_scope='mmseg' if 'segmentor' in model else 'mmdet',
            model=dict(
                **model,
                propagation=dict(type='FeaturePropagation', flow_estimator=flow),
                key_frame_scheduler=dict(type='FixedKeyFrameScheduler', interval=10),
            ),
            test_dataloader=dict(dataset=dataset),
        )
    )
    cfg.dump(folder / 'cfg.py')
    state = VideoInferencer(cfg).model.state_dict()
    content = dict(state_dict=state, meta=dict(dataset_meta=meta))
    torch.save(content, folder / 'dff.pth')
    code = cv2.VideoWriter_fourcc(*'MJPG')
    writer = cv2.VideoWriter(str(folder / 'in.avi'), code, 12, (128, 96))
    canvas = np.random.default_rng(0).integers(0, 255, (120, 160, 3), np.uint8)
    canvas = cv2.GaussianBlur(canvas, (0, 0), 2)
    for i in range(7):
        writer.write(canvas[i : 96 + i, 2 * i : 128 + 2 * i])
    writer.release()
    return folder


def command(folder, out, *options):
    return [
        str(folder / 'in.avi'),
        str(folder / 'cfg.py'),
        str(folder / 'dff.pth'),
        '--out',
        str(out),
        '--score-thr',
        '0',
        *options,
    ]


def is_amber(image):
    """Whether the border says that this is a key frame."""
    blue, green, red = image[-2:].reshape(-1, 3).mean(axis=0)
    return red > 200 and 150 < green < 230 and blue < 60


@pytest.mark.parametrize('options', [(), ('--show-flow',)])
def test_every_frame_is_written_with_its_marks(trained, tmp_path, capsys, options):
    demo = load_script()
    out = tmp_path / 'out'
    demo.main(demo.parse_args(command(trained, out, '--interval', '3', *options)))
    files = sorted(out.iterdir())
    images = [cv2.imread(str(file)) for file in files]
    assert len(images) == 7 and all(image.shape == (96, 128, 3) for image in images)
    assert [is_amber(image) for image in images] == [i % 3 == 0 for i in range(7)]
    text = capsys.readouterr().out
    assert 'key frames       3, median' in text
    assert 'other frames     4, median' in text
    assert f'7 frames written to {out}' in text


def test_labels_in_their_colours_with_a_legend(trained_segmentor, tmp_path):
    demo = load_script()
    out = tmp_path / 'out'
    options = ('--interval', '3', '--opacity', '1', '--show-flow')
    demo.main(demo.parse_args(command(trained_segmentor, out, *options)))
    images = [cv2.imread(str(file)) for file in sorted(out.iterdir())]
    assert len(images) == 7
    frames = [image[:96] for image in images]
    # the last two rows share blocks of the JPEG with other colours
    is_key = [np.abs(f[20:80, 0].mean(axis=0) - KEY_COLOR).max() < 50 for f in frames]
    assert is_key == [i % 3 == 0 for i in range(7)]
    files = (str(trained_segmentor / name) for name in ('cfg.py', 'dff.pth'))
    inferencer = VideoInferencer(*files, interval=3)
    results = inferencer(str(trained_segmentor / 'in.avi'))
    for frame, sample in zip(frames, results, strict=True):
        labels = sample.pred_sem_seg.data[0].numpy()
        expected = np.array(PALETTE)[labels][..., ::-1]
        # JPEG, and the caption in the upper left corner
        error = np.abs(frame.astype(int) - expected)[40:-4, 4:-4]
        assert np.median(error) < 12
    legend = images[0][96:].reshape(-1, 3).astype(int)
    for color in PALETTE:
        assert (np.abs(legend - color[::-1]).max(axis=1) < 40).sum() > 20


@pytest.mark.parametrize('kind', ['trained', 'trained_segmentor'])
def test_side_by_side_with_every_frame_a_key(kind, request, tmp_path):
    folder = request.getfixturevalue(kind)
    demo = load_script()
    pictures = {}
    for name, options in {
        'both': ('--side-by-side', '--interval', '4'),
        'frame': ('--interval', '1'),
        'dff': ('--interval', '4'),
    }.items():
        out = tmp_path / name
        demo.main(demo.parse_args(command(folder, out, *options)))
        files = sorted(out.iterdir())
        pictures[name] = [cv2.imread(str(file)).astype(int) for file in files]
    for both, frame, propagated in zip(*pictures.values(), strict=True):
        left, right = np.split(both, 2, axis=1)
        inner = np.s_[30:90, 6:-6]  # without captions and the marks of key frames
        assert np.abs(left[inner] - frame[inner]).mean() < 3
        assert np.abs(right[inner] - propagated[inner]).mean() < 3
    assert not is_amber(left) and not is_amber(pictures['both'][4][:96, :128])


def test_mp4_has_the_rate_and_the_frames_of_the_input(trained, tmp_path):
    demo = load_script()
    out = tmp_path / 'out.mp4'
    demo.main(demo.parse_args(command(trained, out, '--max-frames', '5')))
    capture = cv2.VideoCapture(str(out))
    assert capture.get(cv2.CAP_PROP_FPS) == 12
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 5


def test_options_reach_the_config(trained, tmp_path, capsys):
    demo = load_script()
    option = 'model.key_frame_scheduler.interval=1'
    args = command(trained, tmp_path / 'out', '--cfg-options', option)
    demo.main(demo.parse_args(args))
    assert 'key frames       7, median' in capsys.readouterr().out


def test_bad_input_is_told_before_the_model_is_built(trained, tmp_path):
    demo = load_script()
    args = command(trained, tmp_path / 'out.mkv')
    with pytest.raises(ValueError, match=r'out\.mkv must end in \.mp4'):
        demo.main(demo.parse_args(args))
    args[0] = 'no.mp4'
    with pytest.raises(FileNotFoundError, match=r'no\.mp4 does not exist'):
        demo.main(demo.parse_args(args))


def test_a_killed_demo_leaves_nothing_under_the_final_name(trained, tmp_path):
    """The input is a folder with so many names that the run cannot end by itself."""
    frames = tmp_path / 'frames'
    frames.mkdir()
    image = np.zeros((96, 128, 3), np.uint8)
    cv2.imwrite(str(frames / '0.png'), image)
    for i in range(1, 5000):
        (frames / f'{i}.png').symlink_to('0.png')
    out, partial = tmp_path / 'out', tmp_path / 'out.partial'
    args = [sys.executable, str(SCRIPT), *command(trained, out)]
    args[2] = str(frames)
    with subprocess.Popen(
        args, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as run:
        while run.poll() is None and not (partial / '000003.jpg').exists():
            time.sleep(0.05)
        run.kill()
    assert not out.exists()
    assert cv2.imread(str(partial / '000002.jpg')) is not None


@pytest.fixture
def damaged(trained, tmp_path):
    """The folder with a video whose frame 4 is lost."""
    folder = tmp_path / 'damaged'
    folder.mkdir()
    for name in ('cfg.py', 'dff.pth'):
        (folder / name).symlink_to(trained / name)
    options = dict(codec='mjpeg', pix_fmt='yuvj420p', fps=5)
    path = write_video(folder / 'in.avi', noise_pictures(9, (96, 128)), **options)
    assert damage_packet(path, 4, path, part=(0, 1)) == 4
    return folder


def test_damaged_input_loses_nothing_else(damaged, tmp_path):
    """The command ends with code 3, a summary and its output."""
    out = tmp_path / 'out.mp4'
    shown = call_tool(SCRIPT, *command(damaged, out), code=3)
    assert '8 frames written to' in shown
    assert '1 places of the input are damaged:\n  frame 4 (0.80 s) cannot be' in shown
    times = [frame.time for frame in open_frames(out)]
    np.testing.assert_allclose(times, [i / 5 for i in range(9) if i != 4], atol=0.002)
    assert not list(tmp_path.glob('*partial*'))


def test_strict_stops_at_the_first_damage(damaged, tmp_path):
    out = tmp_path / 'out.mp4'
    shown = call_tool(SCRIPT, *command(damaged, out, '--strict'), code=3)
    assert 'frame 4 (0.80 s) cannot be read' in shown and 'Traceback' not in shown
    assert not out.exists()
    frames = list(open_frames(tmp_path / 'out.partial.mp4'))
    assert len(frames) == 4
