"""One module per command; each has ``register(commands)`` and sets ``run(arguments) -> exit code``."""
