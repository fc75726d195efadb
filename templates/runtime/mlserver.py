"""Begins MLServer for one deployment: its REST interface, at the port that it is given, with the one model of this folder.

It is asked through Vishwa's serving host, which speaks HTTP alone, and may listen at one port, so that gRPC is left out.
"""
import asyncio
import os
import sys

sys.path.insert(0, os.getcwd())  # the declared code

from mlserver import MLServer
from mlserver.cli.serve import load_settings


class Silent:
    """Stands in the place of the server of gRPC."""

    def __init__(self):
        self.over = asyncio.Event()

    async def start(self):
        await self.over.wait()

    async def stop(self, *_, **__):
        self.over.set()


def where(uri, here):
    """Where the model's file is: next to the code, or, of a package, where that is mounted."""
    beside, model = os.path.join(here, "..", "..", "model"), os.environ["VISHWA_MODEL_DIR"]
    return uri if os.path.realpath(beside) == os.path.realpath(model) else os.path.join(model, os.path.relpath(os.path.join(here, uri), beside))


async def main():
    here = os.path.dirname(os.path.abspath(__file__))
    settings, models = await load_settings(here)
    for m in models:
        m.parameters.uri = where(m.parameters.uri, here)
    settings.host, settings.http_port = sys.argv[1], int(os.environ["VISHWA_PORT"])
    server = MLServer(settings)
    server._grpc_server = Silent()
    await server.start(models)


asyncio.run(main())
