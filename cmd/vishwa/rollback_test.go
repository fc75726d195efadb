// The ledger against whoever may write its branch: each row does something to the
// remote's ledger, and says what the program answers in a clone that has just been
// made on a new machine, and in one that has seen it all.

package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// machine is a user's folders, with a clone.
type machine struct {
	t     *testing.T
	home  string // state, cache, configuration
	clone string
	keys  string
}

func newMachine(t *testing.T, remote, keys string) *machine {
	t.Helper()
	m := &machine{t: t, home: t.TempDir(), keys: keys}
	m.clone = m.home
	t.Cleanup(func() { stopServing(t, filepath.Join(m.home, "state")); checkQuiet(t, m.home) })
	if remote != "" {
		m.ok("git", "clone", "-q", remote, "clone")
		m.clone = filepath.Join(m.home, "clone")
	}
	return m
}

// run is a program's exit code and all that it said.
func (m *machine) run(name string, args ...string) (int, string) {
	m.t.Helper()
	c := exec.Command(name, args...)
	c.Dir = m.clone
	c.Env = append(os.Environ(), "HOME="+m.home, "XDG_STATE_HOME="+m.home+"/state", "XDG_CACHE_HOME="+m.home+"/cache", "XDG_CONFIG_HOME="+m.home+"/config",
		"VISHWA_KEYS="+m.keys, "VISHWA_KEY_PASSWORD="+password, "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1", "PYTHONDONTWRITEBYTECODE=1",
		"GIT_AUTHOR_NAME=Alice", "GIT_AUTHOR_EMAIL=alice@example.com", "GIT_COMMITTER_NAME=Alice", "GIT_COMMITTER_EMAIL=alice@example.com")
	out, err := c.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		m.t.Fatalf("%s: %v", name, err)
	}
	return c.ProcessState.ExitCode(), strings.TrimSpace(string(out))
}

func (m *machine) ok(name string, args ...string) string {
	m.t.Helper()
	code, out := m.run(name, args...)
	if code != 0 {
		m.t.Fatalf("%s %s: exit code %d\n%s", name, strings.Join(args, " "), code, out)
	}
	return out
}

func (m *machine) sh(script string) string { m.t.Helper(); return m.ok("sh", "-e", "-c", script) }

// ends insists on an exit code and on words.
func (m *machine) ends(want int, words string, args ...string) {
	m.t.Helper()
	code, out := m.run("vishwa", args...)
	if code != want || !regexp.MustCompile(words).MatchString(out) {
		m.t.Errorf("vishwa %s: exit code %d, want %d with %q:\n%s", strings.Join(args, " "), code, want, words, out)
	}
	if last := out[strings.LastIndex(out, "\n")+1:]; want != 0 && !strings.HasPrefix(last, "  ") {
		m.t.Errorf("no hint: %s", out)
	}
}

// past is a repository whose ledger has a release to production, approved and spent.
type past struct {
	*machine
	remote, store, keys string
	tip                 string
}

func beginPast(t *testing.T) *past {
	for _, program := range []string{"git", "python3", "ssh-keygen"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Fatalf("the test needs %s on PATH: make tools says how to install it", program)
		}
	}
	dir := t.TempDir()
	p := &past{remote: filepath.Join(dir, "remote.git"), store: filepath.Join(dir, "store"), keys: quickKeys(t)}
	p.machine = newMachine(t, "", p.keys)
	p.clone = filepath.Join(dir, "homes")
	if err := os.Mkdir(p.clone, 0o755); err != nil {
		t.Fatal(err)
	}
	p.ok("git", "init", "-q", "--bare", "-b", "main", p.remote)
	p.ok("vishwa", "init", ".")
	p.ok("vishwa", "keys", "trust")
	p.sh(`ssh-keygen -q -t ed25519 -N '' -C bob -f ../bob
sed -i "s|^principals: {}|principals:\n  alice: {emails: [alice@example.com]}\n  bob: {emails: [bob@example.com], ssh: [\"$(cat ../bob.pub)\"], roles: [approver]}|" trust.yaml
sed -i "s|^spec:|spec:\n  store: {dir: ` + p.store + `}|" vishwa.yaml
git add -A; git commit -qm Begin; git remote add origin ` + p.remote + `; git push -q origin main`)
	p.ok("vishwa", "apply", "--yes")
	p.sh(`sed -i 's/price-staging/price-production/; s/environment: staging/environment: production/' vishwa/model.yaml
git commit -qam Production; git push -q origin main`)
	p.ok("vishwa", "plan", "--out", "../plan.json")
	p.ok("vishwa", "approve", "../plan.json", "--key", "../bob")
	p.ok("vishwa", "apply", "../plan.json")
	p.tip = p.ok("git", "rev-parse", "vishwa/ledger")
	return p
}

