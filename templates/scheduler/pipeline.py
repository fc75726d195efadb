# What a step of Vishwa's does in a pipeline of Kubeflow Pipelines: it lays out the code, hands the
# command what it is declared to read, and passes on what the command wrote. It needs Python 3.8.
import base64, hashlib, io, json, os, re, shutil, subprocess, sys, tarfile, tempfile
from kfp import dsl
from kfp.dsl import *

SPEC = json.loads(base64.b64decode("[[SPEC]]"))


def variable(name):
    return re.sub("[^A-Z0-9]", "_", name.upper())


def sha256(path):
    h = hashlib.sha256()
    with open(path, "rb") as f:
        for piece in iter(lambda: f.read(1 << 20), b""):
            h.update(piece)
    return h.hexdigest()


def same(path, files):
    """Holds data against what the repository pins; one file is called "" there."""
    found = [""] if os.path.isfile(path) else [os.path.relpath(os.path.join(at, f), path) for at, _, here in os.walk(path) for f in here]
    if sorted(found) != sorted(files):
        sys.exit("vishwa: %s has other files than the data that the repository pins" % path)
    for name, want in files.items():
        if sha256(os.path.join(path, name) if name else path) != want:
            sys.exit("vishwa: %s is not the data that the repository pins" % os.path.join(path, name))


def put(path, to):
    """Moves a file or a folder to where an artifact is taken from."""
    os.makedirs(os.path.dirname(to) or ".", exist_ok=True)
    if os.path.isdir(path):
        shutil.rmtree(to, ignore_errors=True)
        shutil.copytree(path, to)
    else:
        shutil.copyfile(path, to)


def flat(metrics, before=""):
    for name, v in metrics.items():
        if isinstance(v, dict):
            yield from flat(v, before + name + ".")
        elif isinstance(v, (int, float)) and not isinstance(v, bool):
            yield before + name, float(v)


def read_metrics(path):
    with open(path) as f:
        return dict(flat(json.load(f)))


def write_metrics(path, artifact):
    put(path, artifact.path)
    for name, v in sorted(read_metrics(path).items()):
        artifact.log_metric(name, v)


def run(inputs, outputs):
    top = tempfile.mkdtemp(prefix="vishwa-")
    code, out, model, metrics = (os.path.join(top, n) for n in ("code", "out", "model", "metrics.json"))
    for d in (code, out, model, os.path.join(top, "home")):
        os.mkdir(d)
    with tarfile.open(fileobj=io.BytesIO(base64.b64decode(SPEC["code"])), mode="r:gz") as t:
        t.extractall(code)
    keep = ["PATH", "LANG", "TZ", "TMPDIR", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"] + SPEC["pass"]
    env = {n: os.environ[n] for n in keep if n in os.environ and not n.upper().startswith("VISHWA_")}
    env.setdefault("HOME", os.path.join(top, "home"))
    env.update(PYTHONUNBUFFERED="1", PYTHONHASHSEED="0")
    for name, artifact in inputs.items():
        if name in SPEC["pins"]:
            same(artifact.path, SPEC["pins"][name])
        at = os.path.join(top, "in", variable(name), SPEC["names"][name])
        os.makedirs(os.path.dirname(at))
        os.symlink(os.path.abspath(artifact.path), at)
        env["VISHWA_INPUT_" + variable(name)] = at
    for name, path in SPEC["outputs"].items():
        at = os.path.join(out, path)
        os.makedirs(os.path.dirname(at), exist_ok=True)
        env["VISHWA_OUTPUT_" + variable(name)] = at
    if SPEC["model"]:
        env["VISHWA_MODEL_DIR"], env["VISHWA_METRICS"] = model, metrics
    env["VISHWA_PARAMS"] = os.path.join(top, "params.json")
    with open(env["VISHWA_PARAMS"], "w") as f:
        json.dump(SPEC["params"], f)
    if SPEC["lock"]:
        venv = os.path.join(top, "env")
        subprocess.run([sys.executable, "-I", "-m", "venv", venv], check=True)
        subprocess.run([os.path.join(venv, "bin", "python"), "-I", "-m", "pip", "install", "--no-input", "--disable-pip-version-check", "--progress-bar=off",
                        "--require-hashes", "-r", os.path.join(code, SPEC["lock"])], check=True)
        env["VIRTUAL_ENV"], env["PATH"] = venv, os.path.join(venv, "bin") + os.pathsep + env.get("PATH", os.defpath)
    def argument(of):
        if isinstance(of, str):
            return of
        return "".join(p if isinstance(p, str) else env["VISHWA_%s_%s" % ("INPUT" if p[0] == "inputs" else "OUTPUT", variable(p[1]))] for p in of)

    command = [argument(a) for a in SPEC["run"]]
    command[0] = shutil.which(command[0], path=env.get("PATH", os.defpath)) or command[0]
    code_of = subprocess.run(command, cwd=code, env=env).returncode
    if code_of != 0:
        sys.exit("vishwa: the command ended with exit code %d" % code_of)
    for name, path in SPEC["outputs"].items():
        at = os.path.join(out, path)
        if not os.path.exists(at):
            sys.exit("vishwa: output %s was not written: write it to the path in VISHWA_OUTPUT_%s" % (name, variable(name)))
        put(at, outputs[name].path)
    if SPEC["model"]:
        if not os.listdir(model) or not os.path.exists(metrics):
            sys.exit("vishwa: no model or no metrics were written: write them to VISHWA_MODEL_DIR and VISHWA_METRICS")
        put(model, outputs["model"].path)
        write_metrics(metrics, outputs["metrics"])
    shutil.rmtree(top, ignore_errors=True)


def evaluate(inputs, outputs):
    """Takes the candidate with the best metric, the first by name among equals, if it meets the gates."""
    best, metrics = None, {}
    for name in sorted(SPEC["candidates"]):
        has = read_metrics(inputs["metrics_" + SPEC["candidates"][name]].path)
        v = has.get(SPEC["metric"])
        if v is None:
            print("vishwa: candidate %s reports no %s" % (name, SPEC["metric"]))
        elif best is None or (v < metrics[SPEC["metric"]] if SPEC["goal"] == "minimize" else v > metrics[SPEC["metric"]]):
            best, metrics = name, has
    if best is None:
        sys.exit("vishwa: no candidate reports %s" % SPEC["metric"])
    print("vishwa: candidate %s is the best: %s = %r" % (best, SPEC["metric"], metrics[SPEC["metric"]]))
    for gate in SPEC["gates"]:
        v = metrics.get(gate["metric"])
        if v is None or v != v or v < gate.get("min", v) or v > gate.get("max", v):
            sys.exit("vishwa: %s is %r, and the gate is %s" % (gate["metric"], v, json.dumps(gate, sort_keys=True)))
        if "maxRegression" in gate:
            print("vishwa: how much worse %s is than the live model's is not known here" % gate["metric"])
    put(inputs["model_" + SPEC["candidates"][best]].path, outputs["model"].path)
    write_metrics(inputs["metrics_" + SPEC["candidates"][best]].path, outputs["metrics"])


def step([[SIGNATURE]]):
    [[DOES]]({[[INPUTS]]}, {[[OUTPUTS]]})
