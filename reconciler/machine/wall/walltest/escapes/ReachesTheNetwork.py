def reach(family, kind, address, flags=None, proto=0):
    s = socket.socket(family, kind, proto); s.settimeout(2)
    if flags is not None: s.sendto(b"x", flags, address)
    elif kind == socket.SOCK_DGRAM: s.sendto(b"x", address)
    else: s.connect(address)
    return True
attempt("TCP", lambda: reach(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", A["tcp"])))
attempt("TCP, sending at once", lambda: reach(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", A["tcp"]), 0x20000000))
attempt("TCP of many paths", lambda: reach(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", A["tcp"]), None, 262))
attempt("TCP by version 6", lambda: reach(socket.AF_INET6, socket.SOCK_STREAM, ("::ffff:127.0.0.1", A["tcp"])))
try: s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.sendto(b"x", ("127.0.0.1", A["udp"]))
except OSError as e: print("held UDP", e)
for f, k, p in ((socket.AF_INET, socket.SOCK_RAW, 1), (socket.AF_PACKET, socket.SOCK_RAW, 3), (40, socket.SOCK_STREAM, 0), (38, socket.SOCK_SEQPACKET, 0), (16, socket.SOCK_RAW, 15), (31, socket.SOCK_RAW, 1)):
    if "CONTROL" not in os.environ: attempt("socket %d %d %d" % (f, k, p), lambda: socket.socket(f, k, p) and os.getuid() != 0 and False)
time.sleep(0.2)
