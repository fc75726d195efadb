// A topic as data: the laws of sources, rows of each format, and what is said where a range is not
// what it was.

package source

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
	"github.com/vishwaops/vishwa/schemas"
)

func TestTopicsKeepTheLawsOfSources(t *testing.T) {
	porttest.Source(t, func(t *testing.T) porttest.Sourced {
		k := newKafka(t, 0)
		there := false
		return k.into(porttest.Sourced{Source: unpacked{k.source(t, schemas.Kafka{Format: "raw"})}, Name: events + ".jsonl",
			Write: func(t *testing.T, b []byte) {
				if there {
					k.drop(t)
				}
				if there = b != nil; !there {
					return
				}
				k.create(t, 1)
				for chunk := range slices.Chunk(b, 512<<10) {
					k.send(t, 0, chunk)
				}
				if len(b) == 0 {
					k.send(t, 0, []byte{})
				}
			}})
	})
}

// fetched is what a source gives of what it was seen to hold.
func fetched(t *testing.T, s port.Source, look port.Snapshot) (string, error) {
	t.Helper()
	dir := t.TempDir()
	if err := s.Fetch(t.Context(), look, dir, nil); err != nil {
		return "", err
	}
	b, err := os.ReadFile(filepath.Join(dir, events+".jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b), nil
}

func seen(t *testing.T, s port.Source) port.Snapshot {
	t.Helper()
	look, err := s.Inspect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return look
}

func values(all ...string) (out [][]byte) {
	for _, v := range all {
		out = append(out, []byte(v))
	}
	return out
}

// TestRowsOfATopic: in each format, by partition and then by offset.
func TestRowsOfATopic(t *testing.T) {
	type m = map[string]any
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/schemas/ids/7" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		_ = json.NewEncoder(w).Encode(m{"schema": `{"type":"record","name":"E","fields":[{"name":"n","type":"int"}]}`})
	}))
	t.Cleanup(server.Close)
	tree := fstest.MapFS{
		"e.avsc":  {Data: []byte(`{"type":"record","name":"E","fields":[{"name":"n","type":"int"}]}`)},
		"e.proto": {Data: []byte("syntax = \"proto3\"; message E { int32 n = 1; }")},
	}
	for name, c := range map[string]struct {
		spec       schemas.Kafka
		one, other [][]byte // of the first and the last of three partitions
		want       string
	}{
		"json": {schemas.Kafka{}, values(`{"n": 1,
 "s": "a\n"}`, `{}`), values(`[1]`), `{"n":1,"s":"a\n"}` + "\n{}\n" + `{"value":[1]}` + "\n"},
		"deleted": {schemas.Kafka{}, [][]byte{[]byte(`{"n":1}`), nil}, nil, `{"n":1}` + "\n"},
		"metadata": {schemas.Kafka{Metadata: true}, values(`{"n":1}`, `{}`), values(`null`),
			`{"kafka":{"partition":0,"offset":0,"time":"2023-11-14T22:13:20Z","key":"key"},"n":1}` + "\n" +
				`{"kafka":{"partition":0,"offset":1,"time":"2023-11-14T22:13:20.001Z","key":"key"}}` + "\n" +
				`{"kafka":{"partition":2,"offset":0,"time":"2023-11-14T22:13:20Z","key":"key"},"value":null}` + "\n"},
		"raw": {schemas.Kafka{Format: "raw"}, [][]byte{{0, 255}, nil}, nil,
			`{"partition":0,"offset":0,"time":"2023-11-14T22:13:20Z","key":"a2V5","value":"AP8="}` + "\n" +
				`{"partition":0,"offset":1,"time":"2023-11-14T22:13:20.001Z","key":"a2V5","value":null}` + "\n"},
		"some of them":  {schemas.Kafka{Partitions: []int{2}}, values(`{"n":1}`), values(`{"n":2}`), `{"n":2}` + "\n"},
		"avro":          {schemas.Kafka{Format: "avro", Schema: &schemas.MessageSchema{File: "e.avsc"}}, values("\x02"), values("\x04"), `{"n":1}` + "\n" + `{"n":2}` + "\n"},
		"protobuf":      {schemas.Kafka{Format: "protobuf", Schema: &schemas.MessageSchema{File: "e.proto"}}, values("\x08\x01"), values(""), `{"n":1}` + "\n" + `{"n":0}` + "\n"},
		"by a registry": {schemas.Kafka{Format: "avro", Schema: &schemas.MessageSchema{Registry: &schemas.SchemaRegistry{URL: server.URL}}}, values("\x00\x00\x00\x00\x07\x02"), nil, `{"n":1}` + "\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newKafka(t, 3)
			k.send(t, 0, c.one...)
			k.send(t, 2, c.other...)
			s := k.source(t, c.spec, func(o *Options) { o.Tree = tree })
			look := seen(t, s)
			k.send(t, 1, values(`{"later":true}`)...) // what comes later is another range
			for range 2 {
				if got, err := fetched(t, s, look); err != nil || got != c.want {
					t.Errorf("got\n%s\nwant\n%s\n%v", got, c.want, err)
				}
			}
			if used := s.(*stream).SchemasUsed(); (used != "") != (name == "by a registry") {
				t.Errorf("schemas that were used: %q", used)
			}
		})
	}
}

