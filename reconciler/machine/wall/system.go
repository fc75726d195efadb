// What of the system every command may read: programs, libraries, certificates, the
// names of things. Nothing of it is anybody's own.

package wall

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// systemTrees hold programs and libraries.
var systemTrees = []string{
	"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store", "/gnu/store",
	"/etc/ssl/certs", "/etc/pki/tls/certs", "/etc/pki/ca-trust", "/etc/pki/java", "/etc/ca-certificates", "/etc/alternatives", "/etc/ld.so.conf.d", "/etc/fonts", "/etc/python3", "/etc/python3.11", "/etc/OpenCL",
}

// systemFiles are read by C libraries and interpreters as they start.
var systemFiles = []string{
	"/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.preload", "/etc/localtime", "/etc/timezone", "/etc/nsswitch.conf", "/etc/host.conf", "/etc/hosts",
	"/etc/resolv.conf", "/etc/gai.conf", "/etc/services", "/etc/protocols", "/etc/mime.types", "/etc/os-release", "/etc/debian_version", "/etc/lsb-release",
	"/etc/ca-certificates.conf", "/etc/ssl/openssl.cnf", "/etc/ssl/cert.pem", "/etc/ssl/ca-bundle.pem", "/etc/pki/tls/openssl.cnf", "/etc/pki/tls/cert.pem", "/etc/magic", "/etc/inputrc", "/etc/locale.alias",
}

// kernelTrees tell how many cores and how much memory there are.
var kernelTrees = []string{"/sys/devices/system", "/sys/kernel/mm/transparent_hugepage", "/sys/fs/cgroup"}

// plainDevices hold nothing of anybody's.
var plainDevices = []string{"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty"}

// check refuses a spec that would show what is to be hidden, or that nobody can mean.
func (s Spec) check() error {
	for _, list := range [][]string{s.Read, s.Give, s.Write, s.Shared, s.Hidden} {
		for _, p := range list {
			if !filepath.IsAbs(p) || filepath.Clean(p) != p {
				return fault.New(fault.Internal, "isolate command: %q is not an absolute path", p)
			}
		}
	}
	for _, shown := range slices.Concat(systemTrees, s.Read, s.Give, s.Write, s.Shared) {
		for _, hidden := range s.Hidden {
			if Within(hidden, shown) || Within(real(hidden), real(shown)) {
				return fault.WithHint(fault.New(fault.Invalid, "isolate command: %s would be seen by it, as it is in %s", hidden, shown),
					"keep vishwa's state, store, caches and keys, and the controller's secrets, outside of what runs may read: set XDG_STATE_HOME, XDG_CACHE_HOME and XDG_CONFIG_HOME, or spec.store.dir, to other folders, or move the secret")
			}
		}
	}
	return nil
}

// System tells whether path is a part of the system, which every command may read.
func System(path string) bool {
	return slices.ContainsFunc(systemTrees, func(tree string) bool { return Within(path, tree) })
}

// Within tells whether path is folder, or lies below it.
func Within(path, folder string) bool {
	return path == folder || folder == "/" || strings.HasPrefix(path, folder+"/")
}

// real is path behind all symbolic links, or path itself where it is not there.
func real(path string) string {
	if r, err := filepath.EvalSymlinks(path); err == nil {
		return r
	}
	return path
}

// Programs are the folders of a PATH, and what belongs to them, that a command may
// read: a folder bin shows all that was installed with it. program, found there, is the
// command's own. Where that would show what is hidden, the folder alone is shown.
func Programs(path, program string, hidden []string) (read []string) {
	shows := func(p string) bool {
		for _, h := range hidden {
			if Within(h, p) || Within(real(h), real(p)) {
				return true
			}
		}
		return false
	}
	add := func(bin string, whole bool) {
		for _, p := range []string{filepath.Dir(bin), bin} {
			if (whole || p == bin) && p != "/" && !shows(p) {
				read = append(read, p)
				return
			}
		}
	}
	own := filepath.Dir(program)
	for _, bin := range filepath.SplitList(path) {
		if !filepath.IsAbs(bin) {
			continue
		}
		bin = filepath.Clean(bin)
		private := false // below somebody's home, where programs lie beside letters
		for _, h := range hidden {
			private = private || Within(bin, h) || Within(real(bin), real(h))
		}
		switch base := filepath.Base(bin); {
		case base == "shims": // of pyenv, asdf, mise: scripts that find the program beside them
			add(bin, true)
		case !private:
			add(bin, base == "bin" || base == "sbin" || base == "Scripts")
		case bin == own:
			add(bin, false)
		}
	}
	if real, err := filepath.EvalSymlinks(program); err == nil && program != "" {
		before := len(read)
		add(filepath.Dir(real), filepath.Base(filepath.Dir(real)) == "bin")
		if len(read) == before {
			read = append(read, real) // the program alone
		}
	}
	return read
}

// wrong is an error of building the wall, with what to do about it.
func wrong(level Level, what string) error {
	return fault.WithHint(fault.New(fault.Invalid, "isolate command (%s): %s", level, what), "%s", hintFor(level))
}

func hintFor(level Level) string {
	if level == Namespaces {
		return "allow user namespaces (sysctl kernel.apparmor_restrict_unprivileged_userns=0 on Ubuntu, kernel.unprivileged_userns_clone=1 on older Debian, user.max_user_namespaces above 0; in Docker --security-opt seccomp=unconfined --security-opt systempaths=unconfined); vishwa doctor tells what this machine allows"
	}
	return "use a kernel from 5.13 with Landlock enabled (lsm=landlock,... on its command line); vishwa doctor tells what this machine allows"
}

// Refuse is the error for a wall that lacks guarantees which are asked for.
func Refuse(r Report) error {
	var names []string
	for _, g := range Lacks(r) {
		names = append(names, string(g))
	}
	return fault.WithHint(fault.New(fault.Denied, "isolate command: this machine cannot guarantee %s (it gives %s)", strings.Join(names, ", "), r.Level),
		"%s; or set spec.isolation.level: none in the controller's file, which lets code of pull requests do whatever this user may", hintFor(Namespaces))
}

// Describe is a guarantee in a few words.
func (g Guarantee) Describe() string {
	return map[Guarantee]string{
		Files: "sees and changes no file but those it was given", Reach: "reaches no host that was not declared",
		Signals: "signals no process outside", Processes: "none of its processes outlives it", Bounds: "memory, processes, files and disk are bounded",
	}[g]
}
