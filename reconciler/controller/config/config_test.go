// What is wrong in a configuration is told as a person would read it.

package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

const head = "apiVersion: vishwa.dev/v1alpha1\nkind: Controller\n"

const whole = head + `spec:
  listen: 127.0.0.1:9000
  metrics: {listen: 10.0.0.7:9001}
  webhook: {secret: {env: HOOK}, previous: {file: old.txt}}
  poll: 30s
  sweep: 5m
  jitter: 3s
  timeout: 20s
  parallel: 8
  pulls: 2
  lease: {duration: 90s, name: one}
  shutdown: {runs: finish, grace: 1h}
  log: {level: debug, format: text}
  state: state
  keys: keys
  keyPassword: {env: PASSWORD}
  repositories:
    - url: git@github.com:Acme/Churn.git
      name: churn
      branches: [main, release/1.x]
      pass: [HTTPS_PROXY]
      github: {app: {id: 1, installation: 2, key: {file: app.pem}}}
    - url: https://ghe.example.org/acme/uplift
      github: &token {api: https://ghe.example.org/api/v3, token: {env: TOKEN}}
    - url: https://ghe.example.org/acme/other.git
      github: *token
    - path: ../local
`

func TestAWholeConfigurationIsRead(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "controller.yaml"), whole)
	c, err := Read(filepath.Join(dir, "controller.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	r := c.Repositories
	for what, is := range map[string]bool{
		"durations": c.Poll == 30*time.Second && c.Lease.Duration == 90*time.Second && c.Shutdown.Grace == time.Hour,
		"addresses": c.Listen == "127.0.0.1:9000" && c.Metrics.Listen == "10.0.0.7:9001",
		"numbers":   c.Parallel == 8 && r[0].GitHub.App.Installation == 2,
		"paths":     c.State == filepath.Join(dir, "state") && r[3].Path == filepath.Join(filepath.Dir(dir), "local") && c.Webhook.Previous.File == filepath.Join(dir, "old.txt") && r[0].GitHub.App.Key.File == filepath.Join(dir, "app.pem"),
		"secrets":   slices.Contains(c.Secrets(), filepath.Join(dir, "old.txt")) && slices.Contains(c.Secrets(), filepath.Join(dir, "app.pem")),
		"names":     r[0].Title() == "churn" && r[1].Title() == "ghe.example.org/acme/uplift",
		"full name": r[0].FullName() == "Acme/Churn" && r[2].FullName() == "acme/other" && r[3].FullName() == "",
		"identity":  r[0].Identity() == "github.com/acme/churn",
		"aliases":   r[2].GitHub.Token.Env == "TOKEN",
	} {
		if !is {
			t.Errorf("%s are not as written: %+v", what, c)
		}
	}
	least, err := Parse("c.yaml", []byte(head+"spec: {repositories: [{path: /repo}]}\n"))
	if err != nil || least.Poll != time.Minute || least.Listen != "127.0.0.1:8700" || least.Shutdown.Runs != HandBack {
		t.Errorf("the defaults are %+v, %v", least, err)
	}
}

// The file is read as all files that people write are: YAML 1.2 too.
func TestAConfigurationMayBeYAML12(t *testing.T) {
	if _, err := Parse("c.yaml", []byte("%YAML 1.2\n---\n"+head+"spec: {repositories: [{path: /repo}]}\n")); err != nil {
		t.Error(err)
	}
}

func TestProblemsOfAConfigurationReadWell(t *testing.T) {
	repos := "  repositories: [{path: /repo}]\n"
	for name, c := range map[string]struct{ text, want string }{
		"empty":   {"", "c.yaml:1:1: is empty; write apiVersion, kind and spec"},
		"no YAML": {"a: [", "c.yaml:1:1: is not YAML: did not find expected node content (a value is missing, or a bracket is not closed); correct this line or the one before it"},
		"a list":  {"[]", "c.yaml:1:1: is a list; give a mapping\nc.yaml:1:1: apiVersion: write apiVersion: vishwa.dev/v1alpha1\nc.yaml:1:1: kind: write kind: Controller"},
		"two":     {head + "spec: {repositories: [{path: /a}]}\n---\n{}\n", "c.yaml:5:1: holds more than one document; keep one"},
		"kind":    {strings.Replace(head, "Controller", "Project", 1) + "spec: {repositories: [{path: /a}]}", "c.yaml:2:1: kind: write kind: Controller"},
		"all kinds": {head + "spec:\n  pol: 5s\n  sweep: soon\n  parallel: many\n  pulls: 0\n  log: {level: verbose}\n  lease: 5\n  keys:\n" + repos, `c.yaml:4:3: spec.pol: unknown field; did you mean poll?
c.yaml:5:3: spec.sweep: "soon" is not a duration; write one such as 90s, 15m, 2h or 3d
c.yaml:6:3: spec.parallel: is a string; give a whole number, without quotes
c.yaml:7:3: spec.pulls: 0 is too small; give at least 1
c.yaml:8:9: spec.log.level: "verbose" is not allowed; choose one of debug, error, info, warn
c.yaml:9:3: spec.lease: is a number; give a mapping
c.yaml:10:3: spec.keys: has no value; give it one, or remove the line`},
		"twice":  {head + "spec:\n  poll: 5s\n  poll: 6s\n" + repos, "c.yaml:4:3: spec.poll: is given twice; remove one"},
		"ranges": {head + "spec:\n  poll: 5ms\n  jitter: 1h\n  lease: {duration: 1s}\n" + repos, "c.yaml:4:3: spec.poll: 5ms is out of range; give between 1s and 24h0m0s\nc.yaml:5:3: spec.jitter: 1h0m0s is longer than poll; give at most 5ms\nc.yaml:6:11: spec.lease.duration: 1s is out of range; give between 5s and 1h0m0s"},
		"listen": {head + "spec:\n  listen: everywhere\n" + repos, `c.yaml:4:3: spec.listen: "everywhere" is not an address; write host:port, such as 127.0.0.1:8700`},
		"no time": {head + "spec:\n  poll: 0s\n  timeout: -1s\n" + repos, `c.yaml:4:3: spec.poll: "0s" is too short; give a duration above zero, or remove the line to have the default
c.yaml:5:3: spec.timeout: "-1s" is too short; give a duration above zero, or remove the line to have the default`},
		"port":                           {head + "spec:\n  listen: 127.0.0.1:99999\n" + repos, `c.yaml:4:3: spec.listen: "99999" is not a port; write a number from 1 to 65535`},
		"port 0":                         {head + "spec:\n  listen: ':0'\n" + repos, `c.yaml:4:3: spec.listen: "0" is not a port; write a number from 1 to 65535`},
		"metrics":                        {head + "spec:\n  metrics: {listen: inside}\n" + repos, `c.yaml:4:13: spec.metrics.listen: "inside" is not an address; write host:port, such as 127.0.0.1:8700`},
		"metrics at the webhooks' place": {head + "spec:\n  metrics: {listen: 127.0.0.1:8700}\n" + repos, `c.yaml:4:13: spec.metrics.listen: is the address that webhooks have; give another one, or remove it to serve all there`},
		"metrics without webhooks":       {head + "spec:\n  webhook: {off: true}\n  metrics: {listen: 127.0.0.1:8701}\n" + repos, `c.yaml:5:13: spec.metrics.listen: webhooks are off, so there is nothing to keep apart; give the address as listen`},
		"name":                           {head + "spec:\n  listen: localhost:http\n" + repos, `c.yaml:4:3: spec.listen: "http" is not a port; write a number from 1 to 65535`},
		"host":                           {head + "spec:\n  listen: 127.0.0.300:80\n" + repos, `c.yaml:4:3: spec.listen: "127.0.0.300" is not a host; write a name or an address, such as 127.0.0.1`},
		"too many": {head + "spec:\n  parallel: 100000\n  pulls: 5000\n  lease: {name: \"a\\nb\"}\n" + repos, `c.yaml:4:3: spec.parallel: 100000 is too large; give at most 1000
c.yaml:5:3: spec.pulls: 5000 is too large; give at most 100
c.yaml:6:11: spec.lease.name: "a\nb" is not a name; write at most 200 characters on one line`},
		"of a repository": {head + "spec:\n  webhook: {off: true}\n  repositories:\n    - url: https://github.com:99999/a/b\n      name: ' x'\n      allow: [data.example.org, 10.0.0.0/8, '::1', 'a b', 10.0.0.0/99, 300.1.1.1, 'https://x', '*']\n      github: {token: {env: T}, api: 'https://ghe.example.org:0/api/v3'}\n", `c.yaml:6:7: spec.repositories.0.url: has a port that there is not; write a number from 1 to 65535, or none
c.yaml:7:7: spec.repositories.0.name: " x" is not a name; write at most 200 characters on one line
c.yaml:8:52: spec.repositories.0.allow.3: "a b" is neither a host nor a network; write a name, an address, or a network such as 10.0.0.0/8
c.yaml:8:59: spec.repositories.0.allow.4: "10.0.0.0/99" is neither a host nor a network; write a name, an address, or a network such as 10.0.0.0/8
c.yaml:8:72: spec.repositories.0.allow.5: "300.1.1.1" is neither a host nor a network; write a name, an address, or a network such as 10.0.0.0/8
c.yaml:8:83: spec.repositories.0.allow.6: "https://x" is neither a host nor a network; write a name, an address, or a network such as 10.0.0.0/8
c.yaml:8:96: spec.repositories.0.allow.7: "*" is neither a host nor a network; write a name, an address, or a network such as 10.0.0.0/8
c.yaml:9:33: spec.repositories.0.github.api: is not an address of a GitHub server; write https://HOST/api/v3`},
		"nothing": {head + "spec: {}\n", "c.yaml:3:1: spec.repositories: lists nothing to reconcile; give a repository's url or path"},
		"same":    {head + "spec:\n  webhook: {off: true}\n  repositories:\n    - url: https://GitHub.com/Acme/churn.git\n    - url: git@github.com:acme/churn\n", "c.yaml:7:7: spec.repositories.1: the same repository is listed already, at line 6; list its branches there, and remove this one"},
		"inline":  {head + "spec:\n  webhook: {secret: hunter2}\n  keyPassword: {env: 'hunter2!'}\n" + repos, "c.yaml:4:13: spec.webhook.secret: is a string; give a mapping\nc.yaml:5:17: spec.keyPassword.env: is not a name of a variable; name the variable that holds the secret, never the secret itself"},
		"both":    {head + "spec:\n  webhook: {secret: {env: A, file: b}}\n" + repos, "c.yaml:4:13: spec.webhook.secret: give either env, a variable's name, or file; the secret itself is never written here"},
		"in a URL": {head + "spec:\n  webhook: {off: true}\n  repositories:\n    - url: https://me:hunter2@github.com/a/b\n    - url: https://github.com/a/c?token=hunter2\n    - url: ext::sh -c hunter2\n    - url: file:///srv/hunter2\n    - url: ssh://-oProxyCommand=hunter2/a\n", `c.yaml:6:7: spec.repositories.0.url: holds more than an address; take user, password and query out, and give github.token or github.app
c.yaml:7:7: spec.repositories.1.url: holds more than an address; take user, password and query out, and give github.token or github.app
c.yaml:8:7: spec.repositories.2.url: is not a URL; write https://HOST/OWNER/NAME.git, or give path for a repository on this machine
c.yaml:9:7: spec.repositories.3.url: has a scheme that is not used; write an https or ssh URL, or give path for a repository on this machine
c.yaml:10:7: spec.repositories.4.url: names no host; write https://HOST/OWNER/NAME.git`},
		"github": {head + "spec:\n  repositories:\n    - url: https://github.com/a/b\n      github: {}\n    - url: http://github.com/a/c\n      github: {token: {env: T}, api: http://api.github.com}\n    - path: /repo\n      github: {app: {id: 1}}\n", `c.yaml:3:1: spec.webhook: there is no secret to know GitHub's webhooks by; give webhook.secret, or write webhook: {off: true} to poll alone
c.yaml:6:7: spec.repositories.0.github: give either token or app
c.yaml:7:7: spec.repositories.1.url: would send a token in the clear; write https
c.yaml:8:33: spec.repositories.1.github.api: is not an address of a GitHub server; write https://HOST/api/v3
c.yaml:10:7: spec.repositories.2.github: the address does not give owner and name; give repository: owner/name
c.yaml:10:16: spec.repositories.2.github.app: give its id and its installation
c.yaml:10:16: spec.repositories.2.github.app.key: give either env, a variable's name, or file; the secret itself is never written here`},
		"alerts": {head + "spec:\n  webhook: {off: true}\n  alerts:\n    - {slack: {url: 'https://hooks.slack.com/hunter2'}}\n    - {webhook: {url: 'https://me:hunter2@a.example.org/x'}}\n    - {webhook: {url: 'http://a.example.org', token: {env: T}}}\n    - {name: one, issue: {}, webhook: {url: 'https://a.example.org'}}\n    - {name: two, issue: {}, repositories: [here, there]}\n    - {alertmanager: {url: 'alertmanager:9093'}}\n  repositories: [{path: /repo, name: here}]\n", `c.yaml:6:16: spec.alerts.0.slack.url: is a string; give a mapping
c.yaml:7:18: spec.alerts.1.webhook.url: holds a user or a password; take it out, and give token
c.yaml:8:7: spec.alerts.2: another receiver is called "webhook"; give this one a name of its own
c.yaml:8:18: spec.alerts.2.webhook.url: would send a token in the clear; write https
c.yaml:9:7: spec.alerts.3: give one of slack, webhook, alertmanager and issue
c.yaml:10:45: spec.alerts.4.repositories.0: "here" has no github, and issues are opened there; give its github, or remove it
c.yaml:10:51: spec.alerts.4.repositories.1: "there" is not listed in repositories; give its name as it is there
c.yaml:11:23: spec.alerts.5.alertmanager.url: is not an address; write https://HOST/PATH`},
		"replicas": {head + "spec:\n  webhook: {off: true}\n  replicas: {repository: example.org/a/b, peers: ['all:8700', ':1']}\n  repositories: [{url: 'https://example.org/a/c'}]\n", `c.yaml:5:14: spec.replicas.repository: "example.org/a/b" is not the name of a listed repository; did you mean example.org/a/c?
c.yaml:5:43: spec.replicas.peers: no webhooks are served that could be handed on; give webhook.secret, or remove this
c.yaml:5:63: spec.replicas.peers.1: names no host; write host:port, such as controllers.example.org:8700`},
		"replicas in a folder": {head + "spec:\n  webhook: {off: true}\n  replicas: {repository: here}\n  repositories: [{path: /repo, name: here}]\n", `c.yaml:5:14: spec.replicas.repository: is a folder of one machine; name one that is listed with its url`},
		"peers of nobody":      {head + "spec:\n  webhook: {secret: {env: S}}\n  replicas: {peers: ['all:8700']}\n" + repos, `c.yaml:5:14: spec.replicas.peers: there is nothing to hand on, as each controller works on all repositories; give replicas.repository`},
		"branches": {head + "spec:\n  repositories:\n    - path: /repo\n      branches: [main, main, refs/heads/x, -x, a..b, 'a b', x.lock, '@{u}', a/.b, a//b]\n      pass: [A=b]\n    - {path: /repo, url: https://x.y/z}\n", `c.yaml:6:24: spec.repositories.0.branches.1: the branch is listed twice; remove one
c.yaml:6:30: spec.repositories.0.branches.2: "refs/heads/x" is not a name of a branch; write it without refs/heads/
c.yaml:6:44: spec.repositories.0.branches.3: "-x" is not a name of a branch; write it without refs/heads/
c.yaml:6:48: spec.repositories.0.branches.4: "a..b" is not a name of a branch; write it without refs/heads/
c.yaml:6:54: spec.repositories.0.branches.5: "a b" is not a name of a branch; write it without refs/heads/
c.yaml:6:61: spec.repositories.0.branches.6: "x.lock" is not a name of a branch; write it without refs/heads/
c.yaml:6:69: spec.repositories.0.branches.7: "@{u}" is not a name of a branch; write it without refs/heads/
c.yaml:6:77: spec.repositories.0.branches.8: "a/.b" is not a name of a branch; write it without refs/heads/
c.yaml:6:83: spec.repositories.0.branches.9: "a//b" is not a name of a branch; write it without refs/heads/
c.yaml:7:14: spec.repositories.0.pass.0: "A=b" is not a name of a variable; write letters, digits and underscores
c.yaml:8:7: spec.repositories.1: give either url or path`},
		"trackers": {head + "spec:\n  repositories:\n    - path: /repo\n      trackers: ['https://mlflow.example.com/ml', mlflow.example.com, 'https://me:hunter2@mlflow.example.com', 'ftp://x', 'https://']\n", `c.yaml:6:51: spec.repositories.0.trackers.1: this is not the address of a tracker; write it as https://mlflow.example.com, without a user
c.yaml:6:71: spec.repositories.0.trackers.2: this is not the address of a tracker; write it as https://mlflow.example.com, without a user
c.yaml:6:112: spec.repositories.0.trackers.3: this is not the address of a tracker; write it as https://mlflow.example.com, without a user
c.yaml:6:123: spec.repositories.0.trackers.4: this is not the address of a tracker; write it as https://mlflow.example.com, without a user`},
		"model servers": {head + "spec:\n  repositories:\n    - path: /repo\n      modelServers:\n        - {folder: /srv/models, url: 'http://127.0.0.1:8501'}\n        - {folder: srv, url: 'http://me:hunter2@127.0.0.1:8501'}\n        - {folder: /srv}\n", `c.yaml:8:12: spec.repositories.0.modelServers.1.folder: "srv" is not the whole path of a folder; write one such as /srv/models
c.yaml:8:25: spec.repositories.0.modelServers.1.url: this is not the address of a server; write it as http://127.0.0.1:8501, without a user
c.yaml:9:11: spec.repositories.0.modelServers.2.url: this is not the address of a server; write it as http://127.0.0.1:8501, without a user`},
		"runners": {head + "spec:\n  repositories:\n    - path: /repo\n      runners: ['https://airflow.example.com/ml', 'ssh://ml@gpu-box:22', 'unix:///run/docker.sock', 'tcp://10.0.0.1:2376', airflow.example.com, 'https://hunter2@airflow.example.com', 'ssh://me:hunter2@box', 'unix://run']\n      clusters:\n        - {context: prod, namespaces: [models, 'a b', '*']}\n        - {context: prod}\n", `c.yaml:6:124: spec.repositories.0.runners.4: this is not the address of a runner; write it as https://airflow.example.com, or ssh://HOST for a Docker Engine, without a password
c.yaml:6:145: spec.repositories.0.runners.5: this is not the address of a runner; write it as https://airflow.example.com, or ssh://HOST for a Docker Engine, without a password
c.yaml:6:184: spec.repositories.0.runners.6: this is not the address of a runner; write it as https://airflow.example.com, or ssh://HOST for a Docker Engine, without a password
c.yaml:6:208: spec.repositories.0.runners.7: this is not the address of a runner; write it as https://airflow.example.com, or ssh://HOST for a Docker Engine, without a password
c.yaml:8:48: spec.repositories.0.clusters.0.namespaces.1: "a b" is not a namespace; write lower-case letters, digits and hyphens
c.yaml:8:55: spec.repositories.0.clusters.0.namespaces.2: "*" is not a namespace; write lower-case letters, digits and hyphens
c.yaml:9:11: spec.repositories.0.clusters.1: lists no namespaces; give namespaces: [models], those that it may use`},
		"one folder of tokens": {head + "spec:\n  repositories:\n    - {path: /repo, name: team/churn}\n    - {path: /other, name: team-churn}\n", `c.yaml:6:7: spec.repositories.1: the one at line 5 would have its tokens in the same folder, "team-churn"; give one of them another name`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse("c.yaml", []byte(c.text))
			if err == nil || fault.Of(err) != fault.Invalid || fault.HintOf(err) == "" {
				t.Fatalf("the error is %v", err)
			}
			if err.Error() != c.want {
				t.Errorf("got\n%s\nwant\n%s", err, c.want)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Error("a secret that stands in the wrong place is repeated")
			}
		})
	}
	if _, err := Read(filepath.Join(t.TempDir(), "none.yaml")); fault.Of(err) != fault.Missing {
		t.Errorf("a file that is not there: %v", err)
	}
}

