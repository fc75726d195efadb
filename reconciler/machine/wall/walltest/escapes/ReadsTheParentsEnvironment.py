for p in [A["victim"], os.getppid(), 1]:
    if p == os.getpid(): continue
    attempt("environ of %d" % p, lambda: has("/proc/%d/environ" % p) or p != A["victim"])
    if p != A["victim"] or os.getpid() < 0: continue
    attempt("memory of %d" % p, lambda: open("/proc/%d/mem" % p, "rb") is None)
for d in os.listdir("/proc"):
    if d.isdigit() and int(d) != os.getpid():
        try: ok = b"CONTROLLER=" in open("/proc/%s/environ" % d, "rb").read()
        except OSError: continue
        if ok: print("ESCAPED environ of", d)
