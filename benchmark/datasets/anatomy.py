"""Schematic axial slices of the thorax, drawn from random numbers: what the phantom is made of.

Coordinates run from -1 to 1: x from the image's left edge (the patient's right), y from the
front of the body (top) to its back. Every length below is in these units. Grey values follow a
lung window: air 0, lung about 50, fat about 150, soft tissue about 205, bone about 245.

Only uniform random numbers, arithmetic and correctly rounded square roots decide where an edge
lies, in double precision, so that every machine draws the same 8-bit picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float64]

_RENDER = 256  # smaller pictures are drawn at least this large and averaged down
_FAT, _TISSUE, _BONE = 150.0, 205.0, 245.0


@dataclass(frozen=True)
class Anatomy:
    """The build of one patient, shared by all of that patient's slices."""

    width: float
    height: float
    fat: float
    lung_width: float
    lung_height: float
    heart: float
    lung_grey: float
    noise: float
    severity: float


def draw_anatomy(rng: np.random.Generator, severity: float) -> Anatomy:
    """One patient's build; `severity` from 0 (healthy) to 1 scales the lesions."""
    low = np.array([0.87, 0.66, 0.06, 0.30, 0.48, 0.9, 42.0, 6.0])
    high = np.array([0.96, 0.76, 0.11, 0.34, 0.54, 1.1, 58.0, 14.0])
    drawn: list[float] = [*(low + (high - low) * rng.random(8)).tolist(), severity]
    return Anatomy(*drawn)


@lru_cache(maxsize=64)
def _lattice(n: int, knots: int) -> Field:
    """The (n, knots) matrix that interpolates between knots with a smooth step."""
    at = (np.arange(n) + 0.5) / n * (knots - 1)
    left = np.minimum(at.astype(np.int64), knots - 2)
    t = at - left
    t = t * t * (3 - 2 * t)
    weights = np.zeros((n, knots))
    weights[np.arange(n), left] = 1 - t
    weights[np.arange(n), left + 1] = t
    return weights


def _noise(rng: np.random.Generator, n: int, knots: int) -> Field:
    """A smooth random field from 0 to 1, the same picture at every n."""
    weights = _lattice(n, knots)
    return weights @ rng.random((knots, knots)) @ weights.T


class _Canvas:
    """The picture while it is drawn, with its coordinates."""

    def __init__(self, n: int) -> None:
        axis = (np.arange(n) + 0.5) / n * 2 - 1
        self.n = n
        self.x, self.y = axis[None, :], axis[:, None]
        self.image = np.zeros((n, n))

    def ellipse(self, x: float, y: float, a: float, b: float) -> Field:
        """Approximate signed distance to an ellipse's edge, positive inside."""
        u, v = (self.x - x) / a, (self.y - y) / b
        return (1 - np.sqrt(u * u + v * v)) * min(a, b)

    def cover(self, distance: Field) -> Field:
        """The share of each pixel inside an edge: a ramp two pixels wide."""
        return np.clip(0.5 + distance * self.n / 4, 0, 1)

    def paint(self, distance: Field, grey: float | Field, share: float | Field = 1.0) -> None:
        """Lay a grey over the picture inside an edge."""
        alpha = self.cover(distance) * share
        self.image += alpha * (grey - self.image)

    def tube(
        self, start: Field, end: Field, radius: float, grey: float, inside: Field, ends: float
    ) -> None:
        """Brighten a capsule from start to end whose radius shrinks to `ends` times itself."""
        low, high = np.minimum(start, end) - 2 * radius, np.maximum(start, end) + 2 * radius
        x0, y0 = np.clip(np.floor((low + 1) / 2 * self.n).astype(int), 0, self.n)
        x1, y1 = np.clip(np.ceil((high + 1) / 2 * self.n).astype(int) + 1, 0, self.n)
        x, y = self.x[:, x0:x1] - start[0], self.y[y0:y1] - start[1]
        along = end - start
        t = np.clip((x * along[0] + y * along[1]) / (along @ along), 0, 1)
        dx, dy = x - t * along[0], y - t * along[1]
        distance = radius * (1 - (1 - ends) * t) - np.sqrt(dx * dx + dy * dy)
        part = self.image[y0:y1, x0:x1]
        alpha = self.cover(distance) * inside[y0:y1, x0:x1]
        np.copyto(part, np.maximum(part, part + alpha * (grey - part)))


