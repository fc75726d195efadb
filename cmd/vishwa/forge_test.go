// Stories of pull requests, told with the real program, real Git over HTTP and a
// GitHub in this process.

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/vishwaops/vishwa/cmd/vishwa-devforge/devforge"
)

// theirs is the repository that every story is about.
const theirs = "acme/homes"

// github is the GitHub of one script.
type github struct {
	*devforge.Forge
	token string // of the controller
}

func TestForgeScripts(t *testing.T) {
	t.Parallel()
	keys := quickKeys(t)
	testscript.Run(t, testscript.Params{
		Dir: "testdata/forge",
		Setup: func(env *testscript.Env) error {
			if err := settle(t, env, keys); err != nil {
				return err
			}
			if err := web(env); err != nil {
				return err
			}
			return begin(t, env)
		},
		Condition: func(cond string) (bool, error) {
			if cond == "root" {
				return os.Geteuid() == 0, nil
			}
			return false, fmt.Errorf("no condition %q", cond)
		},
		Cmds: forgeCommands(),
	})
}

func forgeCommands() map[string]func(*testscript.TestScript, bool, []string) {
	return map[string]func(*testscript.TestScript, bool, []string){
		"exits": exits, "project": project, "edit": edit, "commit": commit, "lines": lineCount, "until": until, "json": isJSON,
		"pr": pr, "shown": shown, "event": event, "quiet": quiet, "wrote": wrote, "unwritten": unwritten, "role": role, "await": await, "once": once, "survive": survive, "fork": fork, "configure": configure, "issues": issuesAre,
	}
}

// begin starts a GitHub with a repository, a controller's account and three people:
// asha and ben may write, and mallory is a stranger.
func begin(t *testing.T, env *testscript.Env) error {
	f, err := devforge.New(devforge.Options{Dir: filepath.Join(env.WorkDir, "forge")})
	if err != nil {
		return err
	}
	url, err := f.Listen("127.0.0.1:0")
	if err != nil {
		return err
	}
	env.Defer(func() { _ = f.Close() })
	if err := f.CreateRepo("acme", "homes"); err != nil {
		return err
	}
	if err := f.Publish(theirs); err != nil {
		return err
	}
	for login, role := range map[string]string{"asha": "write", "ben": "write", "vishwa-bot": "write"} {
		f.AddUser(login, login == "vishwa-bot")
		if err := f.Grant(theirs, login, role); err != nil {
			return err
		}
	}
	f.AddUser("mallory", false)
	hub := &github{Forge: f, token: f.Token("vishwa-bot")}
	env.Values["github"] = hub
	env.Defer(func() {
		leaks(t, env.WorkDir, hub.token, password)
		hub.told(t, hub.token, password)
	})
	remote := func(login string) string {
		return strings.Replace(url, "://", "://x-access-token:"+f.Token(login)+"@", 1) + "/" + theirs + ".git"
	}
	for name, value := range map[string]string{
		"FORGE": url, "REMOTE": f.CloneURL(theirs), "ASHA": remote("asha"), "MALLORY": remote("mallory"),
		"GITHUB_TOKEN": hub.token, "GITHUB_API_URL": url + "/api/v3", "GITHUB_SERVER_URL": url, "GITHUB_REPOSITORY": theirs,
		"GITHUB_ACTIONS": "true", "GITHUB_RUN_ID": "1", "GITHUB_EVENT_PATH": filepath.Join(env.WorkDir, "event.json"),
		"GITHUB_STEP_SUMMARY": filepath.Join(env.WorkDir, "summary.md"), "GITHUB_OUTPUT": filepath.Join(env.WorkDir, "output"),
	} {
		env.Setenv(name, value)
	}
	return nil
}

func hub(ts *testscript.TestScript) *github { return ts.Value("github").(*github) }

