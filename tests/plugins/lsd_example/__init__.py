"""Components for lsd-samplers that are not its own."""