def _turn(direction: Field, by: float) -> Field:
    """A direction turned by the angle whose tangent is `by`."""
    turned = direction + by * np.array([-direction[1], direction[0]])
    return turned / np.sqrt(turned @ turned)


def _vessels(canvas: _Canvas, rng: np.random.Generator, side: int, inside: Field) -> None:
    """Vessels that branch from the hilum outwards, and those that the slice cuts across."""
    trunks = [
        (np.array([side * 0.15, 0.02]), _turn(np.array([float(side), 0.0]), tilt), 0.022)
        for tilt in (-1.1, -0.1, 0.8)
    ]
    while trunks:
        start, direction, radius = trunks.pop()
        direction = _turn(direction, 0.5 * (rng.random() - 0.5))
        end = start + direction * (0.08 + 0.08 * rng.random())
        if rng.random() < 0.6:  # the others leave the plane of the slice
            canvas.tube(start, end, radius, 215.0, inside, 0.75)
        if radius > 0.006:
            spread = 0.35 + 0.4 * rng.random()
            trunks.append((end, _turn(direction, spread), radius * 0.62))
            trunks.append((end, _turn(direction, -spread), radius * 0.74))
    for spot in rng.random((14, 3)):
        at = np.array([side * (0.2 + 0.45 * spot[0]), -0.4 + 0.8 * spot[1]])
        canvas.tube(at, at + 0.002, 0.006 + 0.012 * spot[2] * spot[2], 215.0, inside, 1.0)


def _bones(canvas: _Canvas, anatomy: Anatomy, z: float, body: Field) -> None:
    """Ribs round the lungs, vertebra, sternum and, high up, the shoulder blades."""

    def bone(x: float, y: float, a: float, b: float) -> None:
        canvas.paint(np.minimum(canvas.ellipse(x, y, a, b), body), _BONE)
        canvas.paint(np.minimum(canvas.ellipse(x, y, a * 0.5, b * 0.5), body), 222.0)

    ring_x, ring_y = anatomy.lung_width + 0.44, anatomy.lung_height + 0.07
    for side in (-1, 1):
        for k, (u, v) in enumerate(((0.42, -0.91), (0.8, -0.6), (0.99, 0.0), (0.85, 0.52))):
            a, b = ((0.085, 0.022), (0.05, 0.045), (0.022, 0.1), (0.045, 0.055))[k]
            shift = 0.05 * ((z * 4 + k * 0.37) % 1 - 0.5)
            bone(side * (u * ring_x - shift), v * ring_y + shift, a, b)
        bone(side * 0.17, 0.40, 0.1, 0.022)
        if z < 0.4:
            bone(side * (ring_x - 0.1), 0.34, 0.13, 0.02)
    bone(0.0, 0.30, 0.105, 0.085)
    bone(0.0, 0.50, 0.022, 0.075)
    canvas.paint(canvas.ellipse(0.0, 0.41, 0.04, 0.03), 190.0)
    bone(0.0, -ring_y + 0.02, 0.085, 0.025)


def _lesions(
    canvas: _Canvas, rng: np.random.Generator, anatomy: Anatomy, depth: Field, inside: Field
) -> NDArray[np.bool_]:
    """Paint ground glass and consolidation into the lungs.

    Returns:
        Where they are.
    """
    infected = np.zeros(depth.shape, dtype=bool)
    for number in range(2 + int(rng.integers(0, 4)) + round(4 * anatomy.severity)):
        side = -1 if rng.random() < 0.5 else 1
        u, v, size, stretch = rng.random(4)
        # The back and the rim of the lung are struck more often, as in the disease.
        x = side * (0.28 + 0.36 * (1 - u * u))
        y = -0.40 + 0.78 * (1 - v * v)
        a = (0.10 + 0.11 * size) * (0.75 + 0.35 * anatomy.severity)
        b = a * (0.8 + 0.8 * stretch)
        edge = 1.1 * (_noise(rng, canvas.n, 18) - 0.5) + 0.7 * (_noise(rng, canvas.n, 40) - 0.5)
        dense = number % 3 == 2
        field = canvas.ellipse(x, y, a, b) / min(a, b) + edge
        texture = _noise(rng, canvas.n, 90)
        if dense:  # consolidation keeps to the pleura
            field = np.minimum(field, (0.11 - depth) / 0.08 + edge)
            grey, ramp = 178 + 50 * texture, 0.25
        else:
            grey, ramp = 105 + 75 * texture, 0.5
        share = np.clip(0.5 + field / ramp, 0, 1) * inside
        canvas.image += share * (np.maximum(grey, canvas.image) - canvas.image)
        infected |= (field > 0) & (depth > 0)
    return infected


