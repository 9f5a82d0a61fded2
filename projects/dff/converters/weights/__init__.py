"""Convert weights of other projects to checkpoints of this one."""
