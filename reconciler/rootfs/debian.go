// Package rootfs makes the files of a container of what Debian has installed on this machine: no registry need be asked for a
// Git or a Python. The same installed packages give the same bytes.
package rootfs

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Contents says what files are wanted.
type Contents struct {
	Packages []string // of Debian, which come with what they depend on
	Without  []string // packages that are left out where others depend on them
	Accounts []string // more lines of /etc/passwd; each has a group of its own name and number
}

// Package is an installed package that is in it.
type Package struct{ Name, Version, Arch string }

// unread are folders of packages that no program reads.
var unread = []string{"/usr/share/doc/", "/usr/share/man/", "/usr/share/locale/", "/usr/share/lintian/", "/usr/share/info/"}

// linked are folders that are links into /usr.
var linked = []string{"bin", "sbin", "lib", "lib64"}

// accounts are the files without which a program knows no user and no host.
var accounts = map[string]string{
	"etc/passwd":        "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n",
	"etc/group":         "root:x:0:\nnogroup:x:65534:\n",
	"etc/nsswitch.conf": "hosts: files dns\n",
}

// Debian is an archive (tar) of the files of packages, and of the folders that a system has; and which packages these are.
func Debian(c Contents) ([]byte, []Package, error) {
	files, packages, err := installed(c)
	if err != nil {
		return nil, nil, err
	}
	raw, err := archive(files, c.Accounts)
	return raw, packages, err
}

func archive(files map[string]bool, more []string) ([]byte, error) {
	var buf bytes.Buffer
	a := tar.NewWriter(&buf)
	for _, dir := range []string{"dev", "etc", "home", "proc", "root", "run", "sys", "tmp", "usr", "var", "var/tmp"} {
		mode := int64(0o755)
		if path.Base(dir) == "tmp" {
			mode = 0o1777
		}
		if err := a.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir + "/", Mode: mode}); err != nil {
			return nil, err
		}
		delete(files, "/"+dir)
	}
	for _, dir := range linked {
		if err := a.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: dir, Linkname: "usr/" + dir, Mode: 0o777}); err != nil {
			return nil, err
		}
	}
	known := withAccounts(more)
	for _, name := range slices.Sorted(maps.Keys(known)) {
		if err := AddBytes(a, name, 0o644, []byte(known[name])); err != nil {
			return nil, err
		}
		delete(files, "/"+name)
	}
	// What ldconfig and update-ca-certificates made belongs to no package.
	files["/etc/ld.so.cache"], files["/etc/ssl/certs/ca-certificates.crt"] = true, true
	for _, file := range slices.Sorted(maps.Keys(files)) {
		if err := addFile(a, file); err != nil {
			return nil, err
		}
	}
	return buf.Bytes(), a.Close()
}

// withAccounts are the files of accounts with more lines of /etc/passwd.
func withAccounts(more []string) map[string]string {
	known := maps.Clone(accounts)
	for _, line := range more {
		fields := strings.Split(line, ":")
		known["etc/passwd"] += line + "\n"
		if len(fields) > 3 {
			known["etc/group"] += fields[0] + ":x:" + fields[3] + ":\n"
		}
	}
	return known
}

// installed lists the files of packages and of all that they depend on, by their place in a system whose /bin is a link.
func installed(c Contents) (map[string]bool, []Package, error) {
	needs, provided, versions, err := dependencies()
	if err != nil {
		return nil, nil, err
	}
	seen := map[string]bool{}
	for todo := slices.Clone(c.Packages); len(todo) > 0; {
		name := todo[0]
		todo = todo[1:]
		if _, there := needs[name]; !there {
			name = provided[name]
		}
		if name == "" || seen[name] || slices.Contains(c.Without, name) {
			continue
		}
		seen[name] = true
		todo = append(todo, needs[name]...)
	}
	for _, name := range c.Packages {
		if !seen[name] && provided[name] == "" {
			return nil, nil, fmt.Errorf("the package %s is not installed: apt-get install %s", name, name)
		}
	}
	files, list := map[string]bool{}, []Package{}
	for _, name := range slices.Sorted(maps.Keys(seen)) {
		list = append(list, versions[name])
		out, err := exec.Command("dpkg", "-L", name).Output()
		if err != nil {
			return nil, nil, fmt.Errorf("dpkg -L %s: %w", name, err)
		}
		for file := range strings.Lines(string(out)) {
			keep(files, strings.TrimSpace(file))
		}
	}
	return files, list, nil
}

