attempt("become root", lambda: os.setuid(0) is None and os.getuid() != os.geteuid())
for p in ("/usr/bin/su", "/bin/su", "/usr/bin/passwd", "/usr/bin/mount"):
    if os.path.exists(p): print("setuid program is there, and no_new_privs is", [l for l in open("/proc/self/status") if l.startswith("NoNewPrivs")])
s = {l.split(":")[0]: l.split(":")[1].strip() for l in open("/proc/self/status")}
print("ESCAPED" if s["NoNewPrivs"] != "1" or int(s["CapEff"], 16) or int(s["CapPrm"], 16) or int(s["CapAmb"], 16) or s["Seccomp"] != "2" else "held", s["CapEff"], s["NoNewPrivs"])
open("x", "w").write("#!/bin/sh\nid -u"); os.chmod("x", 0o4755); print("mode", oct(os.stat("x").st_mode))
