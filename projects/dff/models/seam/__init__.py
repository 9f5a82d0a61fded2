"""Where N_feat ends and N_task begins."""
