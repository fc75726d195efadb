"""Begins Triton for one deployment: its HTTP interface, at the port that it is given, with the one model of this folder, which it is told to load.

It is asked through Vishwa's serving host, which speaks HTTP alone, and may listen at one port, so that gRPC and metrics are left out.
"""
import importlib.util
import os
import shutil
import sys
import sysconfig
import tempfile


def wheel():
    """The server of the package nvidia-pytriton: its program, and a folder of backends that knows this Python."""
    spec = importlib.util.find_spec("pytriton")
    if spec is None:
        sys.exit("there is no tritonserver on PATH, and the environment has no nvidia-pytriton")
    packages = os.path.dirname(os.path.dirname(spec.origin))
    root = os.path.join(packages, "pytriton", "tritonserver")
    backends = tempfile.mkdtemp(dir=os.environ["HOME"])
    python = os.path.join(backends, "python")
    shutil.copytree(os.path.join(root, "backends", "python"), python)
    stub = os.path.join(root, "python_backend_stubs", "%d.%d" % sys.version_info[:2], "triton_python_backend_stub")
    shutil.copy(stub, python)
    # The stub runs Python without its environment: one line gives the folders back.
    utils = os.path.join(python, "triton_python_backend_utils.py")
    with open(utils) as f:
        text = f.read()
    with open(utils, "w") as f:
        f.write('import os, sys; sys.path[:0] = [p for p in os.environ.get("PYTHONPATH", "").split(":") if p]\n' + text)
    libraries = [os.path.join(packages, "nvidia_pytriton.libs"), sysconfig.get_config_var("LIBDIR") or ""]
    os.environ["LD_LIBRARY_PATH"] = ":".join([p for p in libraries if p] + [p for p in [os.environ.get("LD_LIBRARY_PATH")] if p])
    return os.path.join(root, "bin", "tritonserver"), ["--backend-directory", backends]


host, name = sys.argv[1:]
here = os.path.dirname(os.path.abspath(__file__))
program, more = shutil.which("tritonserver"), []
if program is None:
    program, more = wheel()
os.environ["PYTHONPATH"] = ":".join([os.getcwd(), sysconfig.get_path("purelib")] + [p for p in [os.environ.get("PYTHONPATH")] if p])
os.execv(program, [
    program, "--model-repository", os.path.join(here, "models"), "--model-control-mode", "explicit", "--load-model", name,
    "--http-address", host, "--http-port", os.environ["VISHWA_PORT"], "--allow-grpc", "false", "--allow-metrics", "false", "--exit-on-error", "true", *more,
])
