# OpenCV's DIS as F, S = 1. Tested with the Frame checkpoint (nothing trained) or with
# that of dff_rfcn_mobilenetv2_dis_pets.py (N trained).
_base_ = './dff_rfcn_mobilenetv2_pets_offsets.py'

model = dict(
    propagation=dict(
        flow_estimator=dict(_delete_=True, type='ClassicalFlow', strides=(16,))
    )
)
