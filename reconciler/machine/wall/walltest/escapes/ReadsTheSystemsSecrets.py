for p in ("/etc/shadow", "/etc/ssl/private", "/root", "/home", "/var/run/docker.sock", "/run/systemd", "/proc/kcore", "/dev/mem", "/boot", "/var/log", "/etc/ssh"):
    attempt(p, lambda: os.listdir(p) if os.path.isdir(p) else open(p, "rb").read(1))
