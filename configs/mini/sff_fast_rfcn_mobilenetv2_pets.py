# SFF-fast (paper Tab. 3): SIFT flow with its default parameters as F, with the weights
# of Frame. For test only. The flow of each pair is cached.
_base_ = './dff_rfcn_mobilenetv2_pets.py'

model = dict(
    propagation=dict(
        flow_estimator=dict(
            _delete_=True,
            type='ClassicalFlow',
            method='sift',
            preset='fast',
            working_scale=0.375,
            strides=(16,),
            cache_dir='work_dirs/sift_fast_mini',
        )
    )
)
