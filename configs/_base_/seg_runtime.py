_base_ = './default_runtime.py'

default_scope = 'mmseg'
visualizer = dict(type='SegLocalVisualizer')
