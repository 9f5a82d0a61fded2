# Baseline that copies Frame's labels of the key frame. Tested by offset.
_base_ = './frame_fcn_mobilenetv2_camvid_long.py'

test_evaluator = dict(
    _delete_=True,
    type='CopiedResultsMetric',
    metric=dict(type='SegIoUMetric'),
    offsets=list(range(19)),
    pooled=True,
)
