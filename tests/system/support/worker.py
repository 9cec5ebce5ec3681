"""impcert-worker as tests see it."""

from support.service import Service


class Worker(Service):
    listening = "endpoint listening"

    def __init__(self, settings, wrapper=()):
        super().__init__("impcert-worker", settings, wrapper)
