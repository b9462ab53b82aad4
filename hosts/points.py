"""Where each model is cut at each network speed: the paper's points, or the config's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hosts.config import Config

# The paper's Fig. 2 and 3, read by layer name: block4_pool and block5_pool are its layers 17 and 22.
# MobileNetV2's layer 2 was Conv1_pad, which today's Keras no longer has; the input is its neighbour of that size.
PAPER_POINTS: dict[str, dict[float, str | int]] = {
    "vgg19": {20.0: "block4_pool", 5.0: "block5_pool"},
    "mobilenetv2": {20.0: "input", 5.0: "block_3_project"},
}


def points_by_speed(config: Config, model: str) -> dict[float, str | int]:
    """Return the cut asked for at each speed."""
    partition = config.models[model].partition
    named = PAPER_POINTS[model] if isinstance(partition, str) else partition
    return {speed: named[speed] for speed in config.network.speeds_mbps}
