buf = ctypes.create_string_buffer(struct.pack("Ii", 128, 0) + b"\0" * 128); n = ctypes.c_int()
attempt("name", lambda: c(libc.name_to_handle_at, -100, b".", buf, ctypes.byref(n), 0) == 0)
attempt("open", lambda: c(libc.open_by_handle_at, os.open(".", os.O_RDONLY), buf, 0) >= 0)
