attempt("list", lambda: "store" in os.listdir(".."))
attempt("list by absolute path", lambda: os.listdir(os.path.dirname(A["secret"])).index("store") >= 0)