// pr does what people do on GitHub:
//
//	pr open HEAD LOGIN [TITLE]        opens it, and sets $PR
//	pr review LOGIN approve|reject    reviews the newest commit
//	pr say LOGIN TEXT                 comments, and sets $COMMENT
//	pr edit LOGIN TEXT                writes over $COMMENT, whoever wrote it
//	pr merge LOGIN [merge|squash|rebase]
//	pr queue LOGIN [METHOD]           puts it into the merge queue, and sets $GROUP and $GROUP_SHA
//	pr dequeue merged|failed          ends that
//	pr close LOGIN
//	pr look N                         has $PR be N
func pr(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: pr open|review|say|merge|close ...")
	}
	g := hub(ts)
	n, _ := strconv.Atoi(ts.Getenv("PR"))
	arg := func(i int, or string) string {
		if len(args) > i {
			return args[i]
		}
		return or
	}
	var err error
	switch args[0] {
	case "open":
		if n, err = g.OpenPull(devforge.NewPull{Repo: theirs, Head: args[1], Base: "main", Title: arg(3, "Change "+args[1]), Author: arg(2, "asha")}); err == nil {
			ts.Setenv("PR", strconv.Itoa(n))
		}
	case "review":
		_, err = g.Review(theirs, n, args[1], map[string]string{"approve": "approve", "reject": "request-changes"}[arg(2, "approve")])
	case "say":
		var id int64
		id, err = g.Comment(theirs, n, args[1], strings.ReplaceAll(arg(2, ""), `\n`, "\n"))
		ts.Setenv("COMMENT", strconv.FormatInt(id, 10))
	case "edit":
		err = patch(ts, g.Token(args[1]), arg(2, ""))
	case "merge":
		_, err = g.Merge(theirs, n, args[1], arg(2, "merge"))
	case "queue":
		var ref, sha string
		if ref, sha, err = g.Enqueue(theirs, n, args[1], arg(2, "merge")); err == nil {
			ts.Setenv("GROUP", ref)
			ts.Setenv("GROUP_SHA", sha)
		}
	case "dequeue":
		err = g.Complete(theirs, n, args[1] == "merged")
	case "look":
		ts.Setenv("PR", args[1])
	case "close":
		err = g.ClosePull(theirs, n, args[1])
	default:
		ts.Fatalf("pr %s is nothing", args[0])
	}
	if neg {
		if err == nil {
			ts.Fatalf("pr %s was let through", args[0])
		}
		return
	}
	ts.Check(err)
}

// patch edits $COMMENT a second after it was written: GitHub tells no finer.
func patch(ts *testscript.TestScript, token, text string) error {
	time.Sleep(1100 * time.Millisecond)
	body, err := json.Marshal(map[string]string{"body": text})
	ts.Check(err)
	req, err := http.NewRequest(http.MethodPatch, ts.Getenv("GITHUB_API_URL")+"/repos/"+theirs+"/issues/comments/"+ts.Getenv("COMMENT"), bytes.NewReader(body))
	ts.Check(err)
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("edit comment: %s", resp.Status)
	}
	return nil
}

// shown writes what the repository shows to comment.md, marks.txt and rollouts.txt.
// It insists that there is at most one comment of the controller's a pull request.
func shown(ts *testscript.TestScript, _ bool, _ []string) {
	s, err := hub(ts).Shown(theirs)
	ts.Check(err)
	var comment, withdrawn, marks, rollouts strings.Builder
	ours := map[int]int{}
	for _, c := range s.Comments {
		if own := strconv.Itoa(c.Pull) == ts.Getenv("PR"); own && strings.HasPrefix(c.Body, "<!-- vishwa:withdrawn -->") {
			withdrawn.WriteString(c.Body) // of which there is one, too, as the next line of the same kind shows
		} else if c.Login == "vishwa-bot" && !strings.HasPrefix(c.Body, "<!-- vishwa:withdrawn -->") {
			if ours[c.Pull]++; ours[c.Pull] > 1 {
				ts.Fatalf("pull request %d has %d comments of ours", c.Pull, ours[c.Pull])
			}
			if strconv.Itoa(c.Pull) == ts.Getenv("PR") {
				comment.WriteString(c.Body)
			}
		}
		for _, with := range slices.Sorted(maps.Keys(c.Reactions)) {
			fmt.Fprintf(&marks, "reaction %s to %s\n", with, strings.SplitN(c.Body, "\n", 2)[0])
		}
	}
	for _, m := range s.Statuses {
		fmt.Fprintf(&marks, "status %s %s %.7s %s\n", m.Context, m.State, m.SHA, m.Description)
	}
	for _, d := range s.Deployments {
		fmt.Fprintf(&rollouts, "%s %s %s\n", d.Environment, strings.Join(d.States, ","), d.URL)
	}
	words := ""
	if n, err := strconv.Atoi(ts.Getenv("PR")); err == nil {
		if p, err := hub(ts).Pull(theirs, n); err == nil { // it may be opened yet
			words = p.Title + "\n\n" + p.Body
		}
	}
	for name, text := range map[string]string{"pull.md": words, "comment.md": comment.String(), "withdrawn.md": withdrawn.String(), "marks.txt": marks.String(), "rollouts.txt": rollouts.String()} {
		ts.Check(os.WriteFile(filepath.Join(ts.Getenv("WORK"), name), []byte(text), 0o644))
	}
}

