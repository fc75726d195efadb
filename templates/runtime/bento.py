"""Begins a service of BentoML for one deployment: its own HTTP interface, at the port that it is given.

It is one process, which has what the service depends on in it: bentoml serve begins several, that find each other by ports of their own.
"""
import importlib.util
import logging
import os
import sys

os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True")
os.environ.setdefault("BENTOML_HOME", os.path.join(os.environ["HOME"], "bentoml"))
os.makedirs(os.path.join(os.environ["BENTOML_HOME"], "prometheus_multiproc_dir"), exist_ok=True)  # without it, /metrics fails

host, program, name = sys.argv[1:]
sys.path[:0] = [os.getcwd(), os.path.dirname(os.path.abspath(program))]  # the declared code

import bentoml
import pydantic
import uvicorn
from bentoml.exceptions import BentoMLException


class Unsaid(logging.Filter):
    """A request that is refused is told without what was asked, which its error repeats: whoever reads the log may not be who may read that."""

    def filter(self, record):
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, pydantic.ValidationError):
            why = "it does not validate as %s, errors: %d" % (error.title, error.error_count())
        elif isinstance(error, BentoMLException) and error.error_code < 500:
            why = type(error).__name__
        else:
            return True
        record.msg, record.args = record.getMessage() + " was refused: " + why, ()
        record.exc_info = record.exc_text = None
        return True


logging.getLogger("bentoml._internal.server.http_app").addFilter(Unsaid())

spec = importlib.util.spec_from_file_location(os.path.splitext(os.path.basename(program))[0], program)
module = importlib.util.module_from_spec(spec)
sys.modules[spec.name] = module
spec.loader.exec_module(module)
found = {v.name: v for v in vars(module).values() if isinstance(v, bentoml.Service)}
if name not in found and (name or len(found) != 1):
    sys.exit("%s has %s: name the one that serves as runtime.bentoml.service" % (program, "the services " + ", ".join(sorted(found)) if found else "no service of BentoML"))
service = found[name] if name else next(iter(found.values()))
uvicorn.run(service.to_asgi(), host=host, port=int(os.environ["VISHWA_PORT"]), log_level="warning", server_header=False)
