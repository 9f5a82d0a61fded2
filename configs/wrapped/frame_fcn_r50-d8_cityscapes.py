# Frame baseline: the stock segmentor on every frame.
_base_ = [
    'mmseg::_base_/models/fcn_r50-d8.py',
    '../_base_/datasets/cityscapes_sequence.py',
    '../_base_/schedules/cityscapes_20k.py',
    '../_base_/seg_runtime.py',
]

train_dataloader = dict(dataset=dict(pairs=False))
model = dict(data_preprocessor=dict(size_divisor=32))
