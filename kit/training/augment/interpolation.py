"""Pixels at places between pixels, for the augmentations that bend, turn or stretch images."""

from __future__ import annotations

from typing import Any, Literal

Fill = Literal["nearest", "reflect", "constant"]
"""What lies outside an image, as ``scipy.ndimage`` names it: ``a a | a b c | c c``, ``b a | a b c | c b`` or black."""


def sample(images: Any, row: Any, column: Any, fill: Fill = "reflect") -> Any:
    """Bilinear interpolation of images at places of their own: float32, shaped and typed as the images.

    With ``constant`` the border fades into black within one pixel (SciPy's ``grid-constant``). SciPy's ``constant``
    cuts there instead, so that a rounding error of 1e-7 pixels would turn a border row black.

    images: (batch, height, width, channels); row, column: (batch, height, width), in pixels from the first one.
    """
    from keras import ops

    batch = ops.shape(images)[0]
    height, width, channels = images.shape[1:]
    row, top = _inside(row, height, fill)
    column, left = _inside(column, width, fill)  # top, left: -1 .. size - 1
    down, right = (row - top)[..., None], (column - left)[..., None]

    # The four neighbours of a place lie side by side in memory, so that one gather instead of four fetches them.
    padded = ops.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="constant" if fill == "constant" else "symmetric")
    corners = ops.concatenate([padded[:, :-1, :-1], padded[:, :-1, 1:], padded[:, 1:, :-1], padded[:, 1:, 1:]], axis=-1)
    stride = width + 1
    place = ops.cast((top + 1) * stride + left + 1, "int32") + ops.reshape(
        ops.arange(batch, dtype="int32") * ((height + 1) * stride), (-1, 1, 1)
    )
    near = ops.take(ops.reshape(corners, (-1, 4 * channels)), ops.reshape(place, (-1,)), axis=0)
    near = ops.reshape(near, (-1, height, width, 4 * channels))
    above = near[..., :channels] * (1 - right) + near[..., channels : 2 * channels] * right
    below = near[..., 2 * channels : 3 * channels] * (1 - right) + near[..., 3 * channels :] * right
    return above * (1 - down) + below * down


def _inside(place: Any, size: int, fill: Fill) -> tuple[Any, Any]:
    """Bring places back to the image and the pixel around it: (places, the pixel before each of them)."""
    from keras import ops

    if fill == "constant":
        place = ops.clip(place, -1.0, float(size))
        return place, ops.floor(ops.minimum(place, size - 1.0))
    place = ops.clip(place, 0.0, size - 1.0) if fill == "nearest" else _reflect(place, size)
    return place, ops.floor(place)


def _reflect(place: Any, size: int) -> Any:
    """Fold places outside -0.5 .. size - 0.5 back inside."""
    from keras import ops

    return size - ops.abs(size - ops.mod(place + 0.5, 2.0 * size)) - 0.5
