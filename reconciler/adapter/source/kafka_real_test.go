// A real broker of Kafka, in KRaft mode, from the jars that VISHWA_KAFKA names: make test-kafka
// fetches them. It listens on loopback, in the clear and over TLS with SASL, and ends with its test.

package source

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/predictions"
	"github.com/vishwaops/vishwa/reconciler/freeport"
	"github.com/vishwaops/vishwa/reconciler/machine/dial"
	"github.com/vishwaops/vishwa/reconciler/machine/predictionlog"
	logstream "github.com/vishwaops/vishwa/reconciler/machine/predictionlog/stream"
	"github.com/vishwaops/vishwa/reconciler/machine/topic"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
	"github.com/vishwaops/vishwa/schemas"
)

// broker is one that runs.
type broker struct {
	kafka
	dir, jars   string
	plain, tied string // its addresses
	authority   []byte
	process     *porttest.Process
}

const (
	realWait  = 4 * time.Minute // for whatever a broker does on a machine that is slow
	clusterID = "MkU3OEVBNTcwNTJENDM2Qk"
)

func newBroker(tb testing.TB) *broker {
	tb.Helper()
	jars := os.Getenv("VISHWA_KAFKA")
	if jars == "" {
		tb.Skip("VISHWA_KAFKA names no folder of Kafka's jars: make test-kafka does")
	}
	b := &broker{dir: tb.TempDir(), jars: jars}
	b.cut = -1
	b.plain, b.tied = free(tb), free(tb)
	key := b.certify(tb)
	control := free(tb)
	_, port, _ := net.SplitHostPort(b.tied)
	at := map[string]string{"plain": b.plain, "tied": b.tied, "control": control, "port": port, "key": key, "dir": b.dir}
	properties := os.Expand(`process.roles=broker,controller
node.id=1
controller.quorum.voters=1@$control
listeners=CLEAR://$plain,SIGNED://$tied,CONTROLLER://$control
advertised.listeners=CLEAR://$plain,SIGNED://localhost:$port
listener.security.protocol.map=CLEAR:PLAINTEXT,SIGNED:SASL_SSL,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=CLEAR
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512
listener.name.signed.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required username="admin" password="adminpw" user_ada="lovelace";
listener.name.signed.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
ssl.keystore.type=PEM
ssl.keystore.location=$key
log.dirs=$dir/data
log.cleaner.backoff.ms=200
log.cleaner.dedupe.buffer.size=2097152
num.partitions=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
`, func(name string) string { return at[name] })
	if err := os.WriteFile(filepath.Join(b.dir, "server.properties"), []byte(properties), 0o600); err != nil {
		tb.Fatal(err)
	}
	format := exec.Command("java", b.java("kafka.tools.StorageTool", "format", "-t", clusterID, "-S", "SCRAM-SHA-512=[name=grace,password=hopper]", "-c", filepath.Join(b.dir, "server.properties"))...)
	if out, err := format.CombinedOutput(); err != nil {
		tb.Fatalf("%v\n%s", err, out)
	}
	b.start(tb)
	tb.Cleanup(func() { b.stop() })
	var err error
	if b.cl, err = kgo.NewClient(kgo.SeedBrokers(b.plain), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.DefaultProduceTopic(events), kgo.MetadataMinAge(10*time.Millisecond)); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(b.cl.Close)
	return b
}

// java is how a program of Kafka's is begun, as one that is there soon.
func (b *broker) java(class string, args ...string) []string {
	return append([]string{"-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"}, b.program(class, args...)...)
}

// program is how one is begun as Kafka's own scripts do.
func (b *broker) program(class string, args ...string) []string {
	return append([]string{"-Xmx512m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", b.jars + "/*", class}, args...)
}

func (b *broker) start(tb testing.TB) {
	tb.Helper()
	var err error
	if b.process, err = porttest.StartProcess(os.Environ(), true, append([]string{"java"}, b.java("kafka.Kafka", filepath.Join(b.dir, "server.properties"))...)...); err != nil {
		tb.Fatal(err)
	}
	for until := time.Now().Add(realWait); ; {
		c, err := net.DialTimeout("tcp", b.plain, time.Second)
		if err == nil {
			c.Close()
			return
		}
		select {
		case <-b.process.Done():
			tb.Fatalf("the broker ended: %s", b.process.Errors())
		case <-time.After(100 * time.Millisecond):
		}
		if time.Now().After(until) {
			tb.Fatal("the broker does not listen")
		}
	}
}

