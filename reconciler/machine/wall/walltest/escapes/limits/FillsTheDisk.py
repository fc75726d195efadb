for n in range(48):
    with open("f%d" % n, "wb") as f: f.write(b"x" * (1 << 20))
time.sleep(20)
