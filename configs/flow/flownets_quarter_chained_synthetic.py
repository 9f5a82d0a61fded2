# A narrow FlowNet that learns the motion of synthetic videos, without labels.
_base_ = './flownets_quarter_chained_pets.py'

train_dataloader = dict(
    dataset=dict(
        dataset=dict(
            data_root='data/synthetic/',
            ann_file='annotations/train.json',
            data_prefix=dict(img='frames/'),
        ),
        crop_size=(192, 256),
        ratio_range=(1.0, 1.3),
        working_scale=1.0,
    ),
)
train_cfg = dict(max_iters=1600)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