func (b *broker) stop() {
	b.process.End()
	select {
	case <-b.process.Done():
	case <-time.After(30 * time.Second):
		b.process.Kill()
	}
}

func free(tb testing.TB) string {
	tb.Helper()
	at, err := freeport.Address("127.0.0.1")
	if err != nil {
		tb.Fatal(err)
	}
	return at
}

// certify makes the broker a certificate, and gives the file that holds it with its key.
func (b *broker) certify(tb testing.TB) string {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	of := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, of, of, &key.PublicKey, key)
	if err != nil {
		tb.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		tb.Fatal(err)
	}
	b.authority = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	file := filepath.Join(b.dir, "broker.pem")
	if err := os.WriteFile(file, append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), b.authority...), 0o600); err != nil {
		tb.Fatal(err)
	}
	return file
}

// open opens a source of the topic, in the clear unless spec says otherwise.
func (b *broker) open(tb testing.TB, spec schemas.Kafka, change ...func(*Options)) *stream {
	tb.Helper()
	spec.Topic = events
	if spec.Brokers == nil {
		spec.Brokers = []string{b.plain}
	}
	o := Options{Allow: append([]string{"localhost"}, loopback...), Pace: dial.Pace{Window: realWait}, Tree: fstest.MapFS{"ca.pem": {Data: b.authority}},
		Env: env(map[string]string{"VISHWA_SOURCE_ADA": "ada", "VISHWA_SOURCE_LOVELACE": "lovelace", "VISHWA_SOURCE_GRACE": "grace", "VISHWA_SOURCE_HOPPER": "hopper", "VISHWA_SOURCE_WRONG": "hunter2"})}
	for _, f := range change {
		f(&o)
	}
	s, err := Open(schemas.DataSource{Kafka: &spec}, o)
	if err != nil {
		tb.Fatal(err)
	}
	return s.(*stream)
}

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

// fresh has the topic be there anew.
func (b *broker) fresh(t *testing.T, configs ...string) {
	t.Helper()
	b.drop(t)
	var made [16]byte
	for until := time.Now().Add(realWait); ; time.Sleep(50 * time.Millisecond) { // a broker deletes by and by
		create := kmsg.NewPtrCreateTopicsRequest()
		create.TimeoutMillis = 10_000
		of := kmsg.NewCreateTopicsRequestTopic()
		of.Topic, of.NumPartitions, of.ReplicationFactor = events, 2, 1
		for i := 0; i+1 < len(configs); i += 2 {
			c := kmsg.NewCreateTopicsRequestTopicConfig()
			c.Name, c.Value = configs[i], kmsg.StringPtr(configs[i+1])
			of.Configs = append(of.Configs, c)
		}
		create.Topics = append(create.Topics, of)
		res, err := create.RequestWith(t.Context(), b.cl)
		if err == nil && res.Topics[0].ErrorCode == 0 {
			made = res.Topics[0].TopicID
			break
		}
		if time.Now().After(until) {
			t.Fatalf("the topic is not created: %v, %+v", err, res)
		}
	}
	b.shows(t, made)
	b.cl.PurgeTopicsFromClient(events)
}

// shows awaits the topic of an id. The controller answers first, and a broker takes what was dropped for a while yet: what is written to it then is lost,
// and for a moment after that it has no topic of the name.
func (b *broker) shows(t *testing.T, made [16]byte) {
	t.Helper()
	for until := time.Now().Add(realWait); ; time.Sleep(20 * time.Millisecond) {
		ask := kmsg.NewPtrMetadataRequest()
		of := kmsg.NewMetadataRequestTopic()
		of.Topic = kmsg.StringPtr(events)
		ask.Topics = append(ask.Topics, of)
		res, err := ask.RequestWith(t.Context(), b.cl)
		if err == nil && res.Topics[0].ErrorCode == 0 && res.Topics[0].TopicID == made {
			return
		}
		if time.Now().After(until) {
			t.Fatalf("the broker does not show the topic that was created: %v, %+v", err, res)
		}
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
