# Frame, trained on as many iterations and on the same frames as DFF.
_base_ = [
    '../_base_/models/fcn_mobilenetv2.py',
    '../_base_/datasets/camvid_pairs.py',
    '../_base_/schedules/camvid_joint.py',
    '../_base_/seg_runtime.py',
]

images = dict(_base_.pairs, pairs=False)
clip = dict(images, min_video_length=2)
train_dataloader = dict(
    dataset=dict(
        datasets=[images, dict(type='RepeatDataset', times=13, dataset=clip)]
    )
)
load_from = 'work_dirs/camvid/frame/iter_1000.pth'
