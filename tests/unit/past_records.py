"""Records of blocks as a grid leaves them."""

from hosts.past import Past
from hosts.past_profiles import PastProfile, profile_choices
from workers.messages import PROTOCOL_VERSION
from workers.records import Status


def past_of(config, block, duration_s=50.0, runs=None, status=Status.OK):
    """Return the record of a block that this config has measured."""
    return Past(
        model=block.model,
        strategy=block.strategy,
        cpu_pct=block.cpu_pct,
        mem_pct=block.mem_pct,
        status=status,
        duration_s=duration_s,
        config_hash=config.digest(block.model),
        protocol_version=PROTOCOL_VERSION,
        runs=({},) * (len(config.fps) * 2 * config.repeats if runs is None else runs),
    )


def past_profile_of(config, level, duration_s=80.0, status=Status.OK):
    """Return the record of a profile that this config has asked for."""
    return PastProfile(
        model=level.model,
        cpu_pct=level.cpu_pct,
        mem_pct=level.mem_pct,
        status=status,
        duration_s=duration_s,
        config_hash=config.digest(level.model),
        protocol_version=PROTOCOL_VERSION,
        choices={"edge_runtime": "podman", **profile_choices(config)},
    )
