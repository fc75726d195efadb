import ctypes, errno, json, os, platform, resource, signal, socket, stat, struct, sys, time
A = json.loads(os.environ["ATTACK"]); libc = ctypes.CDLL(None, use_errno=True); ARM = platform.machine() == "aarch64"
def c(f, *a):
    ctypes.set_errno(0); r = f(*a)
    if r == -1: e = ctypes.get_errno(); raise OSError(e, os.strerror(e))
    return r
def call(nr, *a): return c(libc.syscall, ctypes.c_long(nr), *[ctypes.c_long(x) if isinstance(x, int) else x for x in a])
def attempt(what, f):
    try: ok = f()
    except Exception as e: print("held", what, e, flush=True)
    else: print("ESCAPED" if ok else "held", what, flush=True)
def has(p, what=b"CANARY"): return what in open(p, "rb").read(1 << 20)
def put(p, how="w"):
    with open(p, how) as f: f.write("EVIL")
    return True
