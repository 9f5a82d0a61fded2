# Flying Chairs with FlowNet's split: 22232 training and 640 validation pairs.
data_root = 'data/FlyingChairs_release/'
pairs = dict(
    type='FlyingChairs',
    data_root=data_root + 'data',
    split_file=data_root + 'FlyingChairs_train_val.txt',
)

train_dataloader = dict(
    batch_size=8,  # FlowNet Sec. 4.2
    num_workers=8,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        **pairs,
        split='train',
        augmentation=dict(crop_size=(320, 448), geometry=dict(), colour=dict()),
    ),
)
val_dataloader = dict(
    batch_size=8,  # all are 384 x 512
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(**pairs, split='val'),
)
val_evaluator = dict(type='EndPointError')
test_dataloader = val_dataloader
test_evaluator = val_evaluator
