for a in ("169.254.169.254", "::ffff:169.254.169.254", "fd00:ec2::254", "100.100.100.200", "8.8.8.8"):
    attempt(a, lambda: socket.create_connection((a, 80), 2))
