# Frame (offset 0), and its boxes copied to later frames.
_base_ = './frame_rfcn_mobilenetv2_pets.py'

test_evaluator = [
    dict(type='CopiedResultsMetric', metric=dict(type='VIDMetric'), offsets=10),
    dict(
        type='CopiedResultsMetric',
        metric=dict(type='CocoMetric', metric='bbox'),
        offsets=10,
    ),
]
