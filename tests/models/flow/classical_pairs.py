"""Textured frames and pairs that moved by whole pixels, for classical flow."""

import cv2
import numpy as np
import torch

MEAN = torch.tensor([123.15, 115.90, 103.06]).view(3, 1, 1)


def textured(height, width, seed=0):
    """Smooth random colour image, uint8 (H, W, 3)."""
    noise = np.random.default_rng(seed).uniform(0, 255, (height, width, 3))
    smooth = cv2.GaussianBlur(noise, (0, 0), 3)
    low, high = smooth.min(), smooth.max()
    return ((smooth - low) / (high - low) * 255).astype(np.uint8)


def to_input(image):
    return torch.from_numpy(image).permute(2, 0, 1).float() - MEAN


def moved_pair(height=160, width=224, dx=6, dy=-10):
    """cur(x, y) = key(x + dx, y + dy): the flow from cur into key is (dx, dy)."""
    canvas = textured(height + 64, width + 64)
    cur = canvas[32 : 32 + height, 32 : 32 + width]
    key = canvas[32 - dy : 32 - dy + height, 32 - dx : 32 - dx + width]
    return to_input(cur)[None], to_input(key)[None]
