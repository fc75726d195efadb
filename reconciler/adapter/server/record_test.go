// What is asked and answered is logged beside the answer: as rows, under the id that the answer
// tells, through failures, restarts and kills, and at no cost that who asks would notice.

package server

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/predictionlog"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// logging is a release that logs.
func (s *stage) logging(version string, l schemas.PredictionLog, personal ...string) port.Release {
	r := s.release("one", version)
	r.Log = &port.PredictionLog{PredictionLog: l, Personal: personal}
	return r
}

// ask posts a body, and tells the answer's status and the id that it is logged under.
func (s *stage) ask(l port.Live, path, body string, headers ...string) (int, string) {
	s.t.Helper()
	r, err := http.NewRequest(http.MethodPost, l.URL+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer a.Body.Close()
	if _, err := io.Copy(io.Discard, a.Body); err != nil {
		s.t.Fatal(err)
	}
	return a.StatusCode, a.Header.Get(HeaderPrediction)
}

// rows are the rows of the log, as the columns named, sorted.
func (s *stage) rows(columns ...string) []string {
	s.t.Helper()
	return s.rowsOf(&schemas.PredictionLog{}, columns...)
}

// rowsOf are those of a log that is declared otherwise.
func (s *stage) rowsOf(of *schemas.PredictionLog, columns ...string) []string {
	s.t.Helper()
	objects, prefix, err := OpenPredictions(s.dir, "one", of, Access{})
	if err != nil {
		s.t.Fatal(err)
	}
	r := predictionlog.Read(s.t.Context(), objects, predictionlog.Query{Prefix: prefix})
	defer r.Close()
	var out []string
	for {
		row, err := r.Next()
		if errors.Is(err, io.EOF) {
			slices.Sort(out)
			return out
		}
		if err != nil {
			s.t.Fatal(err)
		}
		said := ""
		for _, c := range columns {
			v := "-"
			if i := slices.Index(r.Columns(), c); i >= 0 && row.Cells[i] != nil {
				v = string(row.Cells[i])
			}
			said += v + " "
		}
		out = append(out, strings.TrimSpace(said))
	}
}

func TestWhatIsAskedAndAnsweredIsLogged(t *testing.T) {
	s := newStage(t)
	l := s.apply(s.logging("1", schemas.PredictionLog{Every: "100ms"}, "email"))
	if l.Log == nil || !strings.HasSuffix(l.Log.Place, "predictions/one") {
		t.Fatalf("%+v", l.Log)
	}
	const both = `{"id":%q,"instances":[{"x":%d,"email":"a@b.c"}],"predictions":[{"class":%d}]}`
	want := []string{}
	for i := range 20 {
		id := fmt.Sprint("id-", i)
		if status, told := s.ask(l, "/echo", fmt.Sprintf(both, id, i, i%2)); status != 200 || told != id {
			t.Fatalf("%d, logged as %q", status, told)
		}
		want = append(want, fmt.Sprintf("%s 200 %d %d -", id, i, i%2))
	}
	if _, told := s.ask(l, "/echo", fmt.Sprintf(both, "body", 1, 1), "X-Request-Id", "header"); told != "header" {
		t.Errorf("logged as %q", told)
	}
	_, made := s.ask(l, "/nowhere?token=secret", `{"instances":[{"x":7}]}`)
	_, hostile := s.ask(l, "/echo", strings.Replace(fmt.Sprintf(both, "ID", 1, 1), "ID", `\u001b[31m\n`, 1))
	if made == "" || !strings.HasPrefix(hostile, "sha256:") {
		t.Errorf("logged as %q and %q", made, hostile)
	}
	s.get(l, "/version") // asks for no prediction
	want = append(want, "header 200 1 1 -", made+" 404 - - -", hostile+" 200 1 1 -")
	slices.Sort(want)
	s.until("all is written", func() bool { return len(s.rows("id")) >= len(want) })
	if got := s.rows("id", "status", "feature.x", "prediction", "feature.email"); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%q\nwant %q", got, want)
	}
	of := s.rows("model", "release", "arm", "path")
	if first := fmt.Sprint(l.Model, " ", l.Key, " default /echo"); of[0] != first || of[len(of)-1] != strings.Replace(first, "/echo", "/nowhere", 1) {
		t.Errorf("%q, want %q", of, first)
	}
	if o := s.observe("one"); o.Log == nil || o.Log.Rows != int64(len(want)) || o.Log.Dropped != 0 {
		t.Errorf("%+v", o.Log)
	}
}

