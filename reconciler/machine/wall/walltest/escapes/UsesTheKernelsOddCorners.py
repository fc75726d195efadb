def errno_of(nr, *a):
    try: call(nr, *a); return 0
    except OSError as e: return e.errno
page = ctypes.create_string_buffer(4096)
for name, arm, amd, args in (("io_uring_setup", 425, 425, (8, page)), ("io_uring_enter", 426, 426, (0, 0, 0, 0)), ("io_uring_register", 427, 427, (0, 0, 0, 0)), ("keyctl", 219, 250, (0, -3, 0)), ("add_key", 217, 248, (b"user", b"x", b"x", 1, -3)),
    ("request_key", 218, 249, (b"user", b"x", 0, 0)), ("bpf", 280, 321, (0, page, 64)), ("perf_event_open", 241, 298, (page, 0, -1, -1, 0)), ("userfaultfd", 282, 323, (1,)), ("fanotify_init", 262, 300, (0, 0)),
    ("kcmp", 272, 312, (os.getpid(), os.getpid(), 0, 0, 0)), ("process_vm_readv", 270, 310, (os.getpid(), 0, 0, 0, 0, 0)), ("acct", 89, 163, (0,)), ("syslog", 116, 103, (3, page, 1)), ("quotactl", 60, 179, (0, 0, 0, 0)), ("init_module", 105, 175, (0, 0, 0)), ("swapon", 224, 167, (b"x", 0))):
    e = errno_of(arm if ARM else amd, *args)
    print("held" if e == errno.EPERM else "ESCAPED", name, e)
