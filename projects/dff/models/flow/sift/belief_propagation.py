"""Min-sum belief propagation for a flow of discrete labels, as SIFT flow has it.

Each pixel has a label u and a label v: offsets -radius ... radius from the pixel's own
window centre, one graph (plane) for each, joined pixel by pixel by the matching cost
("dual layer": C. Liu, J. Yuen, A. Torralba, SIFT Flow, PAMI 2011, Sec. 3.2).

Shapes: H, W image; K = 2 x radius + 1 labels; planes 0 = u (x) and 1 = v (y).
Fields of beliefs and messages are (H, K, 2, W).
"""

import numpy as np


class Chains:
    """All rows (or all columns) of an image as chains of pixels.

    Along one chain the smoothness is min(alpha |f_p - f_q|, d) with f = centre + label.

    Args:
        centre: window centres (T, 2, M) int: T pixels along a chain, M chains.
        labels: K.
        alpha: cost of one pixel of difference between neighbours.
        d: where that cost ends.
    """

    def __init__(
        self, centre: np.ndarray, labels: int, *, alpha: float, d: float
    ) -> None:
        steps = len(centre)
        shift = np.diff(centre.reshape(steps, -1), axis=0)
        shift = np.concatenate([shift, -shift[::-1]], axis=1)  # (T - 1, 2 x 2M)
        chains = np.arange(shift.shape[1])
        own = np.arange(labels)[:, None]
        self._index = np.empty((steps - 1, labels, len(chains)), np.intp)
        self._beyond = np.empty(self._index.shape, np.float32)
        for i in range(steps - 1):
            # where the receiver's labels lie among the sender's, of another window
            place = own + shift[i]
            inside = np.minimum(np.maximum(place, 0), labels - 1)
            self._index[i] = inside * len(chains) + chains
            self._beyond[i] = alpha * np.abs(place - inside)
        self.alpha, self.d = np.float32(alpha), np.float32(d)

    def pass_messages(self, unary: np.ndarray) -> np.ndarray:
        """Send along every chain, to its end and back; exact on a chain.

        Args:
            unary: cost of each label (T, K, 2, M) but for the chain's own messages.

        Returns:
            (T, K, 2, M), the sum of the two messages that each pixel receives, each
            less its minimum.
        """
        steps, labels, planes, chains = unary.shape
        unary = unary.reshape(steps, labels, -1)
        # the way back is the way there on the reversed chain: one loop for both
        both = np.concatenate([unary, unary[::-1]], axis=2)
        received = np.zeros_like(both)
        for i in range(steps - 1):
            sent = both[i] + received[i]
            limit = sent.min(axis=0) + self.d
            lower_envelope(sent, self.alpha)
            message = received[i + 1]
            np.take(sent.ravel(), self._index[i], out=message, mode='clip')
            message += self._beyond[i]
            np.minimum(message, limit, out=message)
            message -= message.min(axis=0)
        half = planes * chains
        total = received[:, :, :half] + received[::-1, :, half:]
        return total.reshape(steps, labels, planes, chains)


def lower_envelope(cost: np.ndarray, alpha: float | np.floating) -> None:
    """Set cost[l] (K, ...) to min over m of cost[m] + alpha |l - m|, in place.

    The distance transform of Felzenszwalb and Huttenlocher; here steps of 1, 2, 4 ...
    labels, of which any distance is a sum.
    """
    step = 1
    while step < len(cost):
        upwards = cost[:-step] + alpha * step
        downwards = cost[step:] + alpha * step
        np.minimum(cost[step:], upwards, out=cost[step:])
        np.minimum(cost[:-step], downwards, out=cost[:-step])
        step *= 2


def dual_messages(cost: np.ndarray, unary: np.ndarray) -> np.ndarray:
    """Send each plane the cost of its labels by the other plane and by matching.

    Args:
        cost: matching cost (H, K, K, W), v before u.
        unary: cost of each label (H, K, 2, W) but for the other plane's message.

    Returns:
        (H, K, 2, W): for u the minimum over v of cost + unary of v; and the reverse.
    """
    received = np.empty_like(unary)
    for row, (cost_row, unary_row) in enumerate(zip(cost, unary, strict=True)):
        (cost_row + unary_row[:, None, 1]).min(axis=0, out=received[row, :, 0])
        (cost_row + unary_row[None, :, 0]).min(axis=1, out=received[row, :, 1])
    return received


def propagate(
    cost: np.ndarray,
    centre: np.ndarray,
    *,
    alpha: float,
    d: float,
    gamma: float,
    iterations: int,
) -> np.ndarray:
    """Find beliefs for the flow of least energy.

    The energy: the sum over pixels of cost + gamma (|u| + |v|), and over neighbours of
    min(alpha |u_p - u_q|, d) + min(alpha |v_p - v_q|, d).

    Differs from the released code: an iteration passes the messages between the
    planes, then along all rows both ways, then along all columns; that is four of the
    release's, which sweeps one plane in one direction of the raster. There is no
    multigrid start: along a row or a column messages reach the end at once. Between
    windows that do not meet the smoothness holds as everywhere.

    Args:
        cost: matching cost (H, K, K, W), v before u.
        centre: centres of the windows (H, 2, W), whole pixels.
        alpha: smoothness, for one pixel of difference.
        d: limit of the smoothness cost.
        gamma: cost of one pixel of motion.
        iterations: how often all messages are passed.

    Returns:
        (H, K, 2, W) float32, lower is better; the flow is centre + the label of
        least belief.
    """
    labels = cost.shape[1]
    offsets = np.arange(labels)[:, None, None] - labels // 2
    prior = (gamma * np.abs(centre[:, None] + offsets)).astype(np.float32)
    columns = Chains(centre, labels, alpha=alpha, d=d)
    rows = Chains(_swap(centre), labels, alpha=alpha, d=d)
    vertical = horizontal = np.zeros_like(prior)
    for _ in range(iterations):
        base = prior + dual_messages(cost, prior + horizontal + vertical)
        horizontal = _swap(rows.pass_messages(_swap(base + vertical)))
        vertical = columns.pass_messages(base + horizontal)
    smooth = prior + horizontal + vertical
    return smooth + dual_messages(cost, smooth)


def _swap(field: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(np.swapaxes(field, 0, -1))
