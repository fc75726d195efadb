f = os.memfd_create("x")
for n in range(300): os.write(f, b"x" * (1 << 20))
time.sleep(20)
