"""Non-maximum suppression as a fixed point, with no control flow and no NonMaxSuppression op.

Let boxes be sorted by score and S[i, j] = 1 when j < i and IoU(i, j) > t: "j may suppress i". Greedy NMS is the only vector
with keep[i] = valid[i] and no j with S[i, j] keep[j] (by induction over i: what i asks of is earlier in the order). We iterate
that equation from keep = valid, n times.

Bound. Let only valid boxes count, and give each a rank: a kept box without suppressors has rank 0; another kept box, all of
whose suppressors are suppressed, one more than the greatest rank among them; a suppressed box one more than the least rank
among its kept suppressors. **keep[i] is right from iterate rank(i) on.** Proof by induction over the rank. Rank 0: nothing
ever suppresses i. A kept box of rank r: all its suppressors are right, that is 0, from iterate r - 1 on, so it is kept from
r on. A suppressed box of rank r: one of its kept suppressors is right, that is 1, from r - 1 on, so it goes from r on.

So n iterations are exact when no rank exceeds n (`iterations_needed` says how many there must be). A box's rank is at most
the length of the longest chain of suppressors above it, which is at most its position, N - 1: N - 1 iterations are always
exact. The rank is usually much smaller than the chain: a heap of boxes that all overlap has a chain through all of them but
rank 1. Only a chain in which each box overlaps the next but not the one after reaches the bound.

What a longer chain gets. The step is antitone: more boxes in, fewer out. From keep = valid, the largest vector, the iterates
therefore enclose the answer: **after an even number of iterations no box that exact NMS keeps is missing**, and what is wrong
is a box too many, a duplicate that overlaps a kept one; after an odd number there is none too many and some may be missing.
The wrong ones have a rank above n, so the head of a chain is right. ITERATIONS is even for that reason, and the graph's
settings refuse odd numbers.

Where it is used, both times with ITERATIONS: on each pyramid level of the proposal network, N = the K best anchors (4 K on
C4's single level), t = 0.7; and within classes, N = `candidates`, t = 0.5. Neither N is below the bound that always holds: both
rely on ranks being small. Largest ranks on video frames at 320×576 (`lite`): with K = 100 and 200 candidates 5 and 6 of 300 and
60 heaps; with K = 1000 and 1000 candidates 11, once in 125, and 7. The one rank of 11 gives one proposal too many.

Boxes of equal score are in whatever order the sort gave them, as in every NMS. A box with NaN overlaps nothing, since
comparisons with NaN are false; who calls must have made it invalid.
"""

from __future__ import annotations

import torch
from torch import Tensor

ITERATIONS = 10
"""Even: see above."""


def pairwise_iou(boxes: Tensor) -> Tensor:
    """Intersection over union of every pair: xyxy [..., N, 4] → [..., N, N]; 0 for empty boxes."""
    a, b = boxes.unsqueeze(-2), boxes.unsqueeze(-3)
    width = torch.minimum(a[..., 2], b[..., 2]) - torch.maximum(a[..., 0], b[..., 0])
    height = torch.minimum(a[..., 3], b[..., 3]) - torch.maximum(a[..., 1], b[..., 1])
    overlap = width.clamp(min=0) * height.clamp(min=0)
    area = (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])
    union = area.unsqueeze(-1) + area.unsqueeze(-2) - overlap
    return overlap / union.clamp(min=1e-9)


def suppression(boxes: Tensor, threshold: float, groups: Tensor | None = None) -> Tensor:
    """S of boxes xyxy [..., N, 4] by falling score: float [..., N, N], 1 where the second index may suppress the first."""
    count = boxes.shape[-2]
    rank = torch.arange(count, dtype=boxes.dtype, device=boxes.device)
    earlier = (rank.unsqueeze(1) > rank.unsqueeze(0)).to(boxes.dtype)
    suppresses = (pairwise_iou(boxes) > threshold).to(boxes.dtype) * earlier
    if groups is not None:
        same = groups.unsqueeze(-1) == groups.unsqueeze(-2)
        suppresses = suppresses * same.to(boxes.dtype)
    return suppresses


def step(suppresses: Tensor, valid: Tensor, keep: Tensor) -> Tensor:
    """One iteration: the valid boxes that no box in `keep` suppresses, float [..., N]."""
    beaten = torch.matmul(suppresses, keep.unsqueeze(-1)).squeeze(-1)
    return valid * (beaten < 0.5).to(valid.dtype)


def fixed_point_nms(
    boxes: Tensor,
    valid: Tensor,
    threshold: float,
    groups: Tensor | None = None,
    iterations: int = ITERATIONS,
) -> Tensor:
    """Which boxes survive: float [..., N], 1 or 0.

    `boxes` xyxy [..., N, 4] sorted by falling score; `valid` float [..., N] of 1 and 0; `groups` [..., N]:
    only boxes of one group suppress each other. Exact up to the rank `iterations`; beyond, an even number keeps
    too many and never too few.
    """
    suppresses = suppression(boxes, threshold, groups)
    keep = valid
    for _ in range(iterations):
        keep = step(suppresses, valid, keep)
    return keep


def iterations_needed(boxes: Tensor, valid: Tensor, threshold: float, groups: Tensor | None = None) -> int:
    """The fewest iterations with which `fixed_point_nms` is exact for these boxes: the largest rank."""
    suppresses = suppression(boxes, threshold, groups)
    keep, count = valid, 0
    while not torch.equal(keep, after := step(suppresses, valid, keep)):
        keep, count = after, count + 1
    return count
