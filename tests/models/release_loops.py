"""From maps to detections as the release does it, in plain loops.

Single precision where a rounding decides (RoI pooling), double elsewhere. A box is
[x1, y1, x2, y2] and holds its last pixel.
"""

import math

import numpy as np

STRIDE, SCALES, RATIOS = 16, (8, 16, 32), (0.5, 1.0, 2.0)
RPN_STDS, ROI_STDS = (0.1, 0.1, 0.4, 0.4), (0.1, 0.1, 0.2, 0.2)
BINS = 7


def base_anchors():
    """Nine anchors of the cell at the origin, ratio by ratio, scale by scale."""
    anchors = []
    for ratio in RATIOS:
        width = round(math.sqrt(STRIDE**2 / ratio))
        height = round(width * ratio)
        for scale in SCALES:
            dx, dy = (width * scale - 1) / 2, (height * scale - 1) / 2
            centre = (STRIDE - 1) / 2
            anchors.append([centre - dx, centre - dy, centre + dx, centre + dy])
    return anchors


def decode(box, deltas, stds, image_size):
    """Move and stretch a box, then clip it to the last row and column."""
    x1, y1, x2, y2 = box
    dx, dy, dw, dh = (float(d) * s for d, s in zip(deltas, stds, strict=True))
    width, height = x2 - x1 + 1, y2 - y1 + 1
    x, y = x1 + (width - 1) / 2 + dx * width, y1 + (height - 1) / 2 + dy * height
    width, height = width * math.exp(dw), height * math.exp(dh)
    dx, dy = (width - 1) / 2, (height - 1) / 2
    last_x, last_y = image_size[1] - 1, image_size[0] - 1
    return [
        max(min(x - dx, last_x), 0),
        max(min(y - dy, last_y), 0),
        max(min(x + dx, last_x), 0),
        max(min(y + dy, last_y), 0),
    ]


def nms(boxes, order, threshold, limit=None):
    """Go through `order`; keep what overlaps nothing kept by more than a threshold."""
    kept = []
    for i in order:
        x1, y1, x2, y2 = boxes[i]
        area = (x2 - x1 + 1) * (y2 - y1 + 1)
        for j in kept:
            a1, b1, a2, b2 = boxes[j]
            w = min(x2, a2) - max(x1, a1) + 1
            h = min(y2, b2) - max(y1, b1) + 1
            if w > 0 and h > 0:
                union = area + (a2 - a1 + 1) * (b2 - b1 + 1) - w * h
                if w * h / union > threshold:
                    break
        else:
            kept.append(i)
            if len(kept) == limit:
                break
    return kept


def propose(scores, deltas, image_size, *, min_size=0.0, nms_pre=6000, only_whole=True):
    """Return at most 300 proposals, best first.

    Args:
        scores: object and background of each anchor (9 * 2, h, w).
        deltas: (9 * 4, h, w).
        image_size: height and width the network sees.
        min_size: smallest side, in pixels of the network's image.
        nms_pre: how many are compared with each other.
        only_whole: whether cells that the image does not fill propose nothing.
    """
    rows, columns = scores.shape[1:]
    if only_whole:
        rows, columns = image_size[0] // STRIDE, image_size[1] // STRIDE
    anchors, boxes, chances = base_anchors(), [], []
    for row in range(rows):
        for column in range(columns):
            for a, anchor in enumerate(anchors):
                x, y = column * STRIDE, row * STRIDE
                shifted = [anchor[0] + x, anchor[1] + y, anchor[2] + x, anchor[3] + y]
                delta = deltas[4 * a : 4 * a + 4, row, column]
                box = decode(shifted, delta, RPN_STDS, image_size)
                sides = box[2] - box[0] + 1, box[3] - box[1] + 1
                if min(sides) >= min_size:
                    gap = float(scores[2 * a, row, column])
                    gap -= float(scores[2 * a + 1, row, column])
                    boxes.append(box)
                    chances.append(1 / (1 + math.exp(-gap)))
    order = sorted(range(len(boxes)), key=lambda i: -chances[i])[:nms_pre]
    return [boxes[i] for i in nms(boxes, order, 0.7, 300)]


def round_half_up(value):
    return np.float32(math.floor(np.float32(value) + np.float32(0.5)))


def borders(first, last, size):
    """Cells [begin, end) of each of the seven bins along one axis."""
    scale = np.float32(1 / STRIDE)
    start = round_half_up(first) * scale
    stop = (round_half_up(last) + np.float32(1)) * scale
    step = max(stop - start, np.float32(0.1)) / np.float32(BINS)
    found = []
    for index in range(BINS):
        begin = math.floor(np.float32(index) * step + start)
        end = math.ceil(np.float32(index + 1) * step + start)
        found.append((min(max(begin, 0), size), min(max(end, 0), size)))
    return found


def vote(maps, box):
    """Average over the bins, each pooled from its own map (D * 49, h, w) -> (D,)."""
    maps = maps.reshape(-1, BINS, BINS, *maps.shape[1:]).astype(np.float64)
    total = np.zeros(len(maps))
    across = borders(box[0], box[2], maps.shape[-1])
    for row, (top, low) in enumerate(borders(box[1], box[3], maps.shape[-2])):
        for column, (left, right) in enumerate(across):
            if low > top and right > left:
                cells = maps[:, row, column, top:low, left:right]
                total += cells.sum(axis=(1, 2)) / ((low - top) * (right - left))
    return total / BINS**2


def detect(proposals, cls_maps, box_maps, image_size, factor):
    """Return (score, class, box of the original image), at most 300, best first."""
    boxes, scores = [], []
    for proposal in proposals:
        logits = vote(cls_maps, proposal)
        chances = np.exp(logits - logits.max())
        scores.append(chances / chances.sum())
        box = decode(proposal, vote(box_maps, proposal), ROI_STDS, image_size)
        boxes.append([side / factor for side in box])
    found = []
    for label in range(len(scores[0]) - 1):  # the last class is the background
        column = [chances[label] for chances in scores]
        good = [i for i in range(len(boxes)) if column[i] > 1e-4]
        good.sort(key=lambda i: -column[i])
        found += [(column[i], label, boxes[i]) for i in nms(boxes, good, 0.3)]
    found.sort(key=lambda item: -item[0])
    return found[:300]
