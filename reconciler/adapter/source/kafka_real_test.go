// A real broker of Kafka, in KRaft mode, from the jars that VISHWA_KAFKA names: make test-kafka
// fetches them. It listens on loopback, in the clear and over TLS with SASL, and ends with its test.

package source

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/predictions"
	"github.com/vishwaops/vishwa/reconciler/machine/predictionlog"
	logstream "github.com/vishwaops/vishwa/reconciler/machine/predictionlog/stream"
	"github.com/vishwaops/vishwa/reconciler/machine/topic"
	"github.com/vishwaops/vishwa/schemas"
)

// TestKafkaItself: one broker, asked for all that a cluster in this process is asked for.
func TestKafkaItself(t *testing.T) {
	b := newBroker(t)
	for _, step := range []struct {
		name string
		run  func(*testing.T, *broker)
	}{
		{"RangesAndCodecs", realRanges}, {"Transactions", realTransactions}, {"SigningIn", realSigningIn}, {"Retention", realRetention},
		{"AnotherTopicOfTheName", realAnother}, {"Compaction", realCompaction}, {"RestartInTheMiddle", realRestart}, {"LogOfPredictions", realLog},
	} {
		if !t.Run(step.name, func(t *testing.T) { b.fresh(t); step.run(t, b) }) {
			return
		}
	}
}

// realLog keeps a log of predictions in the topic, signed in over TLS, and reads it back; a record that is too large for
// the topic holds up no other.
func realLog(t *testing.T, b *broker) {
	b.fresh(t, "max.message.bytes", "2000")
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(b.authority)
	o := topic.Options{Brokers: []string{b.tied}, Topic: events, Unguarded: true, TLS: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12},
		Login: &topic.Login{Mechanism: "scram-sha-512", User: "grace", Password: "hopper"}}
	to, err := logstream.To(o, "price")
	if err != nil {
		t.Fatal(err)
	}
	l, err := predictionlog.Open(predictionlog.Options{Dir: t.TempDir(), Place: to, Secret: []byte("s"), Every: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	noise := make([]byte, 3000)
	_, _ = rand.Read(noise)
	at := time.Now().UTC().Truncate(time.Millisecond).Add(-time.Hour)
	const n = 300
	for i := range n {
		body := fmt.Sprintf(`{"inputs":[{"name":"x","shape":[1],"datatype":"FP64","data":[%d.5]}]}`, i)
		if i == 7 {
			body = fmt.Sprintf(`{"inputs":[{"name":"x","shape":[1],"datatype":"BYTES","data":["%x"]}]}`, noise)
		}
		l.Add(predictions.Exchange{ID: fmt.Sprint(i), Time: at, Status: 200, Path: "/v2/models/m/infer", Request: predictions.Body{Bytes: []byte(body)}})
	}
	if err := l.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	for until := time.Now().Add(realWait); l.Counts().Lost == 0; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("%+v", l.Counts())
		}
	}
	r := predictionlog.Read(t.Context(), logstream.From(o, "price", at.Add(-time.Minute)), predictionlog.Query{From: at, To: at.Add(time.Second)})
	defer r.Close()
	met := map[string]bool{}
	for {
		row, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		met[string(row.Cells[slices.Index(r.Columns(), "id")])] = true
	}
	if report := r.Report(); len(met) != n-1 || met["7"] || report.Duplicates != 0 || l.Counts().Rows != n-1 {
		t.Errorf("%d rows: %+v, %+v", len(met), report, l.Counts())
	}
}

