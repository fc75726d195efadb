// Whoever asks a cluster learns what to do when it does not answer as hoped.

package kube

import (
	"encoding/pem"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

const secret = "hunter2-is-a-token"

// machine is one with these variables.
func machine(vars map[string]string) port.Env {
	return port.Env{Now: time.Now, Log: slog.New(slog.DiscardHandler), Lookup: func(name string) (string, bool) { v, ok := vars[name]; return v, ok }}
}

// kubeconfig writes one that leads to a server, with what a user is let in by.
func kubeconfig(t *testing.T, server, ca, user string) map[string]string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config")
	text := fmt.Sprintf(`{"apiVersion": "v1", "kind": "Config", "current-context": "prod-eu",
		"clusters": [{"name": "c", "cluster": {"server": %q%s}}],
		"contexts": [{"name": "prod-eu", "context": {"cluster": "c", "user": "u"}}, {"name": "staging", "context": {"cluster": "c", "user": "u"}}, {"name": "hollow", "context": {"cluster": "none", "user": "u"}}],
		"users": [{"name": "u", "user": {%s}}]}`, server, ca, user)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return map[string]string{"KUBECONFIG": file}
}

// says is a server that answers everything the same.
func says(t *testing.T, code int, body string) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		fmt.Fprint(w, body)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func open(t *testing.T, vars map[string]string) *Client {
	t.Helper()
	c, err := Open(Options{Cluster: schemas.Cluster{Namespace: "team-a"}, Env: machine(vars), Patience: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// told insists on an error's kind, on words of it and of its way out, and on that it holds no secret.
func told(t *testing.T, err error, kind fault.Kind, words, way string) {
	t.Helper()
	if err == nil || fault.Of(err) != kind || !strings.Contains(err.Error(), words) || !strings.Contains(fault.HintOf(err), way) {
		t.Errorf("%v (%v; %s): want %v with %q and %q", err, fault.Of(err), fault.HintOf(err), kind, words, way)
	}
	if err != nil && strings.Contains(err.Error()+fault.HintOf(err), "hunter2") {
		t.Errorf("it tells a secret: %v", err)
	}
}

func TestWhatIsNoWayIntoAClusterIsTold(t *testing.T) {
	good := kubeconfig(t, "https://127.0.0.1:1", "", `"token": "`+secret+`"`)
	broken := filepath.Join(t.TempDir(), "broken")
	if err := os.WriteFile(broken, []byte("apiVersion: v1\nkind: Config\nusers: [{name: u, user: {token: [hunter2]}}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		vars       map[string]string
		context    string
		kind       fault.Kind
		words, way string
	}{
		"a context with a typo":    {good, "prod-ue", fault.Invalid, `no context "prod-ue"`, "did you mean prod-eu?"},
		"another context":          {good, "elsewhere", fault.Invalid, `no context "elsewhere"`, "it has hollow, prod-eu, staging"},
		"a context of nothing":     {good, "hollow", fault.Invalid, "context hollow", ""},
		"no kubeconfig, one asked": {map[string]string{"HOME": t.TempDir()}, "prod-eu", fault.Missing, "no cluster is known", "set KUBECONFIG to the file that has the context prod-eu"},
		"no kubeconfig":            {map[string]string{"HOME": t.TempDir()}, "", fault.Missing, "no cluster is known", "set KUBECONFIG"},
		"what is no kubeconfig":    {map[string]string{"KUBECONFIG": broken}, "", fault.Invalid, broken, ""},
		"secrets without TLS":      {kubeconfig(t, "http://10.1.2.3", "", ""), "", fault.Denied, "without TLS", "https://"},
		"a certificate's absent":   {kubeconfig(t, "https://127.0.0.1:1", `, "certificate-authority": "/nowhere/ca.crt"`, ""), "", fault.Invalid, "/nowhere/ca.crt", ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Open(Options{Cluster: schemas.Cluster{Namespace: "n", Context: c.context}, Env: machine(c.vars)})
			told(t, err, c.kind, c.words, c.way)
		})
	}
}

func TestAnswersSayWhatToDo(t *testing.T) {
	status := func(code int, reason, message string) string {
		return fmt.Sprintf(`{"kind": "Status", "reason": %q, "message": %q, "code": %d}`, reason, message, code)
	}
	for name, c := range map[string]struct {
		code       int
		body       string
		kind       fault.Kind
		words, way string
	}{
		"credentials that ended": {401, status(401, "Unauthorized", "Unauthorized"), fault.Denied, "does not know us", "log in"},
		"a right that is missing": {403, status(403, "Forbidden", `jobs.batch is forbidden: User "x" cannot create resource "jobs" in API group "batch" in the namespace "team-a"`),
			fault.Denied, "create jobs.batch in namespace team-a", "templates/kubernetes/launcher.yaml"},
		"a full quota":      {403, status(403, "Forbidden", `jobs.batch "x" is forbidden: exceeded quota: q, requested: count/jobs=1`), fault.Transient, "exceeded quota: q", ""},
		"a rule":            {403, status(403, "Forbidden", `admission webhook "policy" denied the request: no images of the internet`), fault.Invalid, "no images of the internet", ""},
		"a namespace going": {403, `{"reason": "Forbidden", "message": "x", "details": {"causes": [{"reason": "NamespaceTerminating"}]}}`, fault.Transient, "is being deleted", ""},
		"no namespace":      {404, status(404, "NotFound", `namespaces "team-a" not found`), fault.Invalid, "no namespace team-a", "make it"},
		"no such kind":      {404, "404 page not found", fault.Invalid, "has no jobs.batch", "install"},
		"a namesake":        {409, status(409, "AlreadyExists", "it is there"), fault.Conflict, "it is there", ""},
		"a wrong field":     {422, status(422, "Invalid", "spec.x: no"), fault.Invalid, "spec.x", ""},
		"too many requests": {429, status(429, "TooManyRequests", "later"), fault.Transient, "later", ""},
		"a field unknown":   {500, status(500, "", "failed to create typed patch object (team-a/one; serving.kserve.io/v1beta1, Kind=InferenceService): .spec.canary: field not declared in schema"), fault.Invalid, ".spec.canary: field not declared", "another version"},
		"a broken webhook":  {500, status(500, "InternalError", "failed calling webhook"), fault.Transient, "webhook", ""},
		"a proxy's page":    {502, "<html>" + secret, fault.Transient, "502", ""},
		"another's page":    {200, "<html>" + secret, fault.Corrupt, "no object", ""},
		"a way elsewhere":   {302, "", fault.Invalid, "sends elsewhere", "address"},
		"orders to a job":   {422, status(422, "Invalid", "\x1b[2J"), fault.Invalid, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			client := open(t, kubeconfig(t, says(t, c.code, c.body), "", ""))
			err := client.Create(t.Context(), Jobs, map[string]any{}, &struct{}{})
			told(t, err, c.kind, c.words, c.way)
			if strings.ContainsRune(err.Error(), '\x1b') {
				t.Errorf("it steers a terminal: %q", err)
			}
		})
	}
}

func TestWhoDoesNotAnswerIsAwaited(t *testing.T) {
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer silent.Close()
	defer silent.CloseClientConnections()
	for name, url := range map[string]string{"nobody is there": "http://127.0.0.1:1", "it is silent": silent.URL} {
		t.Run(name, func(t *testing.T) {
			_, err := open(t, kubeconfig(t, url, "", "")).UID(t.Context())
			told(t, err, fault.Transient, "context prod-eu does not answer", "kubectl version")
		})
	}
}

// A server that has too much to do says when to ask again, and did nothing.
func TestAServerThatSaysWhenIsAskedAgainThen(t *testing.T) {
	var asked atomic.Int64
	after := "0"
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) < 4 || after == "" {
			if after != "" {
				w.Header().Set("Retry-After", after)
			}
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		_, _ = w.Write([]byte(`{"metadata":{"uid":"u-1"}}`))
	}))
	defer s.Close()
	if uid, err := open(t, kubeconfig(t, s.URL, "", "")).UID(t.Context()); err != nil || uid != "u-1" || asked.Load() != 4 {
		t.Errorf("%q %v, asked %d times", uid, err, asked.Load())
	}
	for _, wait := range []string{"", "86400", "-1", "soon"} {
		after = wait
		asked.Store(0)
		_, err := open(t, kubeconfig(t, s.URL, "", "")).UID(t.Context())
		told(t, err, fault.Transient, "cannot answer now", "")
		if n := asked.Load(); n != 1 {
			t.Errorf("Retry-After: %q: asked %d times", wait, n)
		}
	}
}

