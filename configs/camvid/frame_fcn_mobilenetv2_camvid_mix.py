# Frame, trained further on as many frames of the clip as single images.
_base_ = [
    '../_base_/models/fcn_mobilenetv2.py',
    '../_base_/datasets/camvid.py',
    '../_base_/schedules/camvid_1k.py',
    '../_base_/seg_runtime.py',
]

images = dict(_base_.pairs, pairs=False)
clip = dict(_base_.clip_pairs, dataset=dict(_base_.clip_pairs.dataset, pairs=False))
train_dataloader = dict(
    dataset=dict(_delete_=True, type='ConcatDataset', datasets=[images, clip])
)
train_cfg = dict(max_iters=400, val_interval=400)
optim_wrapper = dict(optimizer=dict(lr=5e-4))
load_from = 'work_dirs/frame_fcn_mobilenetv2_camvid/iter_1000.pth'
