for d, dirs, files in os.walk("/sys/fs/cgroup"):
    if d.count("/") > 6: dirs[:] = []
    for f in files:
        if f in ("cgroup.procs", "tasks", "memory.max", "memory.limit_in_bytes", "pids.max", "release_agent"):
            try: open(os.path.join(d, f), "w").close(); print("ESCAPED", d, f)
            except OSError: pass
    try: os.mkdir(d + "/evil"); print("ESCAPED made", d)
    except OSError: pass
for p in ("/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/proc/self/oom_score_adj", "/proc/sys/vm/drop_caches", "/sys/kernel/mm/transparent_hugepage/enabled", "/proc/1/oom_score_adj"):
    attempt(p, lambda: open(p, "w").write("0") and False or True)