// TestRecordsThatAreNoRows are said with their place, and nothing is pinned.
func TestRecordsThatAreNoRows(t *testing.T) {
	tree := fstest.MapFS{
		"e.avsc":  {Data: []byte(`{"type":"record","name":"E","fields":[{"name":"n","type":"int"}]}`)},
		"e.proto": {Data: []byte("syntax = \"proto3\"; message E { int32 n = 1; }")},
	}
	registry := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(registry.Close)
	for name, c := range map[string]struct {
		spec  schemas.Kafka
		value string
		want  fault.Kind
	}{
		"no json":        {schemas.Kafka{}, `{"n":`, fault.Invalid},
		"two":            {schemas.Kafka{}, `{} {}`, fault.Invalid},
		"empty":          {schemas.Kafka{}, ``, fault.Invalid},
		"no avro":        {schemas.Kafka{Format: "avro", Schema: &schemas.MessageSchema{File: "e.avsc"}}, "\xff", fault.Invalid},
		"too long":       {schemas.Kafka{Format: "avro", Schema: &schemas.MessageSchema{File: "e.avsc"}}, "\x02\x02", fault.Invalid},
		"no protobuf":    {schemas.Kafka{Format: "protobuf", Schema: &schemas.MessageSchema{File: "e.proto"}}, "\xff\xff", fault.Invalid},
		"unknown schema": {schemas.Kafka{Format: "avro", Schema: &schemas.MessageSchema{Registry: &schemas.SchemaRegistry{URL: registry.URL}}}, "\x00\x00\x00\x00\x09\x02", fault.Missing},
		"no frame":       {schemas.Kafka{Format: "avro", Schema: &schemas.MessageSchema{Registry: &schemas.SchemaRegistry{URL: registry.URL}}}, "\x02", fault.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newKafka(t, 1)
			k.send(t, 0, []byte(c.value))
			s := k.source(t, c.spec, func(o *Options) { o.Tree = tree })
			_, err := fetched(t, s, seen(t, s))
			if err == nil || fault.Of(err) != c.want || !strings.Contains(err.Error(), "partition 0, offset 0") || fault.HintOf(err) == "" {
				t.Errorf("%v of kind %v, want %v", err, fault.Of(err), c.want)
			}
		})
	}
}

