# OpenCV's DIS as F, S = 1. Test it with the Frame checkpoint, or train N with it.
_base_ = './dff_fcn_mobilenetv2_camvid.py'

model = dict(
    propagation=dict(
        flow_estimator=dict(
            _delete_=True, type='ClassicalFlow', preset='medium', strides=(8,)
        )
    )
)
