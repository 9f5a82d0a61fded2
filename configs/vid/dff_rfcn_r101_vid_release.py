# The release's training, which differs from the paper in schedule, ratio of the data
# sets, and bias of the scale field. The model is the same.
_base_ = './dff_rfcn_r101_vid.py'

# VID : DET, the lengths of the released lists: 1.08 : 1
train_dataloader = dict(sampler=dict(ratio=[57834, 53639]))

# 4 GPUs x 1 pair. A list has each image twice, original and flipped, so an epoch is
# 2 x (57,834 + 53,639) = 222,946 pairs, 55,736 iterations; two epochs:
train_cfg = dict(max_iters=111472, val_interval=111472)
# a tenth of the rate after 1.333 epochs: 1.333 x 222,946 / 4 = 74,296 iterations
param_scheduler = [
    dict(type='MultiStepLR', by_epoch=False, milestones=[74296], gamma=0.1),
]
optim_wrapper = dict(
    # The release sums the gradients of its 4 GPUs, at 2.5e-4 and with a decay of 5e-4:
    #   w <- w - 2.5e-4 ((g1 + g2 + g3 + g4) + 5e-4 w)
    # Here they are averaged, so the rate is four times, the decay a quarter:
    #   w <- w - 1e-3 ((g1 + g2 + g3 + g4) / 4 + 1.25e-4 w)
    optimizer=dict(lr=4 * 2.5e-4, weight_decay=5e-4 / 4),
    paramwise_cfg=dict(
        bias_decay_mult=0.0,  # MXNet decays no biases
        custom_keys={
            # S is trained through its weights only; its bias stays 1. The longest
            # key that fits wins: keep this one longer than one for all of F.
            'flow_estimator.predict_scale.0.bias': dict(lr_mult=0.0, decay_mult=0.0)
        },
    ),
)
auto_scale_lr = dict(base_batch_size=4)  # 4 GPUs x 1
