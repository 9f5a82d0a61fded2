# Frame, trained for as many more iterations and on the same frames as DFF.
_base_ = [
    '../_base_/models/fcn_mobilenetv2.py',
    '../_base_/datasets/camvid.py',
    '../_base_/schedules/camvid_joint.py',
    '../_base_/seg_runtime.py',
]

images = dict(_base_.pairs, pairs=False)
clip = dict(_base_.clip_pairs, dataset=dict(_base_.clip_pairs.dataset, pairs=False))
train_dataloader = dict(
    dataset=dict(_delete_=True, type='ConcatDataset', datasets=[images, clip])
)
load_from = 'work_dirs/frame_fcn_mobilenetv2_camvid_mix/iter_400.pth'
