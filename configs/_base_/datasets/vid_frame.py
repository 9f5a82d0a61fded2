# vid.py with single training frames, for frame detectors.
_base_ = './vid.py'

train_dataloader = dict(
    dataset=dict(
        datasets=[
            dict(
                type='VideoPairDataset',
                dataset=dict(
                    type='CocoVIDDataset',
                    data_root=_base_.data_root,
                    ann_file='annotations/vid_train.json',
                    data_prefix=dict(img='Data/VID/'),
                    filter_cfg=dict(filter_empty_gt=True),
                ),
                pipeline=_base_.train_pipeline,
                pairs=False,
            ),
            dict(
                type='VideoPairDataset',
                dataset=dict(
                    type='CocoVIDDataset',
                    data_root=_base_.data_root,
                    ann_file='annotations/det_train.json',
                    data_prefix=dict(img='Data/DET/'),
                    filter_cfg=dict(filter_empty_gt=True),
                ),
                pipeline=_base_.train_pipeline,
                as_stills=True,
                pairs=False,
            ),
        ]
    )
)