// TestACheckLooksAtWhatTheFileNames: what the controller would find missing one by one
// is told before it runs, all at once.
func TestACheckLooksAtWhatTheFileNames(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "file"), "x")
	write(t, filepath.Join(dir, "empty"), "\n")
	write(t, filepath.Join(dir, "bare.git", "HEAD"), "ref: refs/heads/main\n")
	write(t, filepath.Join(dir, "plain", "readme"), "x")
	at := filepath.Join(dir, "c.yaml")
	write(t, at, head+`spec:
  webhook: {secret: {file: none.txt}, previous: {file: empty}}
  state: file
  keys: nowhere
  keyPassword: {file: plain}
  repositories:
    - path: nowhere
    - path: file
    - path: plain
    - path: bare.git
    - url: https://github.com/a/b
      github: {app: {id: 1, installation: 2, key: {file: app.pem}}}
    - url: https://github.com/a/c
      github: {token: {file: file}}
`)
	if _, err := Read(at); err != nil {
		t.Fatalf("the file itself is in order: %v", err)
	}
	_, err := Check(at)
	if fault.Of(err) != fault.Invalid || fault.HintOf(err) == "" {
		t.Fatalf("the error is %v", err)
	}
	want := `c.yaml:4:22: spec.webhook.secret.file: "none.txt" is not there; put the secret there, or correct the path
c.yaml:4:50: spec.webhook.previous.file: "empty" cannot be read, is empty, or is larger than 64 KiB; put nothing but the secret there
c.yaml:5:3: spec.state: "file" is not a folder that can be written; name one, which is made where it is missing
c.yaml:6:3: spec.keys: "nowhere" is not a folder of keys; name the one that vishwa keys generate made
c.yaml:7:17: spec.keyPassword.file: "plain" cannot be read, is empty, or is larger than 64 KiB; put nothing but the secret there
c.yaml:9:7: spec.repositories.0.path: "nowhere" is not there; clone it there, or correct the path
c.yaml:10:7: spec.repositories.1.path: "file" is not a folder; name the repository's folder
c.yaml:11:7: spec.repositories.2.path: "plain" holds no Git repository; run git init there, or correct the path
c.yaml:14:52: spec.repositories.4.github.app.key.file: "app.pem" is not there; put the secret there, or correct the path`
	if got := strings.ReplaceAll(err.Error(), dir+string(filepath.Separator), ""); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestOneRepositoryHasOneIdentity: whatever its spelling.
