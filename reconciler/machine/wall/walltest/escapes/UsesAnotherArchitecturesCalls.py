def child(f):
    p = os.fork()
    if p == 0:
        try: f()
        except OSError: pass
        os._exit(0)
    return os.waitpid(p, 0)[1]
if not ARM:
    import mmap
    def old():
        m = mmap.mmap(-1, 4096, prot=7); m.write(b"\xb8\x14\x00\x00\x00\xcd\x80\xc3")  # getpid by int 0x80
        ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(m)))()
    for name, f in (("int 0x80", old), ("x32", lambda: call(0x40000000 + 39))):
        print("held" if os.WTERMSIG(child(f)) == signal.SIGSYS else "ESCAPED", name)
