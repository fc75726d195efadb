def to(kind, path):
    s = socket.socket(socket.AF_UNIX, kind); s.connect(path); s.send(b"x"); return True
attempt("stream", lambda: to(socket.SOCK_STREAM, A["socket"])); attempt("datagram", lambda: to(socket.SOCK_DGRAM, A["datagrams"]))
for kind in (socket.SOCK_DGRAM, socket.SOCK_RAW):
    attempt("half of a pair, %d" % kind, lambda: socket.socketpair(socket.AF_UNIX, kind)[0].sendto(b"x", A["datagrams"]) and True)
a, b = socket.socketpair(); a.send(b"x"); assert b.recv(1) == b"x"  # a pair of its own it has
os.symlink(A["socket"], "s"); attempt("by a link", lambda: to(socket.SOCK_STREAM, "s"))
time.sleep(0.2)