func TestOneRepositoryHasOneIdentity(t *testing.T) {
	for _, url := range []string{
		"https://github.com/acme/churn", "https://GITHUB.com/Acme/Churn.git", "https://github.com:443/acme/churn/",
		"ssh://git@github.com/acme/churn.git", "ssh://git@github.com:22/acme/churn", "git@github.com:acme/churn.git",
		"git@github.com:/acme/churn", "https://github.com//acme//churn.git/", "http://github.com/acme/churn",
	} {
		if got := (Repository{URL: url}).Identity(); got != "github.com/acme/churn" {
			t.Errorf("%s is %s", url, got)
		}
	}
	if got := (Repository{URL: "http://127.0.0.1:8080/a/b.git"}).Identity(); got != "127.0.0.1:8080/a/b" {
		t.Errorf("a port of its own is lost: %s", got)
	}
}

func TestSecretsAreReadWhereTheConfigurationSays(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "good"), "s3cret\n")
	write(t, filepath.Join(dir, "empty"), "\n")
	write(t, filepath.Join(dir, "large"), strings.Repeat("x", maxSecret+1))
	lookup := func(name string) (string, bool) {
		v, ok := map[string]string{"GOOD": "s3cret", "EMPTY": ""}[name]
		return v, ok
	}
	for name, c := range map[string]struct {
		from Secret
		kind fault.Kind
		good bool
	}{
		"variable":       {from: Secret{Env: "GOOD"}, good: true},
		"file":           {from: Secret{File: filepath.Join(dir, "good")}, good: true},
		"empty variable": {from: Secret{Env: "EMPTY"}, kind: fault.Missing},
		"no variable":    {from: Secret{Env: "NONE"}, kind: fault.Missing},
		"empty file":     {from: Secret{File: filepath.Join(dir, "empty")}, kind: fault.Missing},
		"no file":        {from: Secret{File: filepath.Join(dir, "none")}, kind: fault.Missing},
		"large file":     {from: Secret{File: filepath.Join(dir, "large")}, kind: fault.Invalid},
	} {
		got, err := c.from.Read(lookup)
		if c.good && (err != nil || string(got) != "s3cret") || !c.good && (fault.Of(err) != c.kind || fault.HintOf(err) == "") {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func FuzzConfig(f *testing.F) {
	f.Add([]byte(whole))
	f.Add([]byte("a: &a [*a]"))
	f.Add([]byte(head + "spec: {repositories: [{url: 'x:y', github: {}}], <<: {}}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := Parse("c.yaml", text)
		if err != nil && (fault.Of(err) != fault.Invalid || !strings.HasPrefix(err.Error(), "c.yaml:")) {
			t.Errorf("the error is %v", err)
		}
		if err == nil {
			for _, r := range c.Repositories {
				if r.Title() == "" && r.Path == "" {
					t.Errorf("a repository without a name: %+v", r)
				}
			}
		}
	})
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
