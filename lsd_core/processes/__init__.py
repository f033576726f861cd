"""Forward processes and their noise schedules."""

from lsd_core.processes.absorbing import Absorbing
from lsd_core.processes.noise import Geometric, LogLinear, Noise, noise_from_dict

__all__ = ["Absorbing", "Geometric", "LogLinear", "Noise", "noise_from_dict"]