func realRanges(t *testing.T, b *broker) {
	var want bytes.Buffer
	for i, codec := range []kgo.CompressionCodec{kgo.NoCompression(), kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression()} {
		cl, err := kgo.NewClient(kgo.SeedBrokers(b.plain), kgo.DefaultProduceTopic(events), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchCompression(codec))
		if err != nil {
			t.Fatal(err)
		}
		var all []*kgo.Record
		for n := range 1000 {
			v := fmt.Sprintf(`{"codec":%d,"n":%d}`, i, n)
			all = append(all, &kgo.Record{Value: []byte(v)})
			want.WriteString(v + "\n")
		}
		if err := cl.ProduceSync(t.Context(), all...).FirstErr(); err != nil {
			t.Fatal(err)
		}
		cl.Close()
	}
	s := b.open(t, schemas.Kafka{})
	look := seen(t, s)
	if !strings.Contains(look.Token, " 0:0-5000 1:0-0 ") || look.Files[0].Modified.IsZero() {
		t.Errorf("saw %+v", look)
	}
	b.send(t, 1, values(`{"later":1}`)...)
	if got, err := fetched(t, s, look); err != nil || got != want.String() {
		t.Errorf("%d other bytes than %d: %v", len(got), want.Len(), err)
	}
}

func realTransactions(t *testing.T, b *broker) {
	tx, err := kgo.NewClient(kgo.SeedBrokers(b.plain), kgo.DefaultProduceTopic(events), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.TransactionalID("t"))
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Close()
	for i, commit := range []kgo.TransactionEndTry{kgo.TryCommit, kgo.TryAbort, kgo.TryCommit, kgo.TryAbort} {
		if err := tx.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		if err := tx.ProduceSync(t.Context(), &kgo.Record{Value: fmt.Appendf(nil, `{"n":%d}`, i)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
		if err := tx.EndTransaction(t.Context(), commit); err != nil {
			t.Fatal(err)
		}
	}
	if err := tx.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	if err := tx.ProduceSync(t.Context(), &kgo.Record{Value: []byte(`{"open":1}`)}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	s := b.open(t, schemas.Kafka{})
	look := seen(t, s)
	const want = `{"n":0}` + "\n" + `{"n":2}` + "\n"
	if got, err := fetched(t, s, look); err != nil || got != want {
		t.Errorf("%q: %v", got, err)
	}
	if err := tx.EndTransaction(t.Context(), kgo.TryCommit); err != nil {
		t.Fatal(err)
	}
	if got, err := fetched(t, s, look); err != nil || got != want {
		t.Errorf("%q: %v", got, err)
	}
}

func realSigningIn(t *testing.T, b *broker) {
	b.send(t, 0, values(`{"n":1}`)...)
	for name, c := range map[string]struct {
		mechanism, user, password, ca string
		want                          fault.Kind
		ok                            bool
	}{
		"plain":           {"plain", "ADA", "LOVELACE", "ca.pem", 0, true},
		"scram":           {"scram-sha-512", "GRACE", "HOPPER", "ca.pem", 0, true},
		"plain, wrong":    {"plain", "ADA", "WRONG", "ca.pem", fault.Denied, false},
		"scram, wrong":    {"scram-sha-512", "GRACE", "WRONG", "ca.pem", fault.Denied, false},
		"not offered":     {"scram-sha-256", "GRACE", "HOPPER", "ca.pem", fault.Denied, false},
		"other authority": {"plain", "ADA", "LOVELACE", "", fault.Denied, false},
	} {
		spec := schemas.Kafka{Brokers: []string{"localhost" + b.tied[strings.LastIndex(b.tied, ":"):]}, TLS: &schemas.KafkaTLS{CA: c.ca},
			SASL: &schemas.KafkaSASL{Mechanism: c.mechanism, User: "VISHWA_SOURCE_" + c.user, Password: "VISHWA_SOURCE_" + c.password}}
		s := b.open(t, spec, func(o *Options) {
			if !c.ok {
				o.Pace.Window = 10 * time.Second
			}
		})
		look, err := s.Inspect(t.Context())
		if c.ok && err == nil {
			var got string
			if got, err = fetched(t, s, look); got != `{"n":1}`+"\n" {
				t.Errorf("%s: %q", name, got)
			}
		}
		if (err == nil) != c.ok || err != nil && fault.Of(err) != c.want || err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v of kind %v", name, err, fault.Of(err))
		}
	}
}

func realRetention(t *testing.T, b *broker) {
	b.send(t, 0, values(`{"n":0}`, `{"n":1}`, `{"n":2}`)...)
	s := b.open(t, schemas.Kafka{})
	look := seen(t, s)
	remove := kmsg.NewPtrDeleteRecordsRequest()
	of := kmsg.NewDeleteRecordsRequestTopic()
	of.Topic = events
	p := kmsg.NewDeleteRecordsRequestTopicPartition()
	p.Offset = 2
	of.Partitions = append(of.Partitions, p)
	remove.Topics, remove.TimeoutMillis = append(remove.Topics, of), 10_000
	if _, err := remove.RequestWith(t.Context(), b.cl); err != nil {
		t.Fatal(err)
	}
	if got, err := fetched(t, s, look); fault.Of(err) != fault.Missing || !strings.Contains(err.Error(), "begins at offset 2 by now") || !strings.Contains(err.Error(), "1 of them are left") {
		t.Errorf("%q: %v", got, err)
	}
}

func realAnother(t *testing.T, b *broker) {
	b.send(t, 0, values(`{"n":0}`)...)
	s := b.open(t, schemas.Kafka{})
	look := seen(t, s)
	b.fresh(t)
	b.send(t, 0, values(`{"n":1}`)...)
	if got, err := fetched(t, s, look); fault.Of(err) != fault.Conflict {
		t.Errorf("%q: %v", got, err)
	}
	if got, err := fetched(t, s, seen(t, s)); err != nil || got != `{"n":1}`+"\n" {
		t.Errorf("%q: %v", got, err)
	}
}

func realCompaction(t *testing.T, b *broker) {
	b.fresh(t, "cleanup.policy", "compact", "segment.ms", "100", "min.cleanable.dirty.ratio", "0.001", "max.compaction.lag.ms", "100", "min.compaction.lag.ms", "0")
	now := func(n int) {
		if err := b.cl.ProduceSync(t.Context(), &kgo.Record{Key: []byte("key"), Value: fmt.Appendf(nil, `{"n":%d}`, n)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 3 {
		now(n)
	}
	s, left := b.open(t, schemas.Kafka{}), b.open(t, schemas.Kafka{Compacted: true})
	look, allowed := seen(t, s), seen(t, left)
	for until := time.Now().Add(realWait); ; {
		got, err := fetched(t, s, look)
		if fault.Of(err) == fault.Missing && err != nil {
			if !strings.Contains(err.Error(), "compaction has removed the others") {
				t.Error(err)
			}
			break
		}
		if err != nil || got != `{"n":0}`+"\n"+`{"n":1}`+"\n"+`{"n":2}`+"\n" {
			t.Fatalf("%q: %v", got, err)
		}
		if time.Now().After(until) {
			t.Fatal("nothing is compacted")
		}
		now(3) // a segment ends when a record comes that is so much later
		time.Sleep(200 * time.Millisecond)
	}
	if got, err := fetched(t, left, allowed); err != nil && fault.Of(err) != fault.Missing || strings.Contains(got, `"n":0`) && strings.Contains(got, `"n":1`) {
		t.Errorf("what is left: %q, %v", got, err)
	}
}

func realRestart(t *testing.T, b *broker) {
	b.send(t, 0, values(`{"n":0}`, `{"n":1}`)...)
	s := b.open(t, schemas.Kafka{})
	look := seen(t, s)
	b.stop()
	type result struct {
		got string
		err error
	}
	done, dir := make(chan result, 1), t.TempDir()
	go func() {
		err := s.Fetch(t.Context(), look, dir, nil)
		got, _ := os.ReadFile(filepath.Join(dir, events+".jsonl"))
		done <- result{string(got), err}
	}()
	b.start(t)
	if r := <-done; r.err != nil || r.got != `{"n":0}`+"\n"+`{"n":1}`+"\n" {
		t.Errorf("%q: %v", r.got, r.err)
	}
}
