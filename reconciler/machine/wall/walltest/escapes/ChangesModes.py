for p in (A["secret"], A["store"], A["store"] + "/object", A["environment"] + "/module.py"):
    n = p.replace(os.path.dirname(A["secret"]), "")
    attempt("mode of " + n, lambda: os.chmod(p, 0o777) is None)
    attempt("times of " + n, lambda: os.utime(p, (1, 1)) is None)
    attempt("owner of " + n, lambda: os.chown(p, os.getuid(), os.getgid()) is None)
    attempt("attribute of " + n, lambda: os.setxattr(p, "user.evil", b"x") is None)
    attempt("mode behind a link", lambda: (os.path.lexists("l") and os.unlink("l"), os.symlink(p, "l"), os.chmod("l", 0o777))[2] is None)
    attempt("mode from a folder", lambda: os.chmod("../../" * 20 + p, 0o777) is None)
f = os.open(A["environment"] + "/module.py", os.O_RDONLY)
attempt("mode by a descriptor", lambda: os.fchmod(f, 0o777) is None)
attempt("mode by a descriptor's path", lambda: os.chmod("/proc/self/fd/%d" % f, 0o777) is None)
attempt("times by a descriptor", lambda: os.utime(f, (1, 1)) is None)
open("own", "w").close(); os.chmod("own", 0o711); os.utime("own", (5, 7)); assert os.stat("own").st_mode & 0o777 == 0o711 and os.stat("own").st_mtime == 7
os.mkdir("d"); open("d/f", "w").close(); d = os.open("d", os.O_RDONLY); os.chmod("f", 0o600, dir_fd=d); os.utime("f", ns=(10**9, 2 * 10**9), dir_fd=d); assert os.stat("d/f").st_mtime == 2
g = os.open("d/f", os.O_RDONLY); os.fchmod(g, 0o640); assert os.stat("d/f").st_mode & 0o777 == 0o640; os.utime(g); assert os.stat("d/f").st_mtime > 1e9
try: os.chmod("nothing", 0o600); print("ESCAPED sense")
except FileNotFoundError: pass
