o = A["store"] + "/object"
attempt("write", lambda: put(o)); attempt("append", lambda: put(o, "a")); attempt("truncate", lambda: os.truncate(o, 0) is None)
attempt("add", lambda: put(A["store"] + "/new")); attempt("remove", lambda: os.unlink(o) is None)
attempt("link", lambda: (os.link(o, "x"), put("x"))[1]); attempt("folder", lambda: os.mkdir(A["store"] + "/d") is None)
attempt("replace", lambda: (put("y"), os.replace("y", o))[0]); attempt("pipe", lambda: os.mkfifo(A["store"] + "/p") is None)
attempt("swap", lambda: (os.rename(A["store"], A["store"] + "2"), os.symlink(os.getcwd(), A["store"]))[1] is None)
