# Test by the paper's protocol (Sec. 5.2): each labelled frame with each of l = 10 key
# frames.
_base_ = './dff_rfcn_mobilenetv2_pets.py'

test_dataloader = dict(dataset=dict(test_offsets=list(range(10))))
test_evaluator = [
    dict(type='PerOffsetMetric', metric=dict(type='VIDMetric'), offsets=10),
    dict(
        type='PerOffsetMetric',
        metric=dict(type='CocoMetric', metric='bbox'),
        offsets=10,
    ),
]
