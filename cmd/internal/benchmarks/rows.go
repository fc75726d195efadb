package main

// row is one measurement that can be run by itself.
type row struct {
	name  string // of its file, and what is asked for: make bench ROWS=name
	group string // rows of a group want a server or much time, and have a target of make of their own
	what  string
	pkg   string
	bench string   // for go test -bench
	count string   // for -benchtime, once without
	env   []string // VARIABLE=value
}

func (r row) times() string {
	if r.count == "" {
		return "1x"
	}
	return r.count
}

const vishwa = "./cmd/vishwa"

// beside is a row of cmd/vishwa's own.
func beside(name, group, what string) row {
	return row{name: name, group: group, what: what, pkg: vishwa, bench: "^BenchmarkBeside$/^" + name + "$"}
}

var rows = []row{
	beside("version", "", "what a command costs that does nothing, next to terraform and git"),
	beside("candidates", "", "validate and plan of one training with many candidates"),
	beside("plan", "", "a plan that finds nothing to do"),
	beside("policy", "", "policy check next to conftest"),
	beside("ledger-verify", "", "ledger verify next to a loop of git verify-commit"),
	beside("folder", "", "a folder of many files in Git next to git status"),
	beside("small-files", "data", "add, status and checkout of many small files next to DVC"),
	beside("transfer", "data", "push and pull of many small files next to DVC and s5cmd, with a real MinIO"),
	beside("large-file", "data", "add of one large file next to md5sum and openssl"),
	beside("profile", "data", "profile of a CSV next to pandas and polars"),
	beside("model-apply", "data", "apply of a large model next to cp and openssl"),
	beside("model-verify", "data", "verify of a large model next to model_signing and openssl"),
}
