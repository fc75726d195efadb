def to():
    s = socket.socket(socket.AF_UNIX); s.connect("\0" + A["abstract"]); return True
attempt("stream", to); time.sleep(0.2)
