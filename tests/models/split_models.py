"""Models of the paper's form, wide enough to run and no wider, split anywhere."""

import warnings
from pathlib import Path

import torch
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData, PixelData
from mmseg.structures import SegDataSample
from wrapped_models import ConstantFlow, frame, randomise

import dff  # noqa: F401
from dff.models import DFFVideoDetector, DFFVideoSegmentor

ROOT = Path(__file__).resolve().parents[2]
SIZE = (96, 128)
BASE = 4  # channels of the narrowest stage, in the place of 64
PAPER = {
    'detector': 'configs/vid/dff_rfcn_r50_vid.py',
    'segmentor': 'configs/cityscapes/dff_fcn_r50_cityscapes.py',
}
TASKS = tuple(PAPER)
NECK = 16


def paper_model(task):
    """Take the paper's model with a sixteenth of the channels."""
    model = Config.fromfile(ROOT / PAPER[task]).model[task]
    model.backbone.update(base_channels=BASE, stem_channels=BASE, init_cfg=None)
    model.neck.update(in_channels=32 * BASE, out_channels=NECK)
    if task == 'detector':
        model.rpn_head.in_channels = model.roi_head.in_channels = NECK // 2
        model.roi_head.num_classes = 3
        model.train_cfg.rpn.allowed_border = -1  # anchors outgrow the frame
        model.test_cfg.rcnn.score_thr = 0.0
        model.test_cfg.rpn.update(nms_pre=200, max_per_img=40)
        model.test_cfg.rcnn.max_per_img = 40
    else:
        model.decode_head.update(in_channels=NECK, channels=NECK, num_classes=3)
    return model


FLOWNET = dict(type='FlowNetS', width=0.03, strides=(16,), scale_channels=7)


def wrap(
    task, model, *, split=None, flow=None, strides=(16,), interval=3, estimator=FLOWNET
):
    """Wrap an image model; `flow` in image pixels is F's answer everywhere."""
    init_default_scope('mmdet' if task == 'detector' else 'mmseg')
    torch.manual_seed(0)
    if flow is not None:
        estimator = ConstantFlow(strides, flow)
    cls = DFFVideoDetector if task == 'detector' else DFFVideoSegmentor
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        video = cls(
            **{task: model},
            propagation=dict(type='FeaturePropagation', flow_estimator=estimator),
            key_frame_scheduler=dict(type='FixedKeyFrameScheduler', interval=interval),
            split=split,
        )
    randomise(video.image_model)
    return video.eval()


def sample(task, **meta):
    """Labels for training, and the metainfo that prediction needs."""
    meta = dict(
        dict.fromkeys(('img_shape', 'ori_shape', 'pad_shape'), SIZE),
        scale_factor=(1.0, 1.0),
        img_id=0,
        **meta,
    )
    if task == 'segmentor':
        data = SegDataSample(metainfo=meta)
        labels = torch.arange(SIZE[0] * SIZE[1]).reshape(1, *SIZE) // 1000 % 3
        data.gt_sem_seg = PixelData(data=labels)
        return data
    data = DetDataSample(metainfo=meta)
    boxes = torch.tensor([[10.0, 20, 60, 80], [60, 5, 110, 50]])
    data.gt_instances = InstanceData(bboxes=boxes, labels=torch.tensor([0, 1]))
    data.ignored_instances = InstanceData(
        bboxes=boxes[:0], labels=torch.zeros(0, dtype=torch.long)
    )
    return data


def result_of(task, prediction):
    """Give what is predicted as tensors."""
    if task == 'segmentor':
        return [prediction.seg_logits.data]
    found = prediction.pred_instances
    return [found.bboxes, found.scores, found.labels]


def predict(video, task, images, *, first=0):
    """Run images (3, H, W) as a stream; give what is predicted for each."""
    results = []
    for index, image in enumerate(images, first):
        data = dict(
            inputs=[image], data_samples=[sample(task, video_id=0, frame_id=index)]
        )
        with torch.no_grad():
            results.append(result_of(task, video.test_step(data)[0]))
    return results


def predict_pair(video, task, key, cur):
    """Predict `cur` from the key frame two frames before."""
    meta = dict(video_id=0, frame_id=2, offset=2)
    data = dict(inputs=dict(cur=[cur], key=[key]), data_samples=[sample(task, **meta)])
    with torch.no_grad():
        return result_of(task, video.test_step(data)[0])


def image_predict(video, task, image):
    """Run the wrapped image model alone."""
    data = dict(inputs=[image], data_samples=[sample(task)])
    with torch.no_grad():
        return result_of(task, video.image_model.test_step(data)[0])


def pair_batch(task, is_same):
    """Make a training batch; a still's key is its own frame."""
    cur = [frame(i, size=SIZE) for i in range(len(is_same))]
    key = [
        image.clone() if same else image.roll((4, 8), (1, 2))
        for image, same in zip(cur, is_same, strict=True)
    ]
    samples = [sample(task, is_same=s, offset=0 if s else 2) for s in is_same]
    return dict(inputs=dict(cur=cur, key=key), data_samples=samples)