// ledger is a commit of the ledger as it was.
func (p *past) ledger(rev string) string { return p.ok("git", "rev-parse", p.tip+rev) }

func (p *past) set(sha string) {
	p.ok("git", "push", "-q", p.remote, "+"+sha+":refs/heads/vishwa/ledger")
}

// rebuilt is the ledger's newest commit, with files of its tree changed by script.
func (p *past) rebuilt(from, script string) string {
	p.sh(`rm -rf ../tree; git worktree prune; git worktree add -q --detach ../tree ` + from + `
cd ../tree; ` + script + `; git add -A; git commit -q --allow-empty --amend --no-edit`)
	defer p.sh(`git worktree remove --force ../tree`)
	return p.sh(`git -C ../tree rev-parse HEAD`)
}

func TestTheLedgerIsHeldAgainstItsPast(t *testing.T) {
	t.Parallel()
	p := beginPast(t)
	seen := newMachine(t, p.remote, p.keys)
	seen.ends(0, `goes through the checkpoint of \d+ entries in the store`, "ledger", "verify")

	// Another repository, carried out by the same controller.
	other := &past{machine: newMachine(t, "", p.keys)}
	other.clone = filepath.Join(t.TempDir(), "other")
	if err := os.Mkdir(other.clone, 0o755); err != nil {
		t.Fatal(err)
	}
	other.ok("vishwa", "init", ".")
	other.ok("vishwa", "keys", "trust")
	other.sh("git add -A; git commit -qm Other")
	other.ok("vishwa", "apply", "--yes")
	// The same ledger, gone on another way by the same controller, on a machine that
	// was kept from all that it could have known.
	fork := newMachine(t, p.remote, p.keys)
	fork.sh(`git fetch -q origin vishwa/ledger; git branch -q vishwa/ledger ` + p.ledger("~3") + `; git remote remove origin
sed -i "/store:/d" vishwa.yaml; sed -i "s/degree: 2/degree: 3/; s/environment: production/environment: staging/" vishwa/model.yaml; git commit -qam Fork`)
	fork.ok("vishwa", "apply", "--yes")

	entry := func(n string) string { return "entries/000/00000" + n + ".sigstore.json" }
	rows := map[string]struct {
		to          func() string // what the remote's ledger becomes; "": it is deleted
		fresh, seen string
	}{
		"the branch is deleted": {func() string { return "" }, `the ledger branch vishwa/ledger is missing: the store`, `rewritten`},
		"the tail is dropped":   {func() string { return p.ledger("~1") }, `the ledger was rolled back: .* ends after \d+ entries, and the store .* signed by controller main`, `rewritten`},
		"all but the first":     {func() string { return p.sh("git rev-list --max-parents=0 " + p.tip) }, `the ledger was rolled back`, `rewritten`},
		"another repository's": {func() string {
			p.ok("git", "fetch", "-q", other.clone, "vishwa/ledger")
			return p.ok("git", "rev-parse", "FETCH_HEAD")
		}, `the ledger (is another one|was rolled back)`, `rewritten`},
		"a fork that is well signed": {func() string {
			p.ok("git", "fetch", "-q", fork.clone, "vishwa/ledger")
			return p.ok("git", "rev-parse", "FETCH_HEAD")
		}, `the ledger (is another one|was rolled back)`, `rewritten`},
		"one byte is removed": {func() string {
			return p.rebuilt(p.tip, `python3 -c "b=open('`+entry("3")+`','rb').read();open('`+entry("3")+`','wb').write(b[:400]+b[401:])"`)
		}, `entry \d+ .*`, `not signed`},
		"an entry of the middle is dropped": {func() string { return p.rebuilt(p.tip, "git rm -q "+entry("4")) }, `entry \d+`, `not signed`},
		"an entry is replayed": {func() string {
			return p.rebuilt(p.tip, "cp "+entry("4")+" entries/000/$(printf %06d $(ls entries/000 | wc -l)).sigstore.json")
		}, `entry \d+`, `not signed`},
		"payloads are swapped": {func() string {
			return p.rebuilt(p.tip, "mv "+entry("4")+" x; mv "+entry("5")+" "+entry("4")+"; mv x "+entry("5"))
		}, `entry \d+`, `not signed`},
	}
	for name, c := range rows {
		t.Run(name, func(t *testing.T) {
			if to := c.to(); to != "" {
				p.set(to)
			} else {
				p.ok("git", "push", "-q", p.remote, ":refs/heads/vishwa/ledger")
			}
			defer p.set(p.tip)
			fresh := newMachine(t, p.remote, p.keys)
			fresh.ends(1, c.fresh, "ledger", "verify")
			fresh.ends(1, c.fresh, "apply", "--yes")
			seen.ends(1, c.seen, "ledger", "verify")
		})
	}

	t.Run("a spent approval on a ledger that was rolled back", func(t *testing.T) {
		p.set(p.ledger("~1")) // to the approval, before the release that spent it
		defer p.set(p.tip)
		fresh := newMachine(t, p.remote, p.keys)
		fresh.ends(1, `the ledger was rolled back`, "apply", "--yes")
		// A clone on a machine that has seen it.
		again := &machine{t: t, home: seen.home, keys: p.keys, clone: filepath.Join(t.TempDir(), "again")}
		seen.ok("git", "clone", "-q", p.remote, again.clone)
		again.ends(1, `the ledger was rolled back: .*state`, "apply", "--yes")
	})

	t.Run("an approval on another plan", func(t *testing.T) {
		fresh := newMachine(t, p.remote, p.keys)
		fresh.sh(`sed -i "s/degree: 2/degree: 4/" vishwa/model.yaml; git commit -qam Other`)
		fresh.ends(4, `the plan is out of date`, "approve", p.clone+"/../plan.json", "--key", p.clone+"/../bob")
	})

	t.Run("an approval after a place that is not there", func(t *testing.T) {
		p.sh(`sed -i "s/degree: 2/degree: 5/" vishwa/model.yaml; git commit -qam Five; git push -q origin main`)
		p.run("vishwa", "apply", "--yes") // trains, and is held before production
		p.ok("vishwa", "plan", "--out", "../plan5.json")
		p.ok("vishwa", "approve", "../plan5.json", "--key", "../bob", "--out", "../approval5.json")
		now := p.ok("git", "rev-parse", "vishwa/ledger")
		p.set(p.tip)
		defer p.set(now)
		// With every checkpoint gone, what the person signed still says where it was.
		hidden := p.store + ".checkpoints"
		p.ok("mv", p.store+"/checkpoints", hidden)
		defer p.ok("mv", hidden, p.store+"/checkpoints")
		fresh := newMachine(t, p.remote, p.keys)
		fresh.ends(1, `bob approved after entry \d+, which this ledger does not have`, "approve", "--record", p.clone+"/../approval5.json")
	})

	t.Run("another role's key", func(t *testing.T) {
		was := p.ok("git", "ls-remote", p.remote, "refs/heads/vishwa/ledger")
		swapped := filepath.Join(t.TempDir(), "keys")
		if err := os.CopyFS(swapped, os.DirFS(p.keys)); err != nil {
			t.Fatal(err)
		}
		thief := newMachine(t, p.remote, swapped)
		thief.sh(`cd ` + swapped + `; mv build.key x; mv refuse.key build.key; mv x refuse.key; sed -i "s/degree: [0-9]/degree: 6/" ` + thief.clone + `/vishwa/model.yaml`)
		thief.sh(`git commit -qam Six`)
		thief.run("vishwa", "apply", "--yes", "--here")
		defer p.set(strings.Fields(was)[0])
		fresh := newMachine(t, p.remote, p.keys)
		fresh.ends(1, `entry \d+ .*is signed in the role build, and this one is signed by main in the role refuse`, "ledger", "verify")
		fresh.ends(1, `in the role refuse`, "plan")
		seen.ends(1, `in the role refuse`, "plan")
	})
	if out, _ := exec.Command("git", "-C", p.remote, "fsck", "--no-dangling").CombinedOutput(); bytes.Contains(out, []byte("error")) {
		t.Errorf("the remote was hurt: %s", out)
	}
}
