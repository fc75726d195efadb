package walltest

import (
	"embed"
	"path"
	"strings"
)

// What code behind the wall would try, a Python program each, named after it. What it
// knows of the machine is JSON in ATTACK (secret, store, environment, socket, datagrams,
// abstract, tcp, udp, victim, mark); it says ESCAPED where it did what it tried. Those in
// limits are ended for going over one.
//
//go:embed prelude.py escapes
var programs embed.FS

// Escape is one attempt: a whole program, which says TRIED at its end.
type Escape struct {
	Name, Program string
	Ends          bool // it is ended before it has tried everything
}

// Program is body between what every attempt begins and ends with.
func Program(body string) string {
	return readFile("prelude.py") + body + "\nprint('TRIED', flush=True)\n"
}

func readFile(name string) string {
	raw, err := programs.ReadFile(name)
	if err != nil {
		panic(err) // it was compiled in
	}
	return string(raw)
}

// Escapes are all attempts.
func Escapes() (all []Escape) {
	for _, dir := range []string{"escapes", "escapes/limits"} {
		list, err := programs.ReadDir(dir)
		if err != nil {
			panic(err)
		}
		for _, f := range list {
			if name, ok := strings.CutSuffix(f.Name(), ".py"); ok {
				all = append(all, Escape{name, Program(readFile(path.Join(dir, f.Name()))), dir != "escapes"})
			}
		}
	}
	return all
}