// keep notes a file, and what Python compiled of it.
func keep(files map[string]bool, file string) {
	unwanted := func(folder string) bool { return strings.HasPrefix(file, folder) }
	if !strings.HasPrefix(file, "/") || file == "/." || slices.ContainsFunc(unread, unwanted) {
		return
	}
	if root, _, _ := strings.Cut(file[1:], "/"); slices.Contains(linked, root) {
		file = "/usr" + file
	}
	if _, err := os.Lstat(file); err != nil {
		return
	}
	files[file] = true
	if module, ok := strings.CutSuffix(file, ".py"); ok {
		compiled, _ := filepath.Glob(filepath.Join(filepath.Dir(file), "__pycache__", filepath.Base(module)+".cpython-*.pyc"))
		for _, c := range compiled {
			files[filepath.Dir(c)], files[c] = true, true
		}
	}
}

// dependencies tells of each installed package what it needs, the first of alternatives that is there, and
// which package provides a name.
func dependencies() (needs map[string][]string, provided map[string]string, versions map[string]Package, err error) {
	out, err := exec.Command("dpkg-query", "-W", "-f", "${Package}\t${Pre-Depends}, ${Depends}\t${Provides}\t${Version}\t${Architecture}\n").Output()
	if err != nil {
		return nil, nil, nil, fmt.Errorf("the files are those of installed packages of Debian, and this machine has none: dpkg-query: %w", err)
	}
	versions = map[string]Package{}
	bare := func(s string) string {
		s, _, _ = strings.Cut(s, "(")
		s, _, _ = strings.Cut(s, ":")
		return strings.TrimSpace(s)
	}
	wants := map[string][][]string{}
	provided = map[string]string{}
	for line := range strings.Lines(string(out)) {
		fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		wants[fields[0]] = nil
		versions[fields[0]] = Package{fields[0], fields[3], fields[4]}
		for all := range strings.SplitSeq(fields[1], ",") {
			var any []string
			for alternative := range strings.SplitSeq(all, "|") {
				any = append(any, bare(alternative))
			}
			wants[fields[0]] = append(wants[fields[0]], any)
		}
		for name := range strings.SplitSeq(fields[2], ",") {
			if name = bare(name); name != "" {
				provided[name] = fields[0]
			}
		}
	}
	needs = map[string][]string{}
	for name, all := range wants {
		needs[name] = nil
		for _, alternatives := range all {
			for _, a := range alternatives {
				if _, there := wants[a]; there || provided[a] != "" {
					needs[name] = append(needs[name], a)
					break
				}
			}
		}
	}
	return needs, provided, versions, nil
}

// addFile adds a file of this machine under its own name. The time of a source of Python stays, by which Python knows what it
// compiled of it; others would say when they were installed here.
func addFile(a *tar.Writer, file string) error {
	info, err := os.Lstat(file)
	if err != nil {
		return err
	}
	var link string
	if info.Mode()&fs.ModeSymlink != 0 {
		if link, err = os.Readlink(file); err != nil {
			return err
		}
	}
	h, err := tar.FileInfoHeader(info, link)
	if err != nil {
		return err
	}
	h.Name, h.Uname, h.Gname, h.Uid, h.Gid = strings.TrimPrefix(file, "/"), "", "", 0, 0
	h.AccessTime, h.ChangeTime = time.Time{}, time.Time{}
	if !strings.HasSuffix(file, ".py") {
		h.ModTime = time.Unix(0, 0)
	}
	if info.IsDir() {
		h.Name += "/"
	}
	if err := a.WriteHeader(h); err != nil || !info.Mode().IsRegular() {
		return err
	}
	in, err := os.Open(file)
	if err != nil {
		return err
	}
	defer in.Close()
	_, err = io.Copy(a, in)
	return err
}

// AddBytes adds a file with these contents.
func AddBytes(a *tar.Writer, name string, mode int64, data []byte) error {
	if err := a.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: int64(len(data))}); err != nil {
		return err
	}
	_, err := a.Write(data)
	return err
}
