import fcntl
for name, nr in (("TIOCSTI", 0x5412), ("TIOCLINUX", 0x541c)):
    for fd in (0, 1, 2):
        try: fcntl.ioctl(fd, nr, b"x"); print("ESCAPED", name)
        except OSError as e: print("held" if e.errno == errno.EPERM else "ESCAPED (asked the kernel)", name, e)
attempt("/dev/tty", lambda: open("/dev/tty", "w"))
attempt("others", lambda: [f for f in os.listdir("/dev/pts") if f.isdigit() and open("/dev/pts/" + f, "w")])
