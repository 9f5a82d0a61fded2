# Middlebury's RubberWhale, for test; unknown pixels are ignored.
test_dataloader = dict(
    batch_size=1,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='FlowPairDataset',
        data_root='data/flow/Middlebury',
        pairs=[('rubberwhale1.png', 'rubberwhale2.png', 'flow10.flo')],
    ),
)
test_evaluator = dict(type='EndPointError')
test_cfg = dict(type='TestLoop')
