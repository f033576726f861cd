"""The commands of `lsd`, a file for each thing a person comes for; importing them registers them."""

from flows.commands import care, doctor, learn, measure, show, take, use

__all__ = ["care", "doctor", "learn", "measure", "show", "take", "use"]