// A server that comes back answers before it knows who may do what: what it refuses then may pass.
func TestWhoComesBackMayRefuseAtFirst(t *testing.T) {
	code := atomic.Int64{}
	code.Store(503)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(int(code.Load())) }))
	defer s.Close()
	now := time.Now()
	env := machine(kubeconfig(t, s.URL, "", ""))
	env.Now = func() time.Time { return now }
	c, err := Open(Options{Cluster: schemas.Cluster{Namespace: "team-a"}, Env: env})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.UID(t.Context())
	told(t, err, fault.Transient, "cannot answer now", "")
	for _, refused := range []int64{401, 403} {
		code.Store(refused)
		_, err = c.UID(t.Context())
		told(t, err, fault.Transient, "came back a moment ago", "")
	}
	now = now.Add(time.Minute)
	_, err = c.UID(t.Context())
	told(t, err, fault.Denied, "does not let us", "launcher.yaml")
}

func TestAnotherAuthorityIsDenied(t *testing.T) {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	_, err := open(t, kubeconfig(t, server.URL, "", `"token": "`+secret+`"`)).UID(t.Context())
	told(t, err, fault.Denied, "does not hold", "made anew")
}

// Credentials that end in the middle are renewed, once, and the question is asked again.
func TestCredentialsAreRenewed(t *testing.T) {
	var asked atomic.Int64
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.Header.Get("Authorization") != "Bearer new" {
			w.WriteHeader(401)
			return
		}
		fmt.Fprint(w, `{"metadata": {"uid": "u"}}`)
	}))
	defer server.Close()
	ca := filepath.Join(t.TempDir(), "ca.crt")
	token := filepath.Join(t.TempDir(), "token")
	plugin := filepath.Join(t.TempDir(), "plugin")
	for file, text := range map[string]string{
		ca: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})), token: "old",
		plugin: "#!/bin/sh\ncat <<EOF\n{\"apiVersion\": \"client.authentication.k8s.io/v1\", \"kind\": \"ExecCredential\", \"status\": {\"token\": \"$(cat " + token + ")\"}}\nEOF\n[ $(cat " + token + ") = old ] && printf new > " + token + "\nexit 0\n",
	} {
		if err := os.WriteFile(file, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	vars := kubeconfig(t, server.URL, fmt.Sprintf(`, "certificate-authority": %q`, ca),
		fmt.Sprintf(`"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": %q, "interactiveMode": "IfAvailable"}`, plugin))
	if uid, err := open(t, vars).UID(t.Context()); err != nil || uid != "u" {
		t.Errorf("%q, %v after %d requests", uid, err, asked.Load())
	}
	failing := filepath.Join(t.TempDir(), "failing")
	if err := os.WriteFile(failing, []byte("#!/bin/sh\necho "+secret+" >&2; exit 1\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	vars = kubeconfig(t, server.URL, fmt.Sprintf(`, "certificate-authority": %q`, ca),
		fmt.Sprintf(`"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": %q, "interactiveMode": "IfAvailable"}`, failing))
	_, err := open(t, vars).UID(t.Context())
	told(t, err, fault.Denied, "program that gives credentials", "users.user.exec")
}

// In a pod the account of the pod is what it asks with.
func TestAPodsAccountIsFound(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer of-the-pod" {
			w.WriteHeader(401)
		}
		fmt.Fprint(w, `{"metadata": {"uid": "u"}}`)
	}))
	defer server.Close()
	dir := t.TempDir()
	for file, text := range map[string]string{"token": "of-the-pod", "ca.crt": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	host, number, _ := strings.Cut(strings.TrimPrefix(server.URL, "https://"), ":")
	c, err := Open(Options{
		Cluster: schemas.Cluster{Namespace: "n"}, Account: dir,
		Env: machine(map[string]string{"HOME": dir, "KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": number}),
	})
	if err != nil {
		t.Fatal(err)
	}
	if uid, err := c.UID(t.Context()); err != nil || uid != "u" {
		t.Errorf("%q, %v", uid, err)
	}
}

