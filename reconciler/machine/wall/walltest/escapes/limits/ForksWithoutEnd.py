n = 0
try:
    while n < 500:
        if os.fork() == 0: time.sleep(30); os._exit(0)
        n += 1
except OSError: pass
print("ESCAPED" if n > 300 else "held", n, flush=True)
