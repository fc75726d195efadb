// Images made of what Debian has installed here: no registry need be asked for a Python.

package enginetest

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
)

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

// debianFiles is an archive of the files of packages, with those that they depend on, and of the folders that a system has.
func debianFiles(packages ...string) ([]byte, error) {
	files, err := installed(packages)
	if err != nil {
		return nil, err
	}
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
	for _, name := range slices.Sorted(maps.Keys(accounts)) {
		if err := addBytes(a, name, 0o644, []byte(accounts[name])); err != nil {
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

// installed lists the files of packages and of all that they depend on, by their place in a system whose /bin is a link.
func installed(packages []string) (map[string]bool, error) {
	needs, provided, err := dependencies()
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for todo := slices.Clone(packages); len(todo) > 0; {
		name := todo[0]
		todo = todo[1:]
		if _, there := needs[name]; !there {
			name = provided[name]
		}
		if name == "" || seen[name] {
			continue
		}
		seen[name] = true
		todo = append(todo, needs[name]...)
	}
	for _, name := range packages {
		if !seen[name] && provided[name] == "" {
			return nil, fmt.Errorf("the package %s is not installed: apt-get install %s", name, name)
		}
	}
	files := map[string]bool{}
	for name := range seen {
		out, err := exec.Command("dpkg", "-L", name).Output()
		if err != nil {
			return nil, fmt.Errorf("dpkg -L %s: %w", name, err)
		}
		for file := range strings.Lines(string(out)) {
			keep(files, strings.TrimSpace(file))
		}
	}
	return files, nil
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
func dependencies() (needs map[string][]string, provided map[string]string, err error) {
	out, err := exec.Command("dpkg-query", "-W", "-f", "${Package}\t${Pre-Depends}, ${Depends}\t${Provides}\n").Output()
	if err != nil {
		return nil, nil, fmt.Errorf("images of the tests are made of installed packages of Debian: dpkg-query: %w", err)
	}
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
	return needs, provided, nil
}

// addFile adds a file of this machine under its own name. Its time stays, by which Python knows what it compiled of it.
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

func addBytes(a *tar.Writer, name string, mode int64, data []byte) error {
	if err := a.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: int64(len(data))}); err != nil {
		return err
	}
	_, err := a.Write(data)
	return err
}
