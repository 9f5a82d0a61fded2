# Pairs of CamVid: single images with a key frame made by moving them, and the training
# part of the clip, whose frames come as often.
_base_ = './camvid.py'

data_root = 'data/camvid/'
pairs = dict(
    type='VideoPairDataset',
    dataset=dict(
        type='CamVidDataset',
        data_root=data_root,
        data_prefix=dict(img_path='images/train', seg_map_path='labels/train'),
    ),
    file_pattern=_base_.file_pattern,
    pipeline=_base_.train_pipeline,
    offset_range=(0, 18),  # 1.2 s, as far as is tested
    still_motion=dict(),
)
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='ConcatDataset',
        datasets=[
            pairs,
            dict(
                type='RepeatDataset',
                times=13,  # 27 frames x 13 + 389 images
                dataset=dict(pairs, min_video_length=2),
            ),
        ],
    )
)
