# SFF-slow (paper Tab. 3): SIFT flow with its best parameters as F, on the weights of
# Frame. For test; nothing is trained. Flows are kept, pair by pair.
_base_ = './dff_fcn_mobilenetv2_camvid.py'

model = dict(
    propagation=dict(
        flow_estimator=dict(
            _delete_=True,
            type='ClassicalFlow',
            method='sift',
            preset='slow',
            strides=(8,),
            cache_dir='work_dirs/sift_slow_camvid',
        )
    )
)
