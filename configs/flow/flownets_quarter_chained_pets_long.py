# A second round of the pre-training, from the checkpoint of the first.
_base_ = './flownets_quarter_chained_pets.py'

train_cfg = dict(max_iters=1200)
load_from = 'work_dirs/flownets_quarter_chained_pets/iter_800.pth'
