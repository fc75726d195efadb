x = bytearray(300 << 20); x[::4096] = b"x" * len(x[::4096]); time.sleep(20)
