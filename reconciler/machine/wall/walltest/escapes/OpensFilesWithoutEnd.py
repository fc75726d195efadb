n = []
try:
    while len(n) < 5000: n.append(os.open("/dev/null", os.O_RDONLY))
except OSError: pass
print("ESCAPED" if len(n) > 1024 else "held", len(n))
for f in n: os.close(f)
attempt("raise", lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096)) is None)