// event writes the event of a job and names it: event pull_request, event push.
func event(ts *testscript.TestScript, _ bool, args []string) {
	g := hub(ts)
	n, _ := strconv.Atoi(ts.Getenv("PR"))
	var body string
	switch args[0] {
	case "pull_request", "pull_request_review", "issue_comment":
		p, err := g.Pull(theirs, n)
		ts.Check(err)
		of := fmt.Sprintf(`"pull_request": {"number": %d, "head": {"sha": %q, "repo": {"full_name": "acme/homes"}}, "base": {"ref": "main"}}`, n, p.SHA)
		if args[0] == "issue_comment" {
			of = fmt.Sprintf(`"issue": {"number": %d, "pull_request": {"url": "x"}}, "comment": {"id": 1, "body": "/vishwa plan"}`, n)
		}
		action := map[string]string{"pull_request": "synchronize", "pull_request_review": "submitted", "issue_comment": "created"}[args[0]]
		body = fmt.Sprintf(`{"action": %q, "number": %d, %s, "repository": {"full_name": %q, "default_branch": "main"}}`, action, n, of, theirs)
		ts.Setenv("GITHUB_REF", fmt.Sprintf("refs/pull/%d/merge", n))
	case "merge_group":
		body = fmt.Sprintf(`{"action": "checks_requested", "merge_group": {"head_ref": %q, "head_sha": %q, "base_ref": "refs/heads/main"}, "repository": {"full_name": %q, "default_branch": "main"}}`,
			ts.Getenv("GROUP"), ts.Getenv("GROUP_SHA"), theirs)
		ts.Setenv("GITHUB_REF", ts.Getenv("GROUP"))
		ts.Setenv("GITHUB_SHA", ts.Getenv("GROUP_SHA"))
	default:
		body = fmt.Sprintf(`{"ref": "refs/heads/main", "repository": {"full_name": %q, "default_branch": "main"}}`, theirs)
		ts.Setenv("GITHUB_REF", "refs/heads/main")
		ts.Setenv("GITHUB_REF_NAME", "main")
		if p, err := g.Pull(theirs, n); err == nil && p.Merged {
			ts.Setenv("GITHUB_SHA", p.MergeAs)
		} else {
			said, err := exec.Command("git", "ls-remote", g.CloneURL(theirs), "refs/heads/main").Output()
			ts.Check(err)
			ts.Setenv("GITHUB_SHA", strings.Fields(string(said))[0])
		}
	}
	ts.Setenv("GITHUB_EVENT_NAME", args[0])
	ts.Check(os.WriteFile(ts.Getenv("GITHUB_EVENT_PATH"), []byte(body), 0o644))
}

// quiet insists that a program, run now, writes nothing to GitHub: quiet vishwa ci.
func quiet(ts *testscript.TestScript, _ bool, args []string) {
	g := hub(ts)
	g.Forget()
	ts.Check(ts.Exec(args[0], args[1:]...))
	for _, r := range g.Requests() {
		if r.Method != "GET" && r.Status < 400 && !strings.HasSuffix(r.Path, "/git-upload-pack") {
			ts.Fatalf("%s %s", r.Method, r.Path)
		}
	}
}