// The log outlives releases, a host that is killed and the deployment itself.
func TestALogOutlivesWhatIsServed(t *testing.T) {
	s := newStage(t)
	every := schemas.PredictionLog{Every: "50ms"}
	const ask = `{"instances":[{"x":1}],"predictions":[1]}`
	s.ask(s.apply(s.logging("1", every)), "/echo", ask, "X-Request-Id", "a")
	s.ask(s.apply(s.logging("2", every)), "/echo", ask, "X-Request-Id", "b")
	s.until("both are written", func() bool { return len(s.rows("id")) == 2 })
	s.killHost()
	s.ask(s.apply(s.logging("2", every)), "/echo", ask, "X-Request-Id", "c")
	s.until("the log goes on", func() bool { return len(s.rows("id")) == 3 })
	l := s.apply(s.logging("3", schemas.PredictionLog{Every: "1h"}))
	s.ask(l, "/echo", ask, "X-Request-Id", "d")
	s.apply(s.release("one", "4")) // logs nothing
	l = s.observe("one")
	if _, told := s.ask(l, "/echo", ask, "X-Request-Id", "e"); told != "" || l.Log != nil {
		t.Errorf("a release without a log logs %q: %+v", told, l.Log)
	}
	s.ask(s.apply(s.logging("5", schemas.PredictionLog{Every: "1h"})), "/echo", ask, "X-Request-Id", "f")
	s.apply(port.Release{Name: "one"}) // retired: what has come is written
	if got := s.rows("id"); fmt.Sprint(got) != "[a b c d f]" {
		t.Errorf("%q", got)
	}
}