func TestATopicWithoutRowsIsMissing(t *testing.T) {
	k := newKafka(t, 2)
	s := k.source(t, schemas.Kafka{})
	if _, err := s.Inspect(t.Context()); fault.Of(err) != fault.Missing {
		t.Errorf("an empty topic: %v", err)
	}
	k.send(t, 1, nil)
	if got, err := fetched(t, s, seen(t, s)); fault.Of(err) != fault.Missing {
		t.Errorf("a topic of nothing but deletions: %q, %v", got, err)
	}
	if _, err := k.source(t, schemas.Kafka{Partitions: []int{9}}).Inspect(t.Context()); fault.Of(err) != fault.Missing {
		t.Errorf("a partition that is not there: %v", err)
	}
}

// TestWhatMovesAPin: new records, another partition, another topic of the name, and another way to
// read them; and nothing else.
func TestWhatMovesAPin(t *testing.T) {
	k := newKafka(t, 2)
	k.send(t, 0, values(`{"n":1}`)...)
	was := seen(t, k.source(t, schemas.Kafka{})).Token
	token := func(spec schemas.Kafka) string { return seen(t, k.source(t, spec)).Token }
	if now := token(schemas.Kafka{Format: "json"}); now != was {
		t.Errorf("the default said moves it from %q to %q", was, now)
	}
	if now := token(schemas.Kafka{Metadata: true}); now == was {
		t.Error("reading it in another way does not")
	}
	look := seen(t, k.source(t, schemas.Kafka{}, func(o *Options) { o.Last = was }))
	if look.Changed {
		t.Error("what did not move is said to have")
	}
	k.send(t, 1, values(`{"n":2}`)...)
	if now := token(schemas.Kafka{}); now == was {
		t.Error("a new record does not")
	} else {
		was = now
	}
	grow := kmsg.NewPtrCreatePartitionsRequest()
	of := kmsg.NewCreatePartitionsRequestTopic()
	of.Topic, of.Count = events, 3
	grow.Topics = append(grow.Topics, of)
	if _, err := grow.RequestWith(t.Context(), k.cl); err != nil {
		t.Fatal(err)
	}
	if now := token(schemas.Kafka{}); now == was || !strings.Contains(now, " 2:0-0 ") {
		t.Errorf("a new partition does not: %q", now)
	}
	// What was pinned before is still what it was.
	if got, err := fetched(t, k.source(t, schemas.Kafka{}), port.Snapshot{Token: was}); err != nil || got != `{"n":1}`+"\n"+`{"n":2}`+"\n" {
		t.Errorf("got %q: %v", got, err)
	}
	if _, err := fetched(t, k.source(t, schemas.Kafka{Metadata: true}), port.Snapshot{Token: was}); fault.Of(err) != fault.Conflict {
		t.Errorf("read in another way: %v", err)
	}
}

// TestTokensAreReadAsTheyAreWritten, and nothing else is.
func TestTokensAreReadAsTheyAreWritten(t *testing.T) {
	k := newKafka(t, 3)
	k.send(t, 1, values(`{}`)...)
	token := seen(t, k.source(t, schemas.Kafka{})).Token
	p, err := parsePinned(token)
	if err != nil || p.String() != token || p.records() != 1 {
		t.Errorf("%q is read as %+v: %v", token, p, err)
	}
	for _, wrong := range []string{"", "kafka:", "kafka:x 0:0-1", "http:x 0:0-1 as y", "kafka:x 0:5-1 as y", "kafka:x 1:0-1 0:0-1 as y", "kafka:x 0:0-1 0:1-2 as y", "kafka:x -1:0-1 as y", "kafka:x 0:a-1 as y", "kafka:x 9999999999:0-1 as y"} {
		if p, err := parsePinned(wrong); err == nil {
			t.Errorf("%q is read as %+v", wrong, p)
		}
	}
}