// unwritten insists that a program has nothing written to GitHub or pushed, whatever it asks:
// unwritten vishwa controller --check.
func unwritten(ts *testscript.TestScript, _ bool, args []string) {
	g := hub(ts)
	g.Forget()
	ts.Check(ts.Exec(args[0], args[1:]...))
	for _, r := range g.Requests() {
		if r.Method != "GET" && r.Status < 300 && !strings.HasSuffix(r.Path, "/git-upload-pack") {
			ts.Fatalf("%s %s", r.Method, r.Path)
		}
	}
}

// role gives somebody another role: role LOGIN read.
func role(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(hub(ts).Grant(theirs, args[0], args[1]))
}

// wrote insists on how often a login wrote to GitHub and was let: wrote LOGIN [N]; without N
// it prints what was written.
func wrote(ts *testscript.TestScript, _ bool, args []string) {
	var all []string
	for _, r := range hub(ts).Requests() {
		if r.Method != "GET" && r.Status < 400 && r.By == args[0] && !strings.HasSuffix(r.Path, "/git-upload-pack") {
			all = append(all, r.Method+" "+r.Path)
		}
	}
	ts.Logf("%s wrote %d times:\n%s", args[0], len(all), strings.Join(all, "\n"))
	if len(args) > 1 {
		if want, err := strconv.Atoi(args[1]); err != nil || len(all) != want {
			ts.Fatalf("%s wrote %d times, want %s", args[0], len(all), args[1])
		}
	}
}

// await waits until a file that shown writes holds a text: await comment.md TEXT. It gives
// up where nothing in the file moved for a minute: how long a whole pull request takes is
// the machine's matter.
func await(ts *testscript.TestScript, _ bool, args []string) {
	const patience = 4 * time.Minute // a slow machine spends 20 s on each of the strangers'
	last := ""
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		shown(ts, false, nil)
		if seen := commandLines(hub(ts).token); len(seen) > 0 {
			ts.Fatalf("command lines hold the token: %v", seen)
		}
		text, err := os.ReadFile(filepath.Join(ts.Getenv("WORK"), args[0]))
		ts.Check(err)
		if strings.Contains(string(text), args[1]) {
			return
		}
		if now := string(text); now != last {
			last, deadline = now, time.Now().Add(patience)
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%s does not come to hold %q:\n%s", args[0], args[1], text)
		}
	}
}

// configure writes controller.yaml, with webhooks that reach the controller and as
// few looks of its own as may be: configure [NAME [LINES...]].
func configure(ts *testscript.TestScript, _ bool, args []string) {
	g := hub(ts)
	address := freeAddress(ts)
	_, err := g.Hook(theirs, "http://"+address+"/webhooks/github", password)
	ts.Check(err)
	name := "controller.yaml"
	if len(args) > 0 {
		name = args[0]
	}
	text := fmt.Sprintf(`apiVersion: vishwa.dev/v1alpha1
kind: Controller
spec:
  listen: %s
  webhook: {secret: {env: VISHWA_KEY_PASSWORD}}
  poll: 5s
  sweep: 10s
  log: {format: text}
  lease: {duration: 60s}
  isolation: {level: best}
  state: %s
  repositories:
    - {url: %s, allow: [127.0.0.1], github: {api: %s/api/v3, repository: %s, token: {env: GITHUB_TOKEN}}}
`, address, filepath.Join(ts.Getenv("WORK"), name+".state"), g.CloneURL(theirs), g.URL(), theirs)
	for _, line := range args[min(1, len(args)):] {
		field, _, _ := strings.Cut(line, ":")
		text = regexp.MustCompile(`(?m)^  `+field+`:.*$`).ReplaceAllLiteralString(text, "  "+line)
	}
	ts.Setenv("CONTROLLER", "http://"+address)
	ts.Check(os.WriteFile(filepath.Join(ts.Getenv("WORK"), name), []byte(text), 0o644))
}

// once insists on how often a file holds a text: once FILE TEXT [N].
func once(ts *testscript.TestScript, _ bool, args []string) {
	want := 1
	if len(args) > 2 {
		var err error
		want, err = strconv.Atoi(args[2])
		ts.Check(err)
	}
	if got := strings.Count(ts.ReadFile(args[0]), args[1]); got != want {
		ts.Fatalf("%s holds %q %d times, want %d:\n%s", args[0], args[1], got, want, ts.ReadFile(args[0]))
	}
}
