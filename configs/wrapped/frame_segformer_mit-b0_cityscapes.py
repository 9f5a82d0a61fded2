# Frame baseline: the stock segmentor on every frame.
_base_ = [
    'mmseg::_base_/models/segformer_mit-b0.py',
    '../_base_/datasets/cityscapes_sequence.py',
    '../_base_/schedules/cityscapes_20k.py',
    '../_base_/seg_runtime.py',
]

train_dataloader = dict(dataset=dict(pairs=False))
optim_wrapper = dict(  # stock
    optimizer=dict(_delete_=True, type='AdamW', lr=6e-5, weight_decay=0.01),
)
model = dict(data_preprocessor=dict(size_divisor=32))
