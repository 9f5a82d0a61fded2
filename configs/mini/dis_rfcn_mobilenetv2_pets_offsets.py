# OpenCV's DIS as F, S = 1. Test it with the Frame checkpoint (nothing trained) or with
# that of dff_rfcn_mobilenetv2_dis_pets.py (N trained).
_base_ = './dff_rfcn_mobilenetv2_pets.py'

model = dict(
    propagation=dict(
        flow_estimator=dict(_delete_=True, type='ClassicalFlow', strides=(16,))
    )
)
test_dataloader = dict(dataset=dict(test_offsets=list(range(10))))
test_evaluator = [
    dict(type='PerOffsetMetric', metric=dict(type='VIDMetric'), offsets=10),
    dict(
        type='PerOffsetMetric',
        metric=dict(type='CocoMetric', metric='bbox'),
        offsets=10,
    ),
]
