"""Checks of models, of data sets and of files of detections."""
