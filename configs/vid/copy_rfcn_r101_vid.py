# Baseline that copies the key frame's features. Test it with the Frame checkpoint.
_base_ = './dff_rfcn_r101_vid.py'

model = dict(
    propagation=dict(flow_estimator=dict(_delete_=True, type='ZeroFlow', strides=(16,)))
)
