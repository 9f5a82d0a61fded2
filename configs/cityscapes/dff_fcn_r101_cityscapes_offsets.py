# Test by the paper's protocol (Sec. 5.2): every labelled frame with each of the l = 5
# key frames before it.
_base_ = './dff_fcn_r101_cityscapes.py'

test_dataloader = dict(dataset=dict(test_offsets=list(range(5))))
test_evaluator = dict(
    _delete_=True,
    type='PerOffsetMetric',
    metric=dict(type='SegIoUMetric'),
    offsets=5,
    pooled=True,
)
