o = A["environment"] + "/module.py"
attempt("write", lambda: put(o)); attempt("truncate", lambda: os.truncate(o, 0) is None)
attempt("truncate by opening", lambda: os.open(o, os.O_RDONLY | os.O_TRUNC) and os.stat(o).st_size == 0)
attempt("add", lambda: put(A["environment"] + "/sitecustomize.py")); attempt("link", lambda: (os.link(o, "x"), put("x"))[1])
attempt("map", lambda: __import__("mmap").mmap(os.open(o, os.O_RDWR), 0) is not None)
attempt("reopen", lambda: (lambda f: put("/proc/self/fd/%d" % f))(os.open(o, os.O_RDONLY)))
attempt("flags", lambda: __import__("fcntl").ioctl(os.open(o, os.O_RDONLY), 0x40086602, struct.pack("l", 0x40)) and False or True)