// What a server stamps is compared with its own clock, as the Date of its answers tells it: ours may be wrong.
func TestTheTimeIsTheServers(t *testing.T) {
	ours := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	date := ""
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Date"] = nil
		if date != "" {
			w.Header().Set("Date", date)
		}
		fmt.Fprint(w, `{"metadata": {"uid": "u"}}`)
	}))
	defer s.Close()
	env := machine(kubeconfig(t, s.URL, "", ""))
	env.Now = func() time.Time { return ours }
	c, err := Open(Options{Cluster: schemas.Cluster{Namespace: "team-a"}, Env: env})
	if err != nil {
		t.Fatal(err)
	}
	if now := c.Now(); !now.Equal(ours) {
		t.Errorf("before it answered, it is %s", now)
	}
	for _, o := range []struct {
		date  string
		ahead time.Duration
	}{
		{ours.Add(7 * time.Minute).Format(http.TimeFormat), 7 * time.Minute},
		{"", 7 * time.Minute}, // an answer without it, or with what is none, tells nothing new
		{"yesterday", 7 * time.Minute},
		{ours.Add(-time.Hour).Format(http.TimeFormat), -time.Hour},
	} {
		date = o.date
		if _, err := c.UID(t.Context()); err != nil {
			t.Fatal(err)
		}
		if now, want := c.Now(), ours.Add(o.ahead); !now.Equal(want) {
			t.Errorf("after an answer of %q it is %s, want %s", o.date, now, want)
		}
	}
}
