# SFF-fast (paper Tab. 3): SIFT flow with its default parameters as F, with the weights
# of Frame. For test only. The flow of each pair is cached.
_base_ = './dff_rfcn_r101_vid.py'

model = dict(
    propagation=dict(
        flow_estimator=dict(
            _delete_=True,
            type='ClassicalFlow',
            method='sift',
            preset='fast',
            strides=(16,),
            cache_dir='work_dirs/sift_fast_vid',
        )
    )
)
