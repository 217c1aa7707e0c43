"""``python -m services.edge``."""

from services.edge.settings import EdgeSettings
from services.edge.wiring import start
from shared.lifecycle import run_worker

run_worker("edge", EdgeSettings, start)
