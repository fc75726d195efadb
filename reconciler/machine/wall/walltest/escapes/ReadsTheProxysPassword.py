attempt("environment", lambda: "CANA" + "RY" in str({k: v for k, v in os.environ.items()}) and "user:" in os.environ.get("HTTPS_PROXY", ""))
