for name, flag in dict(user=0x10000000, mount=0x20000, net=0x40000000, pid=0x20000000, ipc=0x8000000, uts=0x4000000, cgroup=0x2000000, time=0x80).items():
    attempt("unshare " + name, lambda: c(libc.unshare, flag) == 0)
    def clone():
        p = call(220 if ARM else 56, flag | 17, 0, 0, 0, 0)
        if p == 0: os._exit(0)
        os.waitpid(p, 0); return name != "time"
    attempt("clone " + name, clone)
attempt("enter", lambda: c(libc.setns, os.open("/proc/self/ns/net", os.O_RDONLY), 0) == 0)
args = (ctypes.c_uint64 * 11)(0x10000000, 0, 0, 0, 17)
def clone3():
    p = call(435, ctypes.byref(args), 88)
    if p == 0: os._exit(0)
    os.waitpid(p, 0); return True
attempt("clone3", clone3)
