# Any folder of NAME_img1.*, NAME_img2.*, NAME_flow.flo, for test.
test_dataloader = dict(
    batch_size=1,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='FlowPairDataset', data_root='data/flow/FlyingChairs_sample'),
)
test_evaluator = dict(type='EndPointError')
test_cfg = dict(type='TestLoop')