def draw_slice(
    rng: np.random.Generator, anatomy: Anatomy, z: float, size: int, infected: bool
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]:
    """Draw one slice.

    Args:
        rng: Where its random numbers come from; how many are drawn before the pixel noise does
            not depend on `size`, so that the anatomy is the same at every size.
        anatomy: The patient.
        z: Level of the slice, from 0 (apex of the lungs) to 1 (base).
        size: Side of the picture in pixels.
        infected: Whether lesions are drawn.

    Returns:
        Image, grey values; mask, 1 where infected; lungs, 1 inside. Each (size, size) uint8.
    """
    factor = -(-_RENDER // size)
    canvas = _Canvas(size * factor)
    n = canvas.n
    u, v = canvas.x / anatomy.width, canvas.y / anatomy.height
    body = (1 - np.sqrt(u * u + v * v - 0.35 * u * u * v * v)) * anatomy.height
    canvas.paint(body, 185.0)
    canvas.paint(body - 0.012, _FAT + 24 * (_noise(rng, n, 60) - 0.5))
    canvas.paint(body - anatomy.fat, _TISSUE + 14 * (_noise(rng, n, 50) - 0.5))
    streaks = _noise(rng, n, 14) - 0.62  # fat between the muscles of the chest wall
    canvas.paint(np.minimum(body - anatomy.fat, streaks * 0.2), _FAT + 12)
    _bones(canvas, anatomy, z, body - anatomy.fat)

    grow = 0.6 + 1.9 * z * (1 - z) + 0.15 * z
    lung_a, lung_b = anatomy.lung_width * min(grow, 1.0), anatomy.lung_height * min(grow, 1.0)
    heart_r = anatomy.heart * (0.14 + 0.15 * z)
    heart = canvas.ellipse(0.05 * (1 + z), -0.10, heart_r * 1.05, heart_r * 1.15)
    middle = np.maximum(heart, canvas.ellipse(0.0, 0.29, 0.15, 0.16))
    middle = np.maximum(middle, canvas.ellipse(0.0, 0.05, 0.12, 0.4))
    wobble = 0.05 * (_noise(rng, n, 9) - 0.5)
    sides = [
        np.minimum(canvas.ellipse(side * 0.39, 0.0, lung_a, lung_b) + wobble, -middle)
        for side in (-1, 1)
    ]
    depth = np.maximum(*sides)
    lung = anatomy.lung_grey + 22 * (_noise(rng, n, 100) - 0.5)
    canvas.paint(depth, lung + 26 * np.clip(canvas.y, 0, 1))
    canvas.paint(heart - 0.03, 198.0)
    canvas.paint(canvas.ellipse(0.07, 0.16, 0.05, 0.05), 212.0)  # descending aorta
    for x in (0.0,) if z < 0.45 else (-0.08, 0.08):  # trachea, further down the main bronchi
        canvas.paint(canvas.ellipse(x, 0.06, 0.05, 0.042), 222.0)
        canvas.paint(canvas.ellipse(x, 0.06, 0.036, 0.03), 8.0)
    canvas.paint(0.012 - np.abs(canvas.y - 0.88 + 0.1 * canvas.x * canvas.x), 120.0)

    inside = canvas.cover(depth)
    mask = np.zeros((n, n), dtype=bool)
    if infected:
        mask = _lesions(canvas, rng, anatomy, depth, inside)
    for side in (-1, 1):
        _vessels(canvas, rng, side, inside)

    blocks = (size, factor, size, factor)
    image = canvas.image.reshape(blocks).mean(axis=(1, 3))
    infection, lungs = (
        (each.reshape(blocks).sum(axis=(1, 3)) * 2 > factor * factor).astype(np.uint8)
        for each in (mask, depth > 0)
    )
    image += anatomy.noise * 2 * (rng.random((3, size, size)).sum(axis=0) - 1.5)
    return np.clip(np.rint(image), 0, 255).astype(np.uint8), infection, lungs
