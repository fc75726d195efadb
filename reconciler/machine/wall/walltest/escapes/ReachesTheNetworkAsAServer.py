for flags in (0x20000000, 0x20000000 | 0x4000):
    def fast():
        s = socket.socket(); s.settimeout(2); return s.sendto(b"x", flags, ("127.0.0.1", A["tcp"]))
    attempt("sending at once", fast)
    attempt("and as a message", lambda: socket.socket().sendmsg([b"x"], [], flags, ("127.0.0.1", A["tcp"])))
attempt("connecting", lambda: socket.create_connection(("127.0.0.1", A["tcp"]), 2))
attempt("UDP", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", A["udp"])) and os.getppid() != 1)
l = socket.socket(); l.bind(("127.0.0.1", 4711)); l.listen()  # its own port it has
attempt("socket of the machine", lambda: socket.socket(socket.AF_UNIX).connect(A["socket"]) is None)
time.sleep(0.2)
