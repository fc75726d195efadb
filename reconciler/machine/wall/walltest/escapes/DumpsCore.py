attempt("raise", lambda: resource.setrlimit(resource.RLIMIT_CORE, (1 << 20, 1 << 20)) is None and resource.getrlimit(resource.RLIMIT_CORE)[0] > 1)
attempt("lower, for a program in core_pattern", lambda: (resource.setrlimit(resource.RLIMIT_CORE, (0, 0)), resource.getrlimit(resource.RLIMIT_CORE) == (0, 0))[1] and os.getuid() < 0)
if os.fork() == 0: os.abort()
print("dumped", os.WCOREDUMP(os.wait()[1])); attempt("core file", lambda: [f for f in os.listdir(".") if f.startswith("core")])
