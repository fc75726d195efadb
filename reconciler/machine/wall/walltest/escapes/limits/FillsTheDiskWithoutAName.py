f = open("f", "wb"); os.unlink("f"); libc.prctl(4, 1, 0, 0, 0)
for n in range(48): f.write(b"x" * (1 << 20)); f.flush()
time.sleep(20)