// TestAFetchGoesOnWhereItWasCut: what had come of it is not read twice.
func TestAFetchGoesOnWhereItWasCut(t *testing.T) {
	k := newKafka(t, 2)
	var want bytes.Buffer
	for p := range int32(2) {
		for i := range 40 {
			v := fmt.Sprintf(`{"p":%d,"i":%d,"text":%q}`, p, i, strings.Repeat("x", 256<<10))
			k.send(t, p, []byte(v))
			want.WriteString(v + "\n")
		}
	}
	s := k.source(t, schemas.Kafka{})
	look, dir := seen(t, s), t.TempDir()
	var asked []int64
	k.ControlKey(int16(kmsg.Fetch), func(req kmsg.Request) (kmsg.Response, error, bool) {
		k.KeepControl()
		p := req.(*kmsg.FetchRequest).Topics[0].Partitions[0]
		asked = append(asked, int64(p.Partition)*1000+p.FetchOffset)
		return nil, nil, false
	})
	tries := 0
	for ; tries < 20; tries++ {
		k.set(func() { k.cut = 7 << 20 }) // of each connection
		if err := s.Fetch(t.Context(), look, dir, nil); err == nil {
			break
		} else if fault.Of(err) != fault.Transient {
			t.Fatal(err)
		}
	}
	k.set(func() { k.cut = -1 })
	got, err := os.ReadFile(filepath.Join(dir, events+".jsonl"))
	if err != nil || !bytes.Equal(got, want.Bytes()) {
		t.Errorf("after %d tries %d other bytes than %d came: %v", tries, len(got), want.Len(), err)
	}
	first := 0
	for _, at := range asked {
		if at == 0 {
			first++
		}
	}
	if first > 1+tries/2 {
		t.Errorf("the first offset was asked for %d times in %d tries", first, tries)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 {
		t.Errorf("%v is left: %v", left, err)
	}
}

// TestSecretsOfATopicAreNamedAndNeverSaid.
func TestSecretsOfATopicAreNamedAndNeverSaid(t *testing.T) {
	spec := schemas.Kafka{Brokers: []string{"127.0.0.1:1"}, Topic: events, SASL: &schemas.KafkaSASL{Mechanism: "scram-sha-512", User: "VISHWA_SOURCE_USER", Password: "VISHWA_SOURCE_PASSWORD"}}
	_, err := Open(schemas.DataSource{Kafka: &spec}, Options{Env: env(map[string]string{"VISHWA_SOURCE_USER": "ada"})})
	if fault.Of(err) != fault.Denied || !strings.Contains(err.Error(), "VISHWA_SOURCE_PASSWORD") {
		t.Errorf("a password that is not there: %v", err)
	}
	spec.SASL, spec.TLS = nil, &schemas.KafkaTLS{Certificate: "VISHWA_SOURCE_CERT", Key: "VISHWA_SOURCE_KEY"}
	_, err = Open(schemas.DataSource{Kafka: &spec}, Options{Env: env(map[string]string{"VISHWA_SOURCE_CERT": "s3cr3t", "VISHWA_SOURCE_KEY": "s3cr3t"})})
	if fault.Of(err) != fault.Invalid || strings.Contains(err.Error(), "s3cr3t") {
		t.Errorf("a certificate that is none: %v", err)
	}
	spec.TLS = &schemas.KafkaTLS{CA: "ca.pem"}
	for name, c := range map[string]struct {
		tree fstest.MapFS
		want fault.Kind
	}{"not there": {fstest.MapFS{}, fault.Missing}, "no certificate": {fstest.MapFS{"ca.pem": {Data: []byte("x")}}, fault.Invalid}} {
		if _, err := Open(schemas.DataSource{Kafka: &spec}, Options{Tree: c.tree}); fault.Of(err) != c.want || err == nil {
			t.Errorf("authorities: %s: %v", name, err)
		}
	}
	if _, err := (&stream{spec: schemas.Kafka{Brokers: []string{"127.0.0.1:1"}, Topic: events}}).Inspect(t.Context()); err == nil {
		t.Error("a private address is reached")
	}
}
