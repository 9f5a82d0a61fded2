# A small UPerNet with OpenCV's DIS as F. Test it with the Frame checkpoint, or train N
# through the propagation; model.split says where.
_base_ = [
    '../_base_/models/upernet_mobilenetv2.py',
    '../_base_/datasets/camvid.py',
    '../_base_/schedules/camvid_1k.py',
    '../_base_/seg_runtime.py',
]

model = dict(
    _delete_=True,
    type='DFFVideoSegmentor',
    segmentor=_base_.model,
    propagation=dict(
        type='FeaturePropagation',
        flow_estimator=dict(type='ClassicalFlow', preset='medium'),
    ),
    key_frame_scheduler=dict(type='FixedKeyFrameScheduler', interval=10),
)
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='ConcatDataset',
        datasets=[_base_.pairs, _base_.clip_pairs],
    )
)
train_cfg = dict(max_iters=80, val_interval=80)
default_hooks = dict(checkpoint=dict(interval=40))
optim_wrapper = dict(optimizer=dict(lr=5e-5))  # a twentieth of Frame's: a fine tuning
load_from = 'work_dirs/frame_upernet_mobilenetv2_camvid/iter_900.pth'