// A log in a topic is sent by the host that serves, and read back by whoever knows the declaration; where
// the brokers are away it waits, and is sent by the next host.
func TestALogIsSentToATopic(t *testing.T) {
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(2, "asked"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	s := newStage(t)
	declared := schemas.PredictionLog{Every: "50ms", Kafka: &schemas.LogTopic{Brokers: c.ListenAddrs(), Topic: "asked"}}
	l := s.apply(s.logging("1", declared))
	if l.Log == nil || l.Log.Place != "topic asked" {
		t.Fatalf("%+v", l.Log)
	}
	var away atomic.Bool
	away.Store(true)
	c.ControlKey(int16(kmsg.Metadata), func(kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		return nil, errors.New("the brokers are away"), away.Load()
	})
	const ask = `{"instances":[{"x":1.5}],"predictions":[1]}`
	s.ask(l, "/echo", ask, "X-Request-Id", "a")
	s.until("it waits", func() bool { o := s.observe("one"); return o.Log.Waiting == 1 && o.Log.Error != "" })
	s.killHost()
	c.ControlKey(int16(kmsg.Metadata), func(kmsg.Request) (kmsg.Response, error, bool) { return nil, nil, false })
	away.Store(false)
	s.ask(s.apply(s.logging("1", declared)), "/echo", ask, "X-Request-Id", "b")
	s.until("both are in the topic", func() bool { return fmt.Sprint(s.rowsOf(&declared, "id", "feature.x")) == "[a 1.5 b 1.5]" })
	objects, _, err := OpenPredictions(s.dir, "one", &declared, Access{Guarded: true})
	if err == nil {
		r := predictionlog.Read(t.Context(), objects, predictionlog.Query{})
		defer r.Close()
		_, err = r.Next()
	}
	if fault.Of(err) != fault.Denied || !strings.Contains(err.Error(), "not a public address") {
		t.Errorf("whoever may reach public addresses alone reads it: %v", err)
	}
	secret := declared
	secret.Kafka = &schemas.LogTopic{Brokers: c.ListenAddrs(), Topic: "asked", SASL: &schemas.KafkaSASL{Mechanism: "scram-sha-512", User: "VISHWA_SOURCE_NOBODY", Password: "VISHWA_SOURCE_NOTHING"}}
	if _, _, err := OpenPredictions(s.dir, "one", &secret, Access{Env: port.Env{Lookup: func(string) (string, bool) { return "", false }}}); err == nil || !strings.Contains(err.Error(), "VISHWA_SOURCE_NOBODY is not set") {
		t.Error(err)
	}
}

// A release that is tried and logs to a topic that the one before does not know is promoted with its own variables,
// after a crash too; one whose variables nobody set is not tried at all.
func TestACanaryThatBeginsALogInATopicIsPromoted(t *testing.T) {
	t.Setenv("VISHWA_SOURCE_USER", "ada")
	t.Setenv("VISHWA_SOURCE_WORD", "lovelace")
	s := newStage(t)
	to := func(version, topic, word string) port.Release {
		return s.logging(version, schemas.PredictionLog{Kafka: &schemas.LogTopic{Brokers: []string{"127.0.0.1:1"}, Topic: topic,
			SASL: &schemas.KafkaSASL{Mechanism: "scram-sha-512", User: "VISHWA_SOURCE_USER", Password: word}}})
	}
	one, two, three := s.release("one", "1"), to("2", "asked", "VISHWA_SOURCE_WORD"), to("3", "told", "VISHWA_SOURCE_WORD")
	s.apply(one)
	if _, err := s.server.(port.Splitter).Split(t.Context(), to("4", "asked", "VISHWA_SOURCE_NOTHING"), port.Part{Weight: 10}); err == nil || !strings.Contains(err.Error(), "VISHWA_SOURCE_NOTHING is not set") {
		t.Errorf("without its variables: %v", err)
	}
	s.split(two, 50)
	if l := s.observe("one"); l.Log != nil {
		t.Errorf("what is tried logs already: %+v", l.Log)
	}
	s.join(two, true)
	if l := s.observe("one"); l.Key != two.Key || l.Log == nil || l.Log.Place != "topic asked" {
		t.Errorf("promoted: %+v", l.Log)
	}
	s.split(three, 50)
	s.killHost()
	s.apply(two)
	s.until("what was tried is back", func() bool { b := s.observe("one").Beside; return b != nil && b.Health == port.Ready })
	s.join(three, true)
	if l := s.observe("one"); l.Key != three.Key || l.Log == nil || l.Log.Place != "topic told" {
		t.Errorf("promoted after a crash: %+v", l.Log)
	}
}

// lent are bounds that let no variable be passed, and those of a log be sent as long as they are lent.
type lent struct{ atomic.Bool }

func (l *lent) Variable(name string) error { return fault.New(fault.Denied, "%s is not passed", name) }

func (l *lent) Token(name, _ string) error {
	if !l.Load() {
		return fault.New(fault.Denied, "%s is not sent", name)
	}
	return nil
}
func (l *lent) Place(string) error       { return nil }
func (l *lent) Host(schemas.Claim) error { return nil }
func (l *lent) Network(bool) error       { return nil }

// A log that needs a password goes on under the next host, by what the controller's file still lets be sent; where it lets it no
// more, whoever looks is told, and bringing the release back begins the log again.
func TestALogGoesOnUnderTheNextHost(t *testing.T) {
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "asked"), kfake.EnableSASL(), kfake.Superuser("SCRAM-SHA-512", "ada", "lovelace"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	s, may := newStage(t), &lent{}
	may.Store(true)
	values := map[string]string{"VISHWA_SOURCE_USER": "ada", "VISHWA_SOURCE_PASSWORD": "lovelace"}
	env := testEnv()
	env.Bounds, env.Lookup = may, func(name string) (string, bool) {
		if v, ok := values[name]; ok {
			return v, ok
		}
		return os.LookupEnv(name)
	}
	host := s.server.(*local)
	host.cfg.Env = env
	r := s.logging("1", schemas.PredictionLog{Every: "50ms", Kafka: &schemas.LogTopic{Brokers: c.ListenAddrs(), Topic: "asked",
		SASL: &schemas.KafkaSASL{Mechanism: "scram-sha-512", User: "VISHWA_SOURCE_USER", Password: "VISHWA_SOURCE_PASSWORD"}}})
	const ask = `{"instances":[{"x":1.5}],"predictions":[1]}`
	logs := func(l port.Live, when string) {
		t.Helper()
		before := s.observe("one").Log
		if before == nil || before.Error != "" {
			t.Fatalf("%s: %+v", when, before)
		}
		s.until("it answers "+when, func() bool { return s.observe("one").Health == port.Ready })
		s.ask(l, "/echo", ask)
		s.until("it is sent "+when, func() bool { o := s.observe("one").Log; return o.Rows > before.Rows && o.Waiting == 0 && o.Error == "" })
	}
	l := s.apply(r)
	logs(l, "at first")
	again := func() {
		t.Helper()
		s.killHost()
		if err := host.ensure(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	again()
	logs(l, "under the next host")
	may.Store(false)
	again()
	if o := s.observe("one").Log; o == nil || o.Place != "topic asked" || !strings.Contains(o.Error, "VISHWA_SOURCE_USER is not set") || strings.Contains(o.Error, "lovelace") {
		t.Fatalf("without a password: %+v", o)
	}
	may.Store(true)
	if l, err = host.Revive(t.Context(), "one", r.Key); err != nil {
		t.Fatal(err)
	}
	logs(l, "once it is lent again")
}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }
