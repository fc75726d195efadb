attempt("kill", lambda: os.kill(A["victim"], signal.SIGSTOP) is None)
attempt("its group", lambda: os.killpg(os.getpgid(A["victim"]), 0) is None)
attempt("by a descriptor", lambda: signal.pidfd_send_signal(os.pidfd_open(A["victim"]), signal.SIGSTOP) is None)
